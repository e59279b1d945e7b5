/** Copies the user's ID token, without showing it. */

import { useAction } from "../load.js";
import { idToken } from "../session.js";

export function CopyToken() {
  const copy = useAction(async () => {
    await navigator.clipboard.writeText(await idToken());
    return "Copied. The token lasts an hour, and whoever has it acts as you.";
  });
  return (
    <div class="row">
      <button class="button" type="button" onClick={() => void copy.run()}>
        Copy an ID token
      </button>
      <span class="muted" role="status">
        {copy.result ?? (copy.error && "Copying is not allowed in this browser.")}
      </span>
    </div>
  );
}
