// The axis that fits a curve's usual values, the same as dashboard/views/chart.py's.
import { showCount, showNumber } from "./format.js";

const SPIKE_REACH = 3;
const [FURTHEST, NARROWEST] = [1e300, 1e-300];

/** What an axis can hold: beyond it, what it is divided by is no finite number any more. */
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
  const room = 0.08 * (high - low || Math.abs(high) || 1);
  const fromZero = (low >= 0 && low <= high / 2) || (low === high && high > 0);
  return [fromZero ? 0 : low - room, high + room];
}

/** All values with a little room. */
export function fullRange(values) {
  if (!values.length) return [0, 1];
  let low = withinReach(values.reduce((a, b) => Math.min(a, b)));
  let high = withinReach(values.reduce((a, b) => Math.max(a, b)));
  if (Math.max(high - low, Math.abs(high)) < NARROWEST) low = high = 0;
  const room = 0.05 * (high - low || Math.abs(high) || 1);
  return [low >= 0 && low - room < 0 ? 0 : low - room, high + room];
}

/** Say how many values the axis leaves out. */
export function describeBeyond(values, low, high) {
  const beyond = values.filter((value) => value < low || value > high);
  if (!beyond.length) return "";
  const [least, most] = [beyond.reduce((a, b) => Math.min(a, b)), beyond.reduce((a, b) => Math.max(a, b))];
  const furthest = most > high ? `up to ${showNumber(most)}` : `down to ${showNumber(least)}`;
  return `${showCount(beyond.length)} point${beyond.length > 1 ? "s" : ""} beyond the axis, ${furthest}`;
}
