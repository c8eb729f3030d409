// <queue-watch>: refreshes the queue and the workers: when a job changes its state, and every few seconds for the load.
import { announce, listen, stopListening } from "../../static/core/dom.js";

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

  /** Progress alone changes nothing here. */
  take(job) {
    const state = `${job.state} ${job.attempt}`;
    if (this.states.get(job.id) !== state) this.refresh();
    this.states.set(job.id, state);
  }

  refresh() {
    announce("refresh", { ids: SECTIONS });
  }
}

customElements.define("queue-watch", QueueWatch);
