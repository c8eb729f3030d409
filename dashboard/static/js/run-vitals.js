// <run-vitals>: progress, time left and both losses of one run, as they come.
import { announce, findField, listen, setField, stopListening } from "./dom.js";
import { readValue, secondsLeft, showCount, showDuration, showNumber, showPercent } from "./format.js";

const WAITING_MS = 10_000;
const RECORDS = ["notice", "actions", "verdicts", "attempts", "checkpoints", "provenance", "metrics", "measures", "logits", "gradients", "neighbours"];
// What the server words anew after such an event.
const SECTIONS = {
  // Histograms may come with every iteration; they are drawn anew with the next grid.
  sample_grid_saved: ["verdicts", "metrics", "logits", "gradients"],
  neighbour_grid_saved: ["neighbours"],
  checkpoint_saved: ["checkpoints"],
  latents_fixed: ["provenance"],
  training_started: RECORDS,
  training_ended: RECORDS,
};

// Metrics that have charts of their own, which the server draws when the first point comes.
const CHARTED = /^(eval|transfer|accuracy|logits)\/|^loss\/log_ratio$/;

class RunVitals extends HTMLElement {
  connectedCallback() {
    this.name = document.title.replace(/^\d+ % · /, "");
    this.stands = `${this.dataset.attempt} ${this.dataset.cancelling}`;
    listen(this, "update", (update) => this.take(update));
    // Why a run waits changes with other runs, of which its own stream says nothing.
    const ask = () => this.dataset.state === "queued" && announce("refresh", { ids: ["notice", "verdicts"] });
    this.timer = setInterval(ask, WAITING_MS);
  }

  disconnectedCallback() {
    stopListening(this);
    clearInterval(this.timer);
  }

  take({ job, events }) {
    this.write(job);
    const stale = new Set(events.flatMap((event) => SECTIONS[event.kind] ?? []));
    if (events.some((event) => event.kind === "line_logged" && event.level !== "info")) stale.add("verdicts");
    // With the first loss the trainer has started: the server says so.
    if (!this.begun && events.some((event) => event.kind === "metrics_logged")) {
      stale.add("verdicts");
      this.begun = true;
    }
    if (events.some((event) => event.kind === "metrics_logged" && this.bringsChart(event.values))) stale.add("measures");
    if (job.state !== this.dataset.state) this.findStale(job).forEach((id) => stale.add(id));
    const stands = `${job.attempt} ${Boolean(job.cancel_requested_at)}`;
    if (this.stands !== stands) RECORDS.forEach((id) => stale.add(id));
    this.stands = stands;
    if (stale.size) announce("refresh", { ids: [...stale] });
  }

  /** Whether among these is a metric that was not there before and has a chart. */
  bringsChart(values) {
    this.charted ??= new Set([...document.querySelectorAll("#measures [data-metric]")].map((row) => row.dataset.metric));
    const fresh = Object.keys(values).filter((name) => CHARTED.test(name) && !this.charted.has(name));
    for (const name of fresh) this.charted.add(name);
    return fresh.length > 0;
  }

  /** What a new state changes; a run that ended before it drew anything needs no empty film. */
  findStale(job) {
    const isOver = !["queued", "running"].includes(job.state);
    const isEmpty = isOver && !document.querySelector("grid-timeline[data-iteration]");
    return ["vitals", "headline", ...RECORDS, ...(isEmpty ? ["bench"] : [])];
  }

  write(job) {
    const fraction = job.iteration / job.iterations;
    setField(this, "progress", `${showCount(job.iteration)} / ${showCount(job.iterations)}`);
    setField(this, "percent", showPercent(fraction));
    findField(this, "bar").value = job.iteration;
    const speed = readValue(job.latest["speed/iterations_per_second"]?.value);
    if (job.state === "running") setField(this, "time", showDuration(secondsLeft(job)));
    if (speed !== undefined) setField(this, "speed", `${showNumber(speed)} iterations/s`);
    for (const name of ["loss/generator", "loss/discriminator"]) {
      const value = readValue(job.latest[name]?.value);
      setField(this, name, showNumber(value), value === undefined ? "" : String(value));
    }
    const running = job.state === "running" ? `${showPercent(fraction)} · ` : "";
    document.title = running + this.name;
  }
}

customElements.define("run-vitals", RunVitals);
