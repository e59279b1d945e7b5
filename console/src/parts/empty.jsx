/** An empty list: what is missing, and what to do first. */

/** @param {{title: any, children?: any}} props */
export function Empty({ title, children }) {
  return (
    <div class="empty">
      <p class="empty-title">{title}</p>
      {children && <p>{children}</p>}
    </div>
  );
}
