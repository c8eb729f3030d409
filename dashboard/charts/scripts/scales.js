// The ranges and scales of a chart's axes. usualRange, reachReals and describeBeyond do what the server's
// chart does.
import { showCount, showNumber } from "../../static/core/format.js";

// uPlot's codes of scales; asinh is logarithmic away from 0 and also shows values at and below 0.
export const [LINEAR, LOG, ASINH] = [1, 3, 4];
const ROOM = 1.2;

/** Every finite value of these lines in the window; of a stretch, its lowest and its highest. */
export function finiteValues(lines, window = { from: -Infinity, to: Infinity }) {
  const values = [];
  for (const { curve, places } of lines) {
    for (let i = 0; i < places.length; i += 1) {
      const isOutside = places[i] < window.from || places[i] > window.to;
      if (isOutside || !Number.isFinite(curve.means[i])) continue;
      values.push(curve.lows[i]);
      if (curve.highs[i] !== curve.lows[i]) values.push(curve.highs[i]);
    }
  }
  return values;
}

/** The range of the x axis of this length. A logarithmic one begins at 1. */
export function rangeOfPlaces({ x, window }, length) {
  const { from, to } = window ?? { from: 0, to: length };
  return x === "log" ? [Math.max(1, from), Math.max(2, to)] : [from, Math.max(from + 1, to)];
}

/** The scale of the y axis. */
export function distributionOf(y, values) {
  if (y !== "log") return LINEAR;
  return values.every((value) => value > 0) ? LOG : ASINH;
}

/** The range of the y axis, [low, high], and a sentence about values beyond it. reals: what real images get. */
export function rangeOfValues(y, values, distribution, isThinned, reals = []) {
  if (distribution === LOG && values.length) {
    const shown = [...values, ...reals.filter((real) => real > 0)];
    const [low, high] = [shown.reduce((a, b) => Math.min(a, b)), shown.reduce((a, b) => Math.max(a, b))];
    return { range: [low / ROOM, high * ROOM], beyond: "" };
  }
  const range = reachReals((y === "usual" ? usualRange : fullRange)(values), reals);
  return { range, beyond: describeBeyond(values, ...range, isThinned) };
}

const REAL_ROOM = 0.08;

/** The range, wide enough for what real images get. */
export function reachReals([low, high], reals) {
  for (const real of reals) {
    if (real < low) low = real === 0 ? 0 : real - REAL_ROOM * (high - real);
    else if (real > high) high = real + REAL_ROOM * (real - low);
  }
  return [low, high];
}

const SPIKE_REACH = 3;
// Values that differ by less, as a share of them, are one flat line.
const FLAT = 0.002;
const [FURTHEST, NARROWEST] = [1e300, 1e-300];

/** Clamp a value to what an axis can hold without an overflow. */
function withinReach(value) {
  return Math.min(Math.max(value, -FURTHEST), FURTHEST);
}

/** The values without their spikes, with a little room, from 0 where that is near. */
export function usualRange(values) {
  if (!values.length) return [0, 1];
  const ordered = values.map(withinReach).toSorted((a, b) => a - b);
  const quarter = Math.floor(ordered.length / 4);
  const [lower, upper] = [ordered[quarter], ordered.at(-1 - quarter)];
  const reach = SPIKE_REACH * (upper - lower);
  let [low, high] = [Math.max(ordered[0], lower - reach), Math.min(ordered.at(-1), upper + reach)];
  if (Math.max(high - low, Math.abs(high)) < NARROWEST) low = high = 0;
  if (high - low <= FLAT * Math.abs(high)) low = high;
  const room = 0.08 * (high - low || Math.abs(high) || 1);
  const fromZero = (low >= 0 && low <= high / 2) || (low === high && high > 0);
  return [fromZero ? 0 : low - room, high + room];
}

/** All values with a little room. */
function fullRange(values) {
  if (!values.length) return [0, 1];
  let low = withinReach(values.reduce((a, b) => Math.min(a, b)));
  let high = withinReach(values.reduce((a, b) => Math.max(a, b)));
  if (Math.max(high - low, Math.abs(high)) < NARROWEST) low = high = 0;
  const room = 0.05 * (high - low || Math.abs(high) || 1);
  return [low >= 0 && low - room < 0 ? 0 : low - room, high + room];
}

/** A sentence that says how many values are beyond the axis; a stretch of a thinned curve may hold more of them. */
export function describeBeyond(values, low, high, isThinned = false) {
  const beyond = values.filter((value) => value < low || value > high);
  if (!beyond.length) return "";
  const [least, most] = [beyond.reduce((a, b) => Math.min(a, b)), beyond.reduce((a, b) => Math.max(a, b))];
  const furthest = most > high ? `up to ${showNumber(most)}` : `down to ${showNumber(least)}`;
  const count = `${isThinned ? "at least " : ""}${showCount(beyond.length)} point${beyond.length > 1 ? "s" : ""}`;
  return `${count} beyond the axis, ${furthest}`;
}
