// <compare-timelines data-axis [data-at]>: the grids of all compared runs, and the place at which they are shown. Without
// a place in the address it follows the last one that all runs have reached.
//   in:  ganvas:update, ganvas:place {at}; no `at` means: follow
//   out: ganvas:compared {axis, at, places, shown: {run: {frames, index, number, note, letter}}}, ganvas:clocks,
//        ganvas:grown {urls}
import { countUntil, describePlace, setClock, writePlace } from "../../charts/scripts/axis.js";
import { below, readAddress, RestingAddress } from "../../static/core/address.js";
import { announce, findField, listen, setField, stopListening } from "../../static/core/dom.js";
import { showCount, showDuration } from "../../static/core/format.js";
import { readTimeline } from "../../timeline/scripts/frames.js";

// A running run's grids, curves and numbers are refreshed this often.
const REFRESH_MS = 3000;

/** Round to tenths of a second. */
const tenths = (value) => Math.round(10 * value) / 10;

/** One run's grids along the axis, with the place of each; the server computes the same places. */
class Track {
  /** iteration, length: how far the run has come, in iterations and on the axis. */
  constructor({ axis, run, number, scale, origin, iteration, length }) {
    Object.assign(this, { axis, run, number, scale, origin, iteration, length, frames: [], places: [] });
  }

  get metricsUrl() {
    return below(`/jobs/${this.run}/metrics`);
  }

  /** Fetch the run's timeline; false when the request failed. */
  async load() {
    const response = await fetch(below(`/runs/${this.run}/timeline.json`)).catch(() => undefined);
    if (!response?.ok) return false;
    this.frames = readTimeline(await response.json());
    this.isLoaded = true;
    let latest = 0;
    this.places = this.frames.map(({ iteration, created }) => {
      if (this.axis !== "time") return iteration * this.scale;
      return (latest = Math.max(latest, tenths(created / 1000 - this.origin)));
    });
    if (this.axis === "time") this.tellClock();
    return true;
  }

  /** Set the times of iterations: at the start, at each grid, and at the newest iteration. */
  tellClock() {
    const iterations = [0, ...this.frames.map(({ iteration }) => iteration)];
    const seconds = [0, ...this.places];
    iterations.push(Math.max(this.iteration, iterations.at(-1)));
    seconds.push(Math.max(this.length, seconds.at(-1)));
    setClock(this.metricsUrl, iterations, seconds);
  }

  /** Take the progress of the run. */
  take({ state, iteration }) {
    this.iteration = iteration;
    if (state === "running") this.length = Math.max(this.length, tenths(Date.now() / 1000 - this.origin));
  }

  /** What is shown at this place: {frames, index, note}; the index is -1 before the first grid, the note its caption. */
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

/** Every place at which a run has a grid, rising. */
function allPlaces(tracks) {
  return [...new Set(tracks.flatMap(({ places }) => places))].sort((a, b) => a - b);
}

/** The last place that all runs with grids have reached. */
function lastCommon(tracks) {
  return Math.min(...tracks.filter(({ places }) => places.length).map(({ places }) => places.at(-1)));
}

/** The runs that the server lists within this element. */
function readTracks(host, axis) {
  return [...host.querySelectorAll("[data-track]")].map(({ dataset: { track, number, ...numbers } }) => {
    const [scale, origin, iteration, length] = ["scale", "origin", "iteration", "length"].map((name) => Number(numbers[name]));
    return new Track({ axis, run: track, number, scale, origin, iteration, length });
  });
}

/** A letter for each frame's fixed latents, equal where cells can be compared; "" without a frame or known latents. */
function nameLatents(frames) {
  const keys = frames.map((frame) => frame?.latents_sha256 && `${frame.latents_sha256} ${frame.rows} ${frame.columns}`);
  const known = [...new Set(keys.filter(Boolean))];
  return keys.map((key) => (key ? String.fromCharCode(65 + known.indexOf(key)) : ""));
}

/** A sentence about the latents of all runs, [{letter, number, frame}]. */
function describeLatents(runs) {
  const shown = runs.filter(({ letter }) => letter);
  const unknown = runs.filter(({ letter, frame }) => frame && !letter).map(({ number }) => number);
  if (unknown.length && shown.length + unknown.length > 1) return `The latents of ${unknown.join(", ")} are not known: compare what is drawn as a whole, not cell by cell.`;
  if (shown.length < 2) return "";
  const groups = Map.groupBy(shown, ({ letter }) => letter);
  if (groups.size === 1) return "Same fixed latents: a cell shows the same latents in every run.";
  const parts = [...groups].sort(([a], [b]) => (a < b ? -1 : 1)).map(([letter, members]) => `${letter}: ${members.map(({ number }) => number).join(", ")}`);
  return `Different fixed latents (${parts.join("; ")}): a cell shows the same latents only in runs of one letter. Between letters, compare what is drawn as a whole, not cell by cell.`;
}

class CompareTimelines extends HTMLElement {
  async connectedCallback() {
    const axis = this.dataset.axis;
    this.tracks = readTracks(this, axis);
    this.changed = new Set();
    this.places = [];
    this.at = readAddress("at") && this.dataset.at ? Number(this.dataset.at) : undefined;
    this.address = new RestingAddress(() => announce("refresh", { ids: ["numbers"] }));
    listen(this, "place", ({ at }) => this.pick(at));
    listen(this, "update", ({ job }) => this.take(job));
    await this.load(this.tracks);
    this.settle();
  }

