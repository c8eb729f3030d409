// <queue-watch>: the queue and the workers as they are now. Jobs tell of themselves; workers' loads are asked for.
import { announce, listen, stopListening } from "./dom.js";

const EVERY_MS = 5000;
const SECTIONS = ["queue-summary", "workers", "waiting"];

class QueueWatch extends HTMLElement {
  connectedCallback() {
    this.states = new Map();
    listen(this, "update", ({ job }) => this.take(job));
    this.timer = setInterval(() => document.hidden || this.refresh(), EVERY_MS);
  }

  disconnectedCallback() {
    stopListening(this);
    clearInterval(this.timer);
  }

  /** A job that only goes on changes nothing here. */
  take(job) {
    const stands = `${job.state} ${job.attempt}`;
    if (this.states.get(job.id) !== stands) this.refresh();
    this.states.set(job.id, stands);
  }

  refresh() {
    announce("refresh", { ids: SECTIONS });
  }
}

customElements.define("queue-watch", QueueWatch);
