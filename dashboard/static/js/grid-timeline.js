// <grid-timeline data-samples-url [data-iteration]>: knows all grids of a run and which one is selected.
// At the newest grid it follows the run; elsewhere it stays and counts what is new.
import { announce, listen, stopListening } from "./dom.js";
import { addFrame, dropFramesAfter, frameOf, nearestFrame } from "./frames.js";

const NEIGHBOURS = 4;

class GridTimeline extends HTMLElement {
  connectedCallback() {
    this.frames = [];
    this.unseen = 0;
    this.iteration = Number(this.dataset.iteration ?? -1);
    this.following = !new URLSearchParams(location.search).has("iteration");
    listen(this, "update", (update) => this.take(update));
    listen(this, "pick", ({ iteration }) => this.pick(iteration));
    if (this.dataset.iteration) this.load();
  }

  disconnectedCallback() {
    stopListening(this);
  }

  async load() {
    let cursor = "";
    do {
      const response = await fetch(`${this.dataset.samplesUrl}?limit=1000${cursor}`).catch(() => undefined);
      if (!response?.ok || !this.isConnected) break;
      const page = await response.json();
      for (const sample of page.items) addFrame(this.frames, sample);
      cursor = page.next ? `&cursor=${encodeURIComponent(page.next)}` : "";
    } while (cursor);
    if (this.isConnected) this.settle();
  }

  take({ events, job }) {
    for (const event of events) {
      if (event.kind === "attempt_started") dropFramesAfter(this.frames, event.resumed_from);
      if (event.kind === "sample_grid_saved") this.add(frameOf(event, job.newest_sample?.created_at));
    }
    const changed = events.some(({ kind }) => kind === "attempt_started" || kind === "sample_grid_saved");
    // The page was drawn before the first grid: the server draws the empty film anew.
    if (changed && !this.dataset.iteration) announce("refresh", { ids: ["timeline", "strip"] });
    else if (changed) this.settle();
  }

  add(frame) {
    new Image().src = frame.url;
    if (addFrame(this.frames, frame) && !this.following) this.unseen += 1;
  }

  pick(iteration) {
    if (!this.frames.length) return;
    const index = nearestFrame(this.frames, iteration);
    this.iteration = this.frames[index].iteration;
    this.following = index === this.frames.length - 1;
    this.settle();
  }

  settle() {
    if (!this.frames.length) return;
    const last = this.frames.length - 1;
    const index = this.following ? last : nearestFrame(this.frames, this.iteration);
    if (index === last) this.unseen = 0;
    this.iteration = this.frames[index].iteration;
    for (const near of this.frames.slice(index + 1, index + 1 + NEIGHBOURS)) new Image().src = near.url;
    announce("frames", { frames: this.frames, index, unseen: this.unseen });
  }
}

customElements.define("grid-timeline", GridTimeline);
