// <compare-timelines data-axis [data-at]>: knows the grids of all compared runs and the place at which they are shown.
// Without a place in the address it follows the last one that all runs have reached.
//   in:  ganvas:update, ganvas:place {at}, where no place means: follow
//   out: ganvas:compared {axis, at, places, shown: {run: {frames, index, note, letter}}}
import { announce, findField, listen, setField, stopListening } from "./dom.js";
import { describeLatents, nameLatents } from "./compare-latents.js";
import { allPlaces, describePlace, lastCommon, Track, writePlace } from "./compare-tracks.js";

// Of a run that goes on, grids are taken in this often, and numbers and curves are drawn anew.
const REFRESH_MS = 3000;
// A browser counts changes of the address: one when the slider rests.
const REST_MS = 250;
const WORDED = ["curves", "numbers"];

class CompareTimelines extends HTMLElement {
  async connectedCallback() {
    const axis = this.dataset.axis;
    this.tracks = [...this.querySelectorAll("[data-track]")].map(({ dataset: { track, number, scale, origin } }) => new Track({ axis, run: track, number, scale: Number(scale), origin: Number(origin) }));
    this.changed = new Set();
    this.places = [];
    const asked = new URLSearchParams(location.search).get("at");
    this.at = asked && this.dataset.at ? Number(this.dataset.at) : undefined;
    listen(this, "place", ({ at }) => this.pick(at));
    listen(this, "update", ({ job }) => this.hear(job));
    await this.load(this.tracks);
    this.settle();
  }

  disconnectedCallback() {
    stopListening(this);
    cancelAnimationFrame(this.pending);
    for (const timer of [this.timer, this.rest]) clearTimeout(timer);
  }

  async load(tracks) {
    const loaded = await Promise.all(tracks.map((track) => track.load()));
    this.places = allPlaces(this.tracks);
    // The service was away: soon again.
    tracks.filter((_, place) => !loaded[place]).forEach((track) => this.ask(track));
  }

  /** Something happened to a run: if it is one of these, its grids are fetched anew, soon. */
  hear(job) {
    const track = this.tracks.find(({ run }) => run === job.id);
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
    announce("refresh", { ids: isFirst ? [this.id, ...WORDED] : WORDED });
    this.settle();
  }

  pick(at) {
    this.at = at;
    this.settle();
    clearTimeout(this.rest);
    this.rest = setTimeout(() => this.remember(), REST_MS);
  }

  remember() {
    const address = new URL(location.href);
    if (this.at === undefined) address.searchParams.delete("at");
    else address.searchParams.set("at", writePlace(this.at));
    history.replaceState(history.state, "", address);
    announce("refresh", { ids: WORDED });
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
    const shown = Object.fromEntries(this.tracks.map(({ run }, place) => [run, { ...seen[place], letter: letters[place] }]));
    setField(this, "at", `At ${describePlace(axis, at)}`);
    findField(this, "all-latents").textContent = describeLatents(this.tracks.map(({ number }, place) => ({ number, letter: letters[place] })));
    announce("compared", { axis, at, places, common: lastCommon(this.tracks), shown });
  }
}

customElements.define("compare-timelines", CompareTimelines);
