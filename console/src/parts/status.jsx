/** A badge for a status, by color and by word. */

/** @type {Record<string, "good" | "bad" | "warn" | "busy">} */
const KINDS = {
  completed: "good",
  delivered: "good",
  enabled: "good",
  paid: "good",
  failed: "bad",
  disputed: "bad",
  "given up": "bad",
  canceled: "warn",
  paused: "warn",
  failing: "warn",
  refunded: "warn",
  partially_refunded: "warn",
  open: "busy",
  pending: "busy",
  processing: "busy",
};

/** @param {{of: string}} props */
export function Status({ of }) {
  return <span class={`badge ${KINDS[of] ?? ""}`}>{of.replaceAll("_", " ")}</span>;
}
