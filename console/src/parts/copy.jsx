/** A button that copies a text. */

import { useAction } from "../load.js";

/** @param {{text: string, label?: string}} props */
export function Copy({ text, label = "Copy" }) {
  const copy = useAction(() => navigator.clipboard.writeText(text).then(() => true));
  return (
    <>
      <button class="button" type="button" onClick={() => void copy.run()}>
        {copy.result ? "Copied" : label}
      </button>
      <span class="sr-only" role="status">
        {copy.result && "Copied"}
        {copy.error && "Copying is not allowed here. Select the text and copy it."}
      </span>
    </>
  );
}
