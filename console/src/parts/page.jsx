/** The heading of a view, and the view itself. */

/** @param {{title: string, lead?: any, actions?: any, children?: any}} props */
export function Page({ title, lead, actions, children }) {
  return (
    <div class="page">
      <div class="page-head">
        <div>
          <h1 tabIndex={-1}>{title}</h1>
          {lead && <p class="lead">{lead}</p>}
        </div>
        {actions && <div class="row">{actions}</div>}
      </div>
      {children}
    </div>
  );
}