  disconnectedCallback() {
    stopListening(this);
    cancelAnimationFrame(this.pending);
    clearTimeout(this.timer);
    this.address?.cancel();
  }

  async load(tracks) {
    const loaded = await Promise.all(tracks.map((track) => track.load()));
    this.places = allPlaces(this.tracks);
    if (this.dataset.axis === "time") announce("clocks");
    // Retry what failed.
    tracks.filter((_, index) => !loaded[index]).forEach((track) => this.ask(track));
  }

  /** A run has changed: if it is one of these, its grids will be fetched anew. */
  take(job) {
    const track = this.tracks.find(({ run }) => run === job.id);
    track?.take(job);
    if (track) this.ask(track);
  }

  ask(track) {
    if (!this.isConnected) return;
    this.changed.add(track);
    this.timer ??= setTimeout(() => this.refresh(), REFRESH_MS);
  }

  async refresh() {
    const changed = [...this.changed];
    this.changed.clear();
    this.timer = undefined;
    await this.load(changed);
    if (!this.isConnected) return;
    // The page was rendered before the first grid of any run: the server renders this element anew.
    const isFirst = !this.dataset.at && this.tracks.some(({ frames }) => frames.length);
    announce("refresh", { ids: isFirst ? [this.id, "numbers"] : ["numbers"] });
    const groups = [...document.querySelectorAll('[data-url*="/job-groups/"]')].map(({ dataset }) => dataset.url);
    const grown = groups.filter((url) => changed.some(({ run }) => url.includes(run)));
    announce("grown", { urls: [...changed.map(({ metricsUrl }) => metricsUrl), ...new Set(grown)] });
    this.settle();
  }

  pick(at) {
    this.at = at;
    this.settle();
    this.address.write({ at: at === undefined ? undefined : writePlace(at) });
  }

  settle() {
    this.pending ??= requestAnimationFrame(() => this.tell());
  }

  tell() {
    this.pending = undefined;
    const { places, dataset: { axis } } = this;
    if (!places.length || !this.isConnected || !this.tracks.every(({ isLoaded }) => isLoaded)) return;
    const at = this.at ?? lastCommon(this.tracks);
    const seen = this.tracks.map((track) => track.at(at));
    const grids = seen.map(({ frames, index }) => frames[index]);
    const letters = nameLatents(grids);
    const shown = Object.fromEntries(this.tracks.map(({ run, number }, place) => [run, { ...seen[place], number, letter: letters[place] }]));
    setField(this, "at", `At ${describePlace(axis, at)}`);
    findField(this, "all-latents").textContent = describeLatents(this.tracks.map(({ number }, place) => ({ number, letter: letters[place], frame: grids[place] })));
    announce("compared", { axis, at, places, common: lastCommon(this.tracks), shown });
  }
}

customElements.define("compare-timelines", CompareTimelines);
