/** Shows what was loaded, or that it is waited for, or why it cannot be loaded. */

import { Empty } from "./empty.jsx";
import { ErrorNote } from "./error-note.jsx";
import { Waiting } from "./waiting.jsx";

/**
 * `empty` is the text of an empty state, or a function of the value that returns it or a falsy value.
 * @template T
 * @param {{of: import("../load.js").Load<T> | import("../live.js").Live, waiting?: string,
 *   empty?: (value: any) => any, children: (value: any) => any}} props
 */
export function Loaded({ of, waiting, empty, children }) {
  const { value, error, isLoading } = of;
  const retry = "reload" in of ? () => void of.reload() : undefined;
  const note = <ErrorNote error={error} retry={retry} />;
  if (value === undefined || value === null) return isLoading ? <Waiting>{waiting}</Waiting> : note;
  const emptiness = empty?.(value);
  return (
    <div aria-busy={isLoading}>
      {note}
      {emptiness ? typeof emptiness === "string" ? <Empty title={emptiness} /> : emptiness : children(value)}
    </div>
  );
}

/**
 * @template T
 * @param {{of: import("../load.js").Pages<T>, waiting?: string, empty: any, children: (items: T[]) => any}} props
 */
export function Paged({ of, waiting, empty, children }) {
  const { items, first, error, isLoading, hasMore, more, reload } = of;
  if (!first && isLoading) return <Waiting>{waiting}</Waiting>;
  const isEmpty = first && items.length === 0 && !hasMore;
  return (
    <div aria-busy={isLoading}>
      <ErrorNote error={error} retry={() => void (first && hasMore ? more() : reload())} />
      {isEmpty ? typeof empty === "string" ? <Empty title={empty} /> : empty : first && children(items)}
      {first && hasMore && !error && (
        <p class="more">
          <button class="button" type="button" disabled={isLoading} onClick={() => void more()}>
            {isLoading ? "Loading…" : "Show more"}
          </button>
        </p>
      )}
      <p class="sr-only" role="status">
        {isLoading ? "Loading" : ""}
      </p>
    </div>
  );
}
