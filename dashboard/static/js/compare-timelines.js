// <compare-timelines data-axis [data-at]>: knows the grids of all compared runs and the place at which they are shown.
// Without a place in the address it follows the last one that all runs have reached.
//   in:  ganvas:update, ganvas:place {at}, where no place means: follow
//   out: ganvas:compared {axis, at, places, shown: {run: {frames, index, number, note, letter}}}, ganvas:clocks, :grown {urls}
import { readAddress, RestingAddress } from "./address.js";
import { announce, findField, listen, setField, stopListening } from "./dom.js";
import { describeLatents, nameLatents } from "./compare-latents.js";
import { allPlaces, lastCommon, readTracks } from "./compare-tracks.js";
import { describePlace, writePlace } from "./places.js";

// Of a run that goes on, grids and curves are taken in this often, and numbers are worded anew.
const REFRESH_MS = 3000;

class CompareTimelines extends HTMLElement {
  async connectedCallback() {
    const axis = this.dataset.axis;
    this.tracks = readTracks(this, axis);
    this.changed = new Set();
    this.places = [];
    this.at = readAddress("at") && this.dataset.at ? Number(this.dataset.at) : undefined;
    this.address = new RestingAddress(() => announce("refresh", { ids: ["numbers"] }));
    listen(this, "place", ({ at }) => this.pick(at));
    listen(this, "update", ({ job }) => this.hear(job));
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
    // The service was away: soon again.
    tracks.filter((_, place) => !loaded[place]).forEach((track) => this.ask(track));
  }

  /** Something happened to a run: if it is one of these, its grids are fetched anew, soon. */
  hear(job) {
    const track = this.tracks.find(({ run }) => run === job.id);
    track?.hear(job);
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
    // The page was drawn before the first grid of all: the server draws the film anew.
    const isFirst = !this.dataset.at && this.tracks.some(({ frames }) => frames.length);
    announce("refresh", { ids: isFirst ? [this.id, "numbers"] : ["numbers"] });
    announce("grown", { urls: changed.map(({ metricsUrl }) => metricsUrl) });
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
    const letters = nameLatents(seen.map(({ frames, index }) => frames[index]));
    const shown = Object.fromEntries(this.tracks.map(({ run, number }, place) => [run, { ...seen[place], number, letter: letters[place] }]));
    setField(this, "at", `At ${describePlace(axis, at)}`);
    findField(this, "all-latents").textContent = describeLatents(this.tracks.map(({ number }, place) => ({ number, letter: letters[place] })));
    announce("compared", { axis, at, places, common: lastCommon(this.tracks), shown });
  }
}

customElements.define("compare-timelines", CompareTimelines);
