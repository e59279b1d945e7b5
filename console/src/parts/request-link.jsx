/** A link to a request, by the beginning of its id. */

import { href } from "../router.js";

/** @param {{id: string}} props */
export function RequestLink({ id }) {
  return (
    <a href={href(`/requests/${id}`)}>
      <code>{id.slice(0, 8)}</code>
    </a>
  );
}
