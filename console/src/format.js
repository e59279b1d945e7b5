/** Numbers and times as the console shows them. */

const NUMBER = new Intl.NumberFormat("en");

/** @param {number} value */
export const number = (value) => NUMBER.format(value);

/** @param {number} value */
export const credits = (value) => `${number(value)} ${Math.abs(value) === 1 ? "credit" : "credits"}`;

/**
 * The digits behind the point of Stripe's amounts, where Stripe differs from ISO 4217.
 * @type {Record<string, number>}
 */
const STRIPE_DIGITS = { ISK: 2, MGA: 0, UGX: 2 };

/**
 * @param {number} amount in minor units, such as cents
 * @param {string} currency
 */
export function money(amount, currency) {
  const code = currency.toUpperCase();
  const format = new Intl.NumberFormat("en", { style: "currency", currency: code });
  const digits = STRIPE_DIGITS[code] ?? format.resolvedOptions().maximumFractionDigits ?? 2;
  return format.format(amount / 10 ** digits);
}

const TAKING = new Set(["deduction", "reversal", "forfeit"]);

/**
 * Return the credits of a ledger's entry, negative if it takes them.
 * @param {{type: string, credits: number}} entry
 */
export const signedCredits = ({ type, credits }) => (TAKING.has(type) ? -credits : credits);

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
