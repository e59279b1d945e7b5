/** A button that asks before it acts. */

import { useEffect, useRef } from "preact/hooks";
import { ActionButton } from "./action-button.jsx";
import { ErrorNote } from "./error-note.jsx";

/**
 * `onConfirm` runs `action`. The dialog closes when the action succeeds.
 * @param {{label: string, question: any, confirm?: string, kind?: string,
 *   action: import("../load.js").Action<any>, onConfirm: () => Promise<void> | void}} props
 */
export function Confirm({ label, question, confirm = label, kind = "danger", action, onConfirm }) {
  const dialog = useRef(/** @type {HTMLDialogElement | null} */ (null));
  const wasBusy = useRef(false);
  useEffect(() => {
    if (wasBusy.current && !action.isBusy && !action.error) dialog.current?.close();
    wasBusy.current = action.isBusy;
  }, [action.isBusy]);
  return (
    <>
      <button
        class={`button ${kind}`}
        type="button"
        onClick={() => {
          action.reset();
          dialog.current?.showModal();
        }}
      >
        {label}
      </button>
      <dialog ref={dialog} aria-label={label}>
        <div class="stack">
          <p>{question}</p>
          <ErrorNote error={action.error} />
          <div class="row">
            <ActionButton action={action} kind={kind} onClick={() => void onConfirm()}>
              {confirm}
            </ActionButton>
            <button class="button" type="button" onClick={() => dialog.current?.close()}>
              Keep it
            </button>
          </div>
        </div>
      </dialog>
    </>
  );
}
