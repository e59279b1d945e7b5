/** Shows the requests of each day as a chart and as a table. */

import { useMemo } from "preact/hooks";
import { number, share } from "../../format.js";
import { Table } from "../../parts/table.jsx";
import { DaysChart, isOutside } from "./days-chart.jsx";
import { weekday } from "./weeks.js";

/** @param {{of: any}} props */
export function ReportDays({ of }) {
  // The same array while the report is the same, so that the chart is not drawn again.
  const days = useMemo(() => daysOf(of), [of]);
  return (
    <>
      <DaysChart days={days} />
      <Table
        caption="Requests by day"
        columns={[
          "Day",
          { title: "Requests", isNumeric: true },
          { title: "Expected", isNumeric: true },
          { title: "Failed", isNumeric: true },
          { title: "Success", isNumeric: true },
          { title: "Deducted", isNumeric: true },
          { title: "Refunded", isNumeric: true },
          { title: "Net", isNumeric: true },
        ]}
      >
        {days.map((/** @type {any} */ day) => (
          <tr key={day.day}>
            <th scope="row">{weekday(day.day)}</th>
            <td class={isOutside(day) ? "numeric bad" : "numeric"}>{number(day.requests)}</td>
            <td class="numeric">{day.band ? `${number(day.band.low)} to ${number(day.band.high)}` : "–"}</td>
            <td class="numeric">{number(day.failed)}</td>
            <td class="numeric">{share(day.successRate)}</td>
            <td class="numeric">{number(day.creditsDeducted)}</td>
            <td class="numeric">{number(day.creditsRefunded)}</td>
            <td class="numeric">{number(day.creditsNet)}</td>
          </tr>
        ))}
      </Table>
    </>
  );
}

/** @param {any} report */
function daysOf({ days, expected }) {
  const bands = new Map(expected.map((/** @type {any} */ band) => [band.day, band]));
  return days.map((/** @type {any} */ day) => ({ ...day, band: bands.get(day.day) }));
}
