/** Draws the requests of each day over the expected range. */

import { useMemo } from "preact/hooks";
import uPlot from "uplot";
import { number } from "../../format.js";
import { Chart } from "../../parts/chart.jsx";
import { weekday } from "./weeks.js";

/** Below this width, there is no room for the day of the month. */
const NARROW_PX = 500;

/**
 * @typedef {{day: string, requests: number, band?: {expected: number, low: number, high: number}}} Day
 * @param {{days: Day[]}} props
 */
export function DaysChart({ days }) {
  const [data, options] = useMemo(() => [dataOf(days), optionsOf(days)], [days]);
  return (
    <figure class="card">
      <Chart label={sentence(days)} data={data} options={options} height={260} />
      <figcaption class="muted">
        Each bar is a day. The band is the range that is expected from earlier weeks, and the dashed line its middle. A
        day outside the band is red.
      </figcaption>
    </figure>
  );
}

/** @param {Day} day */
export const isOutside = ({ requests, band }) => Boolean(band && (requests < band.low || requests > band.high));

/** @param {Day[]} days */
function sentence(days) {
  const counts = days.map(({ day, requests }) => `${weekday(day)}: ${number(requests)}`).join(", ");
  const outside = days.filter(isOutside).map(({ day }) => weekday(day));
  return `Requests by day. ${counts}. Outside the expected range: ${outside.join(", ") || "no day"}.`;
}

/**
 * @param {Day[]} days
 * @returns {import("uplot").AlignedData}
 */
function dataOf(days) {
  return [
    days.map((_, index) => index),
    days.map(({ band }) => band?.high ?? null),
    days.map(({ band }) => band?.low ?? null),
    days.map((day) => (isOutside(day) ? null : day.requests)),
    days.map((day) => (isOutside(day) ? day.requests : null)),
    days.map(({ band }) => band?.expected ?? null),
  ];
}

/**
 * @param {Day[]} days
 * @returns {Omit<import("uplot").Options, "width" | "height">}
 */
function optionsOf(days) {
  const top = Math.max(1, ...days.map(({ requests, band }) => Math.max(requests, band?.high ?? 0)));
  const bars = /** @type {any} */ (uPlot.paths.bars)({ size: [0.5, 60], radius: 0.1 });
  const points = { show: false };
  return {
    legend: { show: false },
    cursor: { show: false },
    scales: { x: { time: false, range: [-0.6, days.length - 0.4] }, y: { range: [0, 1.1 * top] } },
    axes: [
      {
        splits: days.map((_, index) => index),
        values: (plot) => days.map(({ day }) => (plot.width < NARROW_PX ? weekday(day).slice(0, 3) : weekday(day))),
        grid: { show: false },
      },
      {},
    ],
    series: [
      {},
      { points, width: 0 },
      { points, width: 0 },
      { points, paths: bars, fill: "--accent", stroke: "--accent" },
      { points, paths: bars, fill: "--bad", stroke: "--bad" },
      { points, stroke: "--text", width: 1.5, dash: [4, 4] },
    ],
    bands: [{ series: [1, 2], fill: "--band" }],
  };
}
