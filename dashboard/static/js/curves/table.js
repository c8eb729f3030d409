// A chart's table: how each curve is drawn, and what it is at the cursor.
import { setField } from "../dom.js";
import { showNumber } from "../format.js";

/** How a row's curve is drawn: as the line in its first cell is. */
export function readStroke(row) {
  const style = getComputedStyle(row.querySelector("line"));
  const dash = style.strokeDasharray === "none" ? [] : style.strokeDasharray.split(",").map(parseFloat);
  return { stroke: style.stroke, dash };
}

/** The colours of a chart's axes, as the style sheet has them now. */
export function readColours(host) {
  const style = getComputedStyle(host.querySelector(".axis"));
  const rule = getComputedStyle(host.querySelector(".plot")).borderTopColor;
  return { text: style.color, rule, font: `14px ${style.fontFamily}` };
}

/** Write a curve's value at this iteration into its row: the mean there, its range where it stands for more points. */
export function showRow({ row, curve, smoothed, isSmoothed }, iteration) {
  const { mean, low, high } = curve.at(iteration);
  write(row, "value", showNumber(mean), mean);
  const isRange = curve.isThinned && low !== high;
  write(row, "range", isRange ? `${showNumber(low)} … ${showNumber(high)}` : "", isRange ? `${low} … ${high}` : "");
  const average = isSmoothed && curve.iterations.length ? smoothed[curve.indexAt(iteration)] : undefined;
  write(row, "smoothed", isSmoothed ? showNumber(average) : "", average);
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
