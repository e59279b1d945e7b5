/** Says that something is waited for, and for what. */

/** @param {{children?: any}} props */
export function Waiting({ children = "Loading" }) {
  return (
    <p class="waiting" role="status">
      <span class="spinner" aria-hidden="true" />
      {children}…
    </p>
  );
}
