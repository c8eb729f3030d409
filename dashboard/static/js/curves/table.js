// A chart's table: how each curve is drawn, and what it is at the cursor.
import { setField } from "../dom.js";
import { showNumber } from "../format.js";
import { countUntil } from "../places.js";

/** How a row's curve is drawn: as the line in its first cell is. */
export function readStroke(row) {
  const style = getComputedStyle(row.querySelector("line"));
  const dash = style.strokeDasharray === "none" ? [] : style.strokeDasharray.split(",").map(parseFloat);
  return { stroke: style.stroke, width: parseFloat(style.strokeWidth), dash };
}

/** The colours of a chart's axes, as the style sheet has them now. */
export function readColours(host) {
  const style = getComputedStyle(host.querySelector(".axis"));
  const rule = getComputedStyle(host.querySelector(".plot")).borderTopColor;
  return { text: style.color, rule, font: `14px ${style.fontFamily}` };
}

/** Write a curve's value at this place into its row: the mean there, its range where it stands for more points. */
export function showRow({ row, curve, places, smoothed, isSmoothed }, at) {
  const index = Math.max(0, countUntil(places, at) - 1);
  const [mean, low, high] = [curve.means, curve.lows, curve.highs].map((column) => column[index]);
  write(row, "value", showNumber(mean), mean);
  const isRange = curve.isThinned && low !== high;
  write(row, "range", isRange ? `${showNumber(low)} … ${showNumber(high)}` : "", isRange ? `${low} … ${high}` : "");
  write(row, "smoothed", isSmoothed ? showNumber(smoothed[index]) : "", isSmoothed ? smoothed[index] : undefined);
}

function write(row, field, text, exact) {
  setField(row, field, text, exact === undefined ? "" : String(exact));
}

/** What the server drew goes; what it says in words stays. */
export function takeOver(host) {
  host.classList.add("alive");
  const [box, drawn] = [host.querySelector(".plot"), host.querySelector(".drawn")];
  if (!drawn) return;
  Object.assign(box, { role: "img", ariaLabel: drawn.ariaLabel });
  drawn.remove();
}
