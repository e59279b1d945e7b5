/** Keeps an error of one view from breaking the others. */

import { useErrorBoundary } from "preact/hooks";
import { asApiError } from "../errors.js";
import { ErrorNote } from "./error-note.jsx";
import { Page } from "./page.jsx";

/** @param {{title: string, children: any}} props */
export function Boundary({ title, children }) {
  const [error, reset] = useErrorBoundary();
  if (!error) return children;
  return (
    <Page title={title}>
      <ErrorNote error={asApiError(error)} retry={reset} />
    </Page>
  );
}
