// The axis that curves and compared runs share: iterations, images seen or time. A place is a number on it.
// Labels and positions are the same as the server's (its axis labels and its compared tracks).
import { showCount, showDuration } from "../../static/core/format.js";

export function showPlace(axis, place) {
  return axis === "time" ? showDuration(place) : showCount(Math.round(place));
}

export function describePlace(axis, place) {
  const shown = showPlace(axis, place);
  if (axis === "time") return `${shown} after the start`;
  return axis === "images" ? `${shown} images seen` : `iteration ${shown}`;
}

/** A place as it is named and kept in the address: a whole iteration or image, a tenth of a second. */
export const roundPlace = (axis, place) => (axis === "time" ? Math.round(10 * place) / 10 : Math.round(place));

/** A place as the page's address holds it. */
export const writePlace = (place) => place.toFixed(1).replace(/\.0$/, "");

/** How many of these rising places are at or before this one (a binary search). */
export function countUntil(places, at) {
  let [low, high] = [0, places.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (places[middle] <= at) low = middle + 1;
    else high = middle;
  }
  return low;
}

// Positions: {placeOf(iteration), iterationAt(place)} of one run. On an axis that counts, each iteration has the same
// length (a row's data-scale; 1 without it). On an axis of time it has not: setClock gives the known moments.
const clocks = new Map();

/** Set when iterations of the run with these metrics were done, as rising columns; times in between are interpolated. */
export function setClock(url, iterations, seconds) {
  clocks.set(url, {
    placeOf: (iteration) => interpolate(iterations, seconds, iteration),
    iterationAt: (place) => interpolate(seconds, iterations, place),
  });
}

/** The positions of a row's curve; undefined while its clock is not known. */
export function positionsOf({ dataset: { scale = "1", url } }) {
  if (scale === "") return clocks.get(url);
  const factor = Number(scale);
  return { placeOf: (iteration) => iteration * factor, iterationAt: (place) => place / factor };
}

/** The iteration up to which a run had come at a place; Infinity is the newest. */
export const iterationUntil = ({ iterationAt }, at) => (at === Infinity ? at : Math.max(0, Math.floor(iterationAt(at))));

/** The length of a run's axis in iterations: as planned while it may get there, else where it ended. Without a planned
 *  end it grows in steps, from the length that is shown. */
export function lengthOfRun({ state, iteration, iterations }, shown) {
  const isOver = !["queued", "running"].includes(state);
  if (isOver || iterations) return Math.max(1, isOver ? iteration : iterations);
  return iteration <= shown ? shown : Math.ceil(1.1 * iteration);
}

/** The smallest window of whole iterations that holds this window of places. */
export function iterationsOf({ iterationAt }, { from, to }) {
  return { from: Math.max(0, Math.floor(iterationAt(from))), to: Math.ceil(iterationAt(to)) };
}

/** Linear interpolation: the value in `others` where `known` has the wanted one. */
function interpolate(known, others, wanted) {
  const right = Math.min(Math.max(1, countUntil(known, wanted)), known.length - 1);
  const [first, last, low, high] = [known[right - 1], known[right], others[right - 1], others[right]];
  const share = last > first ? Math.min(1, (wanted - first) / (last - first)) : 1;
  return low + share * (high - low);
}
