// The axes of a chart: whole iterations below, values at the left, each as wide as its labels are.
import { showCount, showTick } from "../format.js";

// Iterations are whole, so the axis counts in whole steps: 1, 2, 5, 10, …
const WHOLE_STEPS = Array.from({ length: 10 }, (_, power) => [1, 2, 5].map((factor) => factor * 10 ** power)).flat();
const GAP = 6;
const LEAST_WIDTH = 40;
const ruler = document.createElement("canvas").getContext("2d");

/** How wide the widest of these labels is, in pixels. */
function widthOf(labels, font) {
  ruler.font = font;
  return Math.ceil(Math.max(0, ...labels.map((label) => ruler.measureText(label ?? "").width)));
}

/** uPlot's axes for a run of this length, and the padding that the last label needs at the right. */
export function buildAxes(iterations, colours, isLog) {
  const { font } = colours;
  const widest = widthOf([showCount(iterations)], font);
  const axis = { stroke: colours.text, font, gap: GAP, ticks: { show: false } };
  const below = {
    ...axis,
    grid: { show: false },
    size: 28,
    space: widest + 40,
    values: (u, ticks) => ticks.map((tick) => (tick === null ? null : showCount(tick))),
  };
  if (!isLog) below.incrs = WHOLE_STEPS;
  const left = {
    ...axis,
    grid: { stroke: colours.rule, width: 1 },
    size: (u, labels) => Math.max(LEAST_WIDTH, widthOf(labels ?? [], font) + GAP + 2),
    values: (u, ticks) => ticks.map((tick) => (tick === null ? null : showTick(tick))),
  };
  return { axes: [below, left], padding: [8, Math.ceil(widest / 2) + GAP, 0, 0] };
}
