/** A time in the viewer's zone, with UTC on hover. */

import { instant } from "../format.js";

const FORMATS = {
  full: new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" }),
  date: new Intl.DateTimeFormat("en-GB", { dateStyle: "medium" }),
  time: new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" }),
};

/** @param {{at: Parameters<typeof instant>[0] | null | undefined, style?: keyof typeof FORMATS}} props */
export function Time({ at, style = "full" }) {
  if (!at) return null;
  const date = instant(at);
  const utc = date.toISOString();
  return (
    <time dateTime={utc} title={`${utc.slice(0, 19).replace("T", " ")} UTC`}>
      {FORMATS[style].format(date)}
    </time>
  );
}
