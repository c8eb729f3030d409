// <live-stream data-src data-after [data-job]>: the page's one connection to the service's event stream.
// It starts after the event with which the page was rendered, so that nothing is missed or repeated.
// A button in the page's menu lets the browser tell of serious faults; the page then listens while it is hidden, too.
import { below } from "./address.js";
import { announce, build } from "./dom.js";

const RETRY_MS = 3000;
const ENDED = new Set(["succeeded", "failed", "cancelled"]);
const WORDS = { live: "Live", reconnecting: "Reconnecting …", ended: "" };

const WANTED = "ganvas_fault_alerts";
const DENIED = "This browser denies notifications of this page: allow them in its settings for this site.";

/** Notifications of serious faults: a button that asks for them, and the messages themselves. */
class Alerts {
  constructor() {
    this.told = new Set();
    this.said = build("span", { className: "quiet", role: "status" });
    this.button = build("button", { type: "button", onclick: () => this.toggle() }, "Notify me");
    this.node = build("span", { className: "alerts" }, this.button, this.said);
    this.show();
  }

  // Without https a browser has none.
  static get isPossible() {
    return "Notification" in window && isSecureContext;
  }

  get isOn() {
    return Alerts.isPossible && Notification.permission === "granted" && localStorage.getItem(WANTED) === "on";
  }

  async toggle() {
    if (this.isOn) localStorage.removeItem(WANTED);
    else if ((await Notification.requestPermission()) === "granted") localStorage.setItem(WANTED, "on");
    this.said.textContent = Notification.permission === "denied" ? DENIED : "";
    this.show();
  }

  show() {
    this.button.ariaPressed = String(this.isOn);
    this.button.title = this.isOn ? "This page tells of serious faults" : "Let this page tell of serious faults, also while it is hidden";
  }

  /** Tell of each serious fault once, when it begins. */
  take({ job, events }) {
    if (!this.isOn) return;
    for (const { kind, severity, ended, rule, since, text } of events) {
      const tag = `${job.id} ${rule} ${since}`;
      if (kind !== "finding_reported" || severity !== "serious" || typeof ended === "number" || this.told.has(tag)) continue;
      this.told.add(tag);
      const note = new Notification(job.name, { body: text, tag });
      note.onclick = () => {
        window.focus();
        location.assign(below(`/runs/${encodeURIComponent(job.id)}`));
        note.close();
      };
    }
  }
}

class LiveStream extends HTMLElement {
  connectedCallback() {
    this.after = this.dataset.after;
    this.word = this.querySelector("[role=status]") ?? this.appendChild(build("span"));
    this.abort = new AbortController();
    this.alerts = new Alerts();
    if (Alerts.isPossible) document.getElementById("alerts")?.append(this.alerts.node);
    document.addEventListener("visibilitychange", () => (this.isIdle ? this.close() : this.open()), this.abort);
    this.open();
  }

  /** A browser allows six connections to one host: a hidden page closes its own, unless it is to tell of faults. */
  get isIdle() {
    return document.hidden && !this.alerts.isOn;
  }

  disconnectedCallback() {
    this.abort.abort();
    this.alerts.node.remove();
    this.close();
  }

  open() {
    if (this.source || this.dataset.status === "ended" || this.isIdle) return;
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
    this.alerts.take(update);
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
    this.title = status === "live" ? "Live: this page changes as the runs do" : "";
  }
}

customElements.define("live-stream", LiveStream);
