/** An error with its remedy. */

import { remedyOf } from "../errors.js";
import { href } from "../router.js";

/**
 * Where the remedy of an error is, by its reason.
 * @type {Record<string, {path: string, text: string}>}
 */
const LINKS = {
  INSUFFICIENT_CREDITS: { path: "/credits", text: "Your credits" },
  TOO_MANY_RUNNING: { path: "/requests", text: "Your requests" },
};

/** @param {{error: import("../errors.js").ApiError | null | undefined, retry?: () => void}} props */
export function ErrorNote({ error, retry }) {
  if (!error) return null;
  const link = LINKS[error.reason];
  /** @type {{field: string, message: string}[]} */
  const violations = error.details.violations ?? [];
  return (
    <div class="error" role="alert">
      <p>
        {error.message} {remedyOf(error)}
      </p>
      {violations.length > 0 && (
        <ul>
          {violations.map(({ field, message }) => (
            <li key={field}>
              <code>{field}</code> {message}
            </li>
          ))}
        </ul>
      )}
      <p class="row">
        <code class="reason">{error.reason}</code>
        {link && <a href={href(link.path)}>{link.text}</a>}
        {retry && (
          <button class="button" type="button" onClick={retry}>
            Try again
          </button>
        )}
      </p>
    </div>
  );
}
