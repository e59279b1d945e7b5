/** An update of an option that was refused, and what to do about it. */

import { ErrorNote } from "../../parts/error-note.jsx";

/** @param {{error: import("../../errors.js").ApiError | null, reload: () => void}} props */
export function OptionRefusal({ error, reload }) {
  return (
    <>
      <ErrorNote error={error} />
      {error?.reason === "OPTION_CHANGED" && (
        <p>
          <button class="button" type="button" onClick={reload}>
            Load it again
          </button>
        </p>
      )}
    </>
  );
}
