// Where runs stand on the axis on which they are compared; dashboard/views/compare_tracks.py and _grids.py say the same.
import { readTimeline } from "./frames.js";
import { showCount, showDuration } from "./format.js";

const tenths = (value) => Math.round(10 * value) / 10;

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

/** One run along an axis: its grids, and the place of each. */
export class Track {
  constructor({ axis, run, number, scale, origin }) {
    Object.assign(this, { axis, run, number, scale, origin, frames: [], places: [] });
  }

  /** Fetch the run's timeline; false when the service does not answer. */
  async load() {
    const response = await fetch(`/runs/${this.run}/timeline.json`).catch(() => undefined);
    if (!response?.ok) return false;
    this.frames = readTimeline(await response.json());
    this.isLoaded = true;
    let latest = 0;
    this.places = this.frames.map(({ iteration, created }) => {
      if (this.axis !== "time") return iteration * this.scale;
      return (latest = Math.max(latest, tenths(created / 1000 - this.origin)));
    });
    return true;
  }

  /** What is seen at this place: {frames, index}, its index -1 before the first grid, and what the caption says. */
  at(place) {
    const index = countUntil(this.places, place) - 1;
    return { frames: this.frames, index, note: this.describe(index, place) };
  }

  describe(index, place) {
    if (!this.frames.length) return "No sample grid yet";
    if (index < 0) return `No grid this early; the first is of iteration ${showCount(this.frames[0].iteration)}`;
    if (this.axis === "time") return `after ${showDuration(this.places[index])}`;
    const away = showCount(Math.round(place - this.places[index]));
    return away === "0" ? "" : `nearest before, by ${away}${this.axis === "images" ? " images" : ""}`;
  }
}

/** Every place at which some run has a grid, rising. */
export function allPlaces(tracks) {
  return [...new Set(tracks.flatMap(({ places }) => places))].sort((a, b) => a - b);
}

/** The last place to which all runs that have grids have come. */
export function lastCommon(tracks) {
  return Math.min(...tracks.filter(({ places }) => places.length).map(({ places }) => places.at(-1)));
}

export function describePlace(axis, place) {
  if (axis === "time") return `${showDuration(place)} after the start`;
  return axis === "images" ? `${showCount(Math.round(place))} images seen` : `iteration ${showCount(Math.round(place))}`;
}

/** A place as an address says it. */
export const writePlace = (place) => place.toFixed(1).replace(/\.0$/, "");
