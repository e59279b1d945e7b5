/** A button for something that takes a while. */

/**
 * @param {{action: import("../load.js").Action<any>, onClick?: () => void, type?: "button" | "submit",
 *   kind?: string, disabled?: boolean, children?: any}} props
 */
export function ActionButton({ action, onClick, type = "button", kind = "", disabled = false, children }) {
  // The button keeps the focus while busy, so it is not disabled then; useAction ignores a second click.
  return (
    <button
      class={`button ${kind}`}
      type={type}
      disabled={disabled}
      aria-disabled={action.isBusy}
      aria-busy={action.isBusy}
      onClick={() => !action.isBusy && onClick?.()}
    >
      {action.isBusy && <span class="spinner" aria-hidden="true" />}
      {children}
      {action.isBusy && <span class="sr-only">, please wait</span>}
    </button>
  );
}
