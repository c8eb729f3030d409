// <run-vitals>: progress and time left of one run; refreshes the sections that the server renders.
import { announce, findField, listen, setField, stopListening } from "../../static/core/dom.js";
import { readValue, secondsLeft, showCount, showDuration, showNumber, showPercent, showProgress } from "../../static/core/format.js";

const WAITING_MS = 10_000;
const JUDGED = ["verdict", "findings", "verdicts", "best"];
const RECORDS = [...JUDGED, "notice", "actions", "attempts", "checkpoints", "provenance", "data", "metrics", "measures", "logits", "gradients", "neighbours"];
// The sections to refresh after an event of this kind.
const SECTIONS = {
  // Histograms may come every iteration; they are refreshed with the next grid.
  sample_grid_saved: ["verdicts", "best", "metrics", "logits", "gradients"],
  neighbour_grid_saved: ["neighbours"],
  checkpoint_saved: ["checkpoints"],
  latents_fixed: ["provenance"],
  finding_reported: JUDGED,
  file_saved: ["files", "images"],
  // Findings after the checkpoint that an attempt goes on from are gone.
  attempt_started: JUDGED,
  training_started: RECORDS,
  training_ended: RECORDS,
};

/** Show the picture of each series that belongs to the timeline's iteration: its own, or the newest of the strip before. */
function showSeries(iteration) {
  for (const series of document.querySelectorAll(".series")) {
    const links = [...series.querySelectorAll("a[data-iteration]")];
    const shown = links.findLast((link) => Number(link.dataset.iteration) <= iteration) ?? links[0];
    const [image, source] = [series.querySelector("figure img"), shown.querySelector("img").src];
    if (image.src === source) continue;
    links.find((link) => link.ariaCurrent)?.removeAttribute("aria-current");
    shown.ariaCurrent = "true";
    const label = showCount(Number(shown.dataset.iteration));
    Object.assign(image, { src: source, alt: image.alt.replace(/[\d,]+$/, label) });
    setField(series, "series-iteration", label);
    setField(series, "series-note", "");
  }
}

/** Unfold the records that the address names, as links to them do. */
function unfoldNamed() {
  const named = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  const record = named && (named.closest(".record") ?? named.querySelector(".record"));
  if (record) record.open = true;
}

class RunVitals extends HTMLElement {
  connectedCallback() {
    this.name = document.title.replace(/^\d+ % · /, "");
    this.stands = `${this.dataset.attempt} ${this.dataset.cancelling}`;
    listen(this, "update", (update) => this.take(update));
    listen(this, "frames", ({ frames, index }) => showSeries(frames[index].iteration));
    // The reason for waiting depends on other runs, which are not in this run's stream.
    unfoldNamed();
    addEventListener("hashchange", unfoldNamed, { signal: this.listeners.signal });
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
    this.writeVerdict(job.verdict);
    if (stale.has("best")) for (const { id } of document.querySelectorAll(".marks")) stale.add(id);
    if (events.some((event) => event.kind === "line_logged" && event.level !== "info")) stale.add("verdicts");
    if (events.some((event) => event.kind === "line_logged" && event.about === "data")) stale.add("data");
    // The first loss: the trainer has started.
    if (!this.begun && events.some((event) => event.kind === "metrics_logged")) {
      stale.add("verdicts");
      // A page that waited for the first values of somebody's own loop has a chart from now on.
      if (document.querySelector(".no-curves")) for (const id of ["vitals", "bench"]) stale.add(id);
      this.begun = true;
    }
    if (events.some((event) => event.kind === "metrics_logged" && this.isNew(event.values))) stale.add("measures");
    if (job.state !== this.dataset.state) this.findStale(job).forEach((id) => stale.add(id));
    const stands = `${job.attempt} ${Boolean(job.cancel_requested_at)}`;
    if (this.stands !== stands) RECORDS.forEach((id) => stale.add(id));
    this.stands = stands;
    if (stale.size) announce("refresh", { ids: [...stale] });
  }

  /** A verdict that names no other finding is written at once; the server renders links to findings. */
  writeVerdict({ text, tone }) {
    const node = findField(document.querySelector("#verdict"), "verdict");
    if (node.textContent && !node.querySelector("a")) setField(node.parentElement, "verdict", text);
    node.dataset.tone = tone;
  }

  /** Whether one of these metrics was never logged before: it may have a chart, which the server renders. */
  isNew(values) {
    this.known ??= new Set([...document.querySelectorAll('metric-choice input[name="metric"]')].map((box) => box.value));
    const fresh = Object.keys(values).filter((name) => !this.known.has(name));
    for (const name of fresh) this.known.add(name);
    return fresh.length > 0;
  }

  /** The sections that a new state changes. A run that ended without a grid needs no empty timeline. */
  findStale(job) {
    const isOver = !["queued", "running"].includes(job.state);
    const isEmpty = isOver && !document.querySelector("grid-timeline[data-iteration]");
    return ["vitals", "headline", ...RECORDS, ...(isEmpty ? ["bench"] : [])];
  }

  write(job) {
    const share = job.iterations ? showPercent(job.iteration / job.iterations) : "";
    setField(this, "progress", showProgress(job));
    setField(this, "percent", share);
    const bar = findField(this, "bar");
    if (bar) bar.value = job.iteration;
    const speed = readValue(job.latest[this.dataset.speed]?.value);
    // Of a run that is over the server says the whole time, and the speed that it makes.
    const isPlanned = job.state === "running" && job.iterations;
    if (isPlanned) setField(this, "time", showDuration(secondsLeft(job, this.dataset.speed)));
    if (job.state === "running" && speed !== undefined) setField(this, "speed", `${showNumber(speed)} iterations/s`);
    const running = isPlanned ? `${share} · ` : "";
    document.title = running + this.name;
  }
}

customElements.define("run-vitals", RunVitals);
