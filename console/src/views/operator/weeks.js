/** ISO weeks in UTC, as the weekly reports count them. */

/** A report of a busy week takes minutes. */
export const REPORT_SECONDS = 600;

const DAY_MS = 86_400_000;

/** @param {string} week */
export const reportPath = (week) => `/operator/reports/${week}`;

/**
 * Return the newest week that was over at a time, such as 2026-W46.
 * @param {Date} at
 */
export function weekBefore(at) {
  // The ISO year of a week is the year of its Thursday.
  const weekday = (at.getUTCDay() + 6) % 7;
  const today = Date.UTC(at.getUTCFullYear(), at.getUTCMonth(), at.getUTCDate());
  const thursday = new Date(today + (3 - weekday - 7) * DAY_MS);
  const year = thursday.getUTCFullYear();
  const week = 1 + Math.floor((thursday.getTime() - Date.UTC(year, 0, 1)) / (7 * DAY_MS));
  return `${year}-W${String(week).padStart(2, "0")}`;
}

const WEEKDAY = new Intl.DateTimeFormat("en-GB", { weekday: "short", day: "numeric", timeZone: "UTC" });
const DATE = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "long", year: "numeric", timeZone: "UTC" });

/** @param {string} day such as 2026-11-09 */
export const weekday = (day) => WEEKDAY.format(new Date(`${day}T00:00:00Z`));

/** @param {string} day such as 2026-11-09 */
export const date = (day) => DATE.format(new Date(`${day}T00:00:00Z`));
