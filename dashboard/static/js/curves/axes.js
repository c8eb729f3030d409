// The axes of a chart: places below, values at the left, each as wide as its labels are.
import { showTick } from "../format.js";
import { showPlace } from "../places.js";

// Iterations and images are whole, so the axis counts in whole steps: 1, 2, 5, 10, … Time counts as clocks do.
const WHOLE_STEPS = Array.from({ length: 13 }, (_, power) => [1, 2, 5].map((factor) => factor * 10 ** power)).flat();
const MINUTES = [1, 2, 5, 10, 20, 30, 60, 120, 240, 480, 720, 1440, 2880, 7200, 14_400, 43_200];
const TIME_STEPS = [1, 2, 5, 10, 20, 30, ...MINUTES.map((minutes) => 60 * minutes)];
const GAP = 6;
const LEAST_WIDTH = 40;
const ruler = document.createElement("canvas").getContext("2d");

/** How wide the widest of these labels is, in pixels. */
function widthOf(labels, font) {
  ruler.font = font;
  return Math.ceil(Math.max(0, ...labels.map((label) => ruler.measureText(label ?? "").width)));
}

/** uPlot's axes for places up to this length, and the padding that the last label needs at the right. */
export function buildAxes({ axis, length, isLog }, colours) {
  const { font } = colours;
  const widest = widthOf([showPlace(axis, length)], font);
  const each = { stroke: colours.text, font, gap: GAP, ticks: { show: false } };
  const below = {
    ...each,
    grid: { show: false },
    size: 28,
    space: widest + 40,
    values: (u, ticks) => ticks.map((tick) => (tick === null ? null : showPlace(axis, tick))),
  };
  if (!isLog) below.incrs = axis === "time" ? TIME_STEPS : WHOLE_STEPS;
  const left = {
    ...each,
    grid: { stroke: colours.rule, width: 1 },
    size: (u, labels) => Math.max(LEAST_WIDTH, widthOf(labels ?? [], font) + GAP + 2),
    values: (u, ticks) => ticks.map((tick) => (tick === null ? null : showTick(tick))),
  };
  return { axes: [below, left], padding: [8, Math.ceil(widest / 2) + GAP, 0, 0] };
}
