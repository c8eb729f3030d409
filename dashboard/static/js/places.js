// Places on the axis of curves and of compared runs, in words; dashboard/views/places.py says the same.
import { showCount, showDuration } from "./format.js";

export function showPlace(axis, place) {
  return axis === "time" ? showDuration(place) : showCount(Math.round(place));
}

export function describePlace(axis, place) {
  const shown = showPlace(axis, place);
  if (axis === "time") return `${shown} after the start`;
  return axis === "images" ? `${shown} images seen` : `iteration ${shown}`;
}

/** A place as an address says it. */
export const writePlace = (place) => place.toFixed(1).replace(/\.0$/, "");

/** How many of the rising places are at this one or before. */
export function countUntil(places, at) {
  let [low, high] = [0, places.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (places[middle] <= at) low = middle + 1;
    else high = middle;
  }
  return low;
}
