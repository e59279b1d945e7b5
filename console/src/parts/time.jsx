/** A time in the viewer's zone, with UTC on hover. */

import { instant } from "../format.js";

const DATE = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium" });
const TIME = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });

/** @param {{at: Parameters<typeof instant>[0] | null | undefined, style?: "full" | "date" | "time"}} props */
export function Time({ at, style = "full" }) {
  if (!at) return null;
  const date = instant(at);
  const utc = date.toISOString();
  return (
    <time dateTime={utc} title={`${utc.slice(0, 19).replace("T", " ")} UTC`}>
      {style !== "time" && <span>{DATE.format(date)}</span>} {style !== "date" && <span>{TIME.format(date)}</span>}
    </time>
  );
}
