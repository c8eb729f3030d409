// <grid-timeline data-run-url [data-iteration]>: all grids of a run and the selected one.
// At the newest grid it follows the run; elsewhere it stays and counts new grids. It announces changes at most once a
// frame.
import { readAddress, RestingAddress } from "../../static/core/address.js";
import { announce, listen, stopListening } from "../../static/core/dom.js";
import { addFrame, dropFramesAfter, frameOf, nearestFrame, readTimeline } from "./frames.js";

const RETRY_MS = 3000;

class GridTimeline extends HTMLElement {
  connectedCallback() {
    this.frames = [];
    this.waiting = [];
    this.unseen = 0;
    this.last = 0;
    this.iteration = Number(this.dataset.iteration ?? -1);
    this.following = readAddress("iteration") === null;
    this.address = new RestingAddress();
    listen(this, "update", (update) => this.take(update));
    listen(this, "pick", ({ iteration }) => this.pick(iteration));
    if (this.dataset.iteration) this.load();
  }

  disconnectedCallback() {
    stopListening(this);
    cancelAnimationFrame(this.pending);
    clearTimeout(this.retry);
    this.address.cancel();
  }

  /** Fetch all grids; messages of the stream wait meanwhile. */
  async load() {
    this.loading = true;
    const response = await fetch(`${this.dataset.runUrl}/timeline.json`).catch(() => undefined);
    const timeline = response?.ok ? await response.json().catch(() => undefined) : undefined;
    if (!this.isConnected) return;
    if (!timeline) {
      this.retry = setTimeout(() => this.load(), RETRY_MS);
      return;
    }
    this.loading = false;
    this.frames = readTimeline(timeline);
    this.last = timeline.last_event_id;
    for (const update of this.waiting.splice(0)) this.take(update);
    this.settle();
  }

  take(update) {
    if (this.loading) this.waiting.push(update);
    else if (update.id > this.last) this.takeEvents(update);
  }

  takeEvents({ events, job }) {
    let changed = false;
    for (const event of events) {
      if (event.kind === "attempt_started") dropFramesAfter(this.frames, event.resumed_from);
      else if (event.kind === "sample_grid_saved") this.add(frameOf(event, job.newest_sample?.created_at));
      else continue;
      changed = true;
    }
    // The page was rendered before the first grid: the server renders the timeline anew.
    if (changed && !this.dataset.iteration) announce("refresh", { ids: ["timeline"] });
    else if (changed) this.settle();
  }

  add(frame) {
    if (addFrame(this.frames, frame) && !this.following) this.unseen += 1;
  }

  pick(iteration) {
    if (!this.frames.length) return;
    const index = nearestFrame(this.frames, iteration);
    this.iteration = this.frames[index].iteration;
    this.following = index === this.frames.length - 1;
    // Without an iteration the address follows the run.
    this.address.write({ iteration: this.following ? undefined : this.iteration });
    this.settle();
  }

  settle() {
    this.pending ??= requestAnimationFrame(() => this.tell());
  }

  tell() {
    this.pending = undefined;
    if (!this.frames.length || !this.isConnected) return;
    const last = this.frames.length - 1;
    const index = this.following ? last : nearestFrame(this.frames, this.iteration);
    if (index === last) this.unseen = 0;
    this.iteration = this.frames[index].iteration;
    announce("frames", { frames: this.frames, index, unseen: this.unseen });
  }
}

customElements.define("grid-timeline", GridTimeline);
