// How far a chart's axes reach, and how they count.
import { describeBeyond, fullRange, usualRange } from "../series.js";

// uPlot's numbers for them; asinh is logarithmic away from 0 and has room for what is below it.
export const [LINEAR, LOG, ASINH] = [1, 3, 4];
const ROOM = 1.2;

/** Every finite value of these lines in the window; both ends of a stretch that stands for more points. */
export function finiteValues(lines, window = { from: -Infinity, to: Infinity }) {
  const found = [];
  for (const { curve, places } of lines) {
    for (let i = 0; i < places.length; i += 1) {
      const isOutside = places[i] < window.from || places[i] > window.to;
      if (isOutside || !Number.isFinite(curve.means[i])) continue;
      found.push(curve.lows[i]);
      if (curve.highs[i] !== curve.lows[i]) found.push(curve.highs[i]);
    }
  }
  return found;
}

/** The places in view on an axis of this length. A logarithmic one begins at 1. */
export function rangeOfPlaces({ x, window }, length) {
  const { from, to } = window ?? { from: 0, to: length };
  return x === "log" ? [Math.max(1, from), Math.max(2, to)] : [from, Math.max(from + 1, to)];
}

/** How the axis of the values counts. */
export function distributionOf(y, values) {
  if (y !== "log") return LINEAR;
  return values.every((value) => value > 0) ? LOG : ASINH;
}

/** The axis of the values as [low, high], and what to say of those beyond it. */
export function rangeOfValues(y, values, distribution) {
  if (distribution === LOG && values.length) {
    const [low, high] = [values.reduce((a, b) => Math.min(a, b)), values.reduce((a, b) => Math.max(a, b))];
    return { range: [low / ROOM, high * ROOM], beyond: "" };
  }
  const range = (y === "usual" ? usualRange : fullRange)(values);
  return { range, beyond: describeBeyond(values, ...range) };
}
