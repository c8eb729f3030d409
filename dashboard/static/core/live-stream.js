// <live-stream data-src data-after [data-job]>: the page's one connection to the service's event stream.
// It starts after the event with which the page was rendered, so that nothing is missed or repeated.
import { announce, build } from "./dom.js";

const RETRY_MS = 3000;
const ENDED = new Set(["succeeded", "failed", "cancelled"]);
const WORDS = { live: "Live", reconnecting: "Reconnecting …", ended: "" };

class LiveStream extends HTMLElement {
  connectedCallback() {
    this.after = this.dataset.after;
    this.word = this.querySelector("[role=status]") ?? this.appendChild(build("span"));
    this.abort = new AbortController();
    // A browser allows six connections to one host: a hidden page closes its own.
    document.addEventListener("visibilitychange", () => (document.hidden ? this.close() : this.open()), this.abort);
    this.open();
  }

  disconnectedCallback() {
    this.abort.abort();
    this.close();
  }

  open() {
    if (this.source || this.dataset.status === "ended" || document.hidden) return;
    const source = new EventSource(`${this.dataset.src}?after=${encodeURIComponent(this.after)}`);
    this.source = source;
    source.addEventListener("open", () => this.show("live"));
    source.addEventListener("update", (message) => this.take(message));
    source.addEventListener("error", () => {
      if (this.source !== source) return;
      this.show("reconnecting");
      // The browser reconnects by itself, but gives up when the service answered with an error.
      if (source.readyState === EventSource.CLOSED) {
        this.close();
        this.retry = setTimeout(() => this.open(), RETRY_MS);
      }
    });
  }

  take(message) {
    this.after = message.lastEventId || this.after;
    const update = JSON.parse(message.data);
    announce("update", update);
    if (this.dataset.job && ENDED.has(update.job.state)) {
      this.show("ended");
      this.close();
    }
  }

  close() {
    clearTimeout(this.retry);
    this.source?.close();
    this.source = undefined;
  }

  show(status) {
    if (this.dataset.status === status) return;
    this.dataset.status = status;
    this.word.textContent = WORDS[status];
  }
}

customElements.define("live-stream", LiveStream);
