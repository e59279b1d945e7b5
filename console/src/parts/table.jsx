/** A table that scrolls inside itself where the screen is narrow. */

/**
 * @param {{caption: string, columns: (string | {title: string, isNumeric?: boolean})[], children: any}} props
 */
export function Table({ caption, columns, children }) {
  return (
    <div class="table" role="region" aria-label={caption} tabIndex={0}>
      <table>
        <caption class="sr-only">{caption}</caption>
        <thead>
          <tr>
            {columns.map((column) => {
              const { title, isNumeric = false } = typeof column === "string" ? { title: column } : column;
              return (
                <th key={title} scope="col" class={isNumeric ? "numeric" : ""}>
                  {title}
                </th>
              );
            })}
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </div>
  );
}
