// Where runs stand on the axis on which they are compared; dashboard/views/compare_tracks.py and _grids.py say the same.
import { setClock } from "./curves/placings.js";
import { readTimeline } from "./frames.js";
import { showCount, showDuration } from "./format.js";
import { countUntil } from "./places.js";

const tenths = (value) => Math.round(10 * value) / 10;

/** One run along an axis: its grids, and the place of each. */
export class Track {
  /** iteration, length: how far the run has come, as a number of iterations and on the axis. */
  constructor({ axis, run, number, scale, origin, iteration, length }) {
    Object.assign(this, { axis, run, number, scale, origin, iteration, length, frames: [], places: [] });
  }

  get metricsUrl() {
    return `/jobs/${this.run}/metrics`;
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
    if (this.axis === "time") this.setClock();
    return true;
  }

  /** Say when iterations were done: at the start, at each grid, and at the newest iteration. */
  setClock() {
    const iterations = [0, ...this.frames.map(({ iteration }) => iteration)];
    const seconds = [0, ...this.places];
    setClock(this.metricsUrl, [...iterations, Math.max(this.iteration, iterations.at(-1))], [...seconds, Math.max(this.length, seconds.at(-1))]);
  }

  /** The run has come further. */
  hear({ state, iteration }) {
    this.iteration = iteration;
    if (state === "running") this.length = Math.max(this.length, tenths(Date.now() / 1000 - this.origin));
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

/** The runs that the server names within this element. */
export function readTracks(host, axis) {
  return [...host.querySelectorAll("[data-track]")].map(({ dataset: { track, number, ...numbers } }) => {
    const [scale, origin, iteration, length] = ["scale", "origin", "iteration", "length"].map((name) => Number(numbers[name]));
    return new Track({ axis, run: track, number, scale, origin, iteration, length });
  });
}
