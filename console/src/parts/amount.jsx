/** A number of credits in a table. */

import { number } from "../format.js";

/** @param {{credits: number, isSigned?: boolean}} props */
export function Amount({ credits, isSigned = false }) {
  const sign = isSigned && credits > 0 ? "+" : "";
  return <span class="amount">{`${sign}${number(credits)}`.replace("-", "\u2212")}</span>;
}
