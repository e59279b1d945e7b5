/** Numbers and times as the console shows them. */

const NUMBER = new Intl.NumberFormat("en");

/** @param {number} value */
export const number = (value) => NUMBER.format(value);

/** @param {number} value */
export const credits = (value) => `${number(value)} ${Math.abs(value) === 1 ? "credit" : "credits"}`;

const SHARE = new Intl.NumberFormat("en", { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 });

/** @param {number | null | undefined} part 0 to 1, or nothing if there is no whole */
export const share = (part) => (part === null || part === undefined ? "–" : SHARE.format(part));

/** @param {number} milliseconds */
export function duration(milliseconds) {
  if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`;
  const seconds = milliseconds / 1000;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.round((seconds % 3600) / 60)} min`;
}

/**
 * Return a time of the API (RFC 3339), of Firestore (Timestamp) or a Date as a Date.
 * @param {string | Date | {toDate: () => Date}} value
 */
export function instant(value) {
  if (value instanceof Date) return value;
  return typeof value === "string" ? new Date(value) : value.toDate();
}
