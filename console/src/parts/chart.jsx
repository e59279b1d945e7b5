/** A line chart. Its label says in a sentence what it shows, for those who do not see it. */

import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";

/**
 * `options` are uPlot's; a series' `stroke` may be a custom property of base.css, such as `--accent`.
 * @param {{label: string, data: import("uplot").AlignedData, height?: number,
 *   options: Omit<import("uplot").Options, "width" | "height">}} props
 */
export function Chart({ label, data, height = 220, options }) {
  const box = useRef(/** @type {HTMLDivElement | null} */ (null));
  useEffect(() => {
    const element = /** @type {HTMLDivElement} */ (box.current);
    const dark = matchMedia("(prefers-color-scheme: dark)");
    /** @type {uPlot | undefined} */
    let plot;
    const draw = () => {
      plot?.destroy();
      plot = new uPlot({ ...themed(options), width: element.clientWidth, height }, data, element);
    };
    const observer = new ResizeObserver(() => plot?.setSize({ width: element.clientWidth, height }));
    draw();
    observer.observe(element);
    dark.addEventListener("change", draw);
    return () => {
      observer.disconnect();
      dark.removeEventListener("change", draw);
      plot?.destroy();
    };
  }, [data, options, height]);
  return <div class="chart" role="img" aria-label={label} ref={box} />;
}

/**
 * Return the options with the colors of the current scheme.
 * @param {Omit<import("uplot").Options, "width" | "height">} options
 */
function themed(options) {
  const style = getComputedStyle(document.documentElement);
  const color = (/** @type {any} */ name) =>
    typeof name === "string" && name.startsWith("--") ? style.getPropertyValue(name) : name;
  const axis = { stroke: color("--muted"), grid: { stroke: color("--line") }, ticks: { stroke: color("--line") } };
  return {
    ...options,
    series: options.series.map((each) => ({ ...each, stroke: color(each.stroke), fill: color(each.fill) })),
    bands: options.bands?.map((each) => ({ ...each, fill: color(each.fill) })),
    axes: (options.axes ?? [{}, {}]).map((each) => ({ ...axis, ...each })),
  };
}
