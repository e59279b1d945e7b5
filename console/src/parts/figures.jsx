/** The main numbers of a view, each with its name and short notes. */

/**
 * @typedef {{name: string, value: import("preact").ComponentChild, isBad?: boolean,
 *   notes?: import("preact").ComponentChild[]}} Figure
 * @param {{label: string, of: Figure[]}} props
 */
export function Figures({ label, of }) {
  return (
    <dl class="figures" aria-label={label}>
      {of.map(({ name, value, isBad, notes = [] }) => (
        <div key={name} class="figure card">
          <dt>{name}</dt>
          <dd class={isBad ? "figure-value bad" : "figure-value"}>{value}</dd>
          {notes.map((note, index) => (
            <dd key={index} class="muted">
              {note}
            </dd>
          ))}
        </div>
      ))}
    </dl>
  );
}
