/** A link to a user's page for operators. */

import { href } from "../router.js";

/** @param {{id: string, children?: import("preact").ComponentChildren}} props */
export function UserLink({ id, children }) {
  return <a href={href(`/operator/users/${encodeURIComponent(id)}`)}>{children ?? <code>{id}</code>}</a>;
}
