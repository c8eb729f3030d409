// <run-rows>: the rows or pictures of the list of runs; they are updated as messages come, and new runs appear.
import { below } from "../../static/core/address.js";
import { announce, findField, listen, setField, setMetric, stopListening } from "../../static/core/dom.js";
import { readValue, secondsLeft, showCount, showDuration, showNumber, showProgress } from "../../static/core/format.js";

// All sparklines of a page are one file, fetched anew at most this often.
const SPARKLINES_MS = 10_000;
const GROUPS_MS = 5000;
const THUMBNAIL_CELLS = 2;
const ENDINGS = { queued: "Waits again", succeeded: "Done", failed: "Failed", cancelled: "Cancelled" };

/** Show another grid's first 2 × 2 cells in a thumbnail, as the server's `thumbnail_of` does. */
function updateThumbnail(svg, sample) {
  const columns = Math.min(sample.columns, THUMBNAIL_CELLS);
  const rows = Math.min(sample.rows, THUMBNAIL_CELLS);
  const image = svg.querySelector("image");
  const url = below(sample.url);
  if (image.getAttribute("href") === url) return;
  svg.setAttribute("viewBox", `0 0 ${columns * sample.cell_width} ${rows * sample.cell_height}`);
  image.setAttribute("width", sample.columns * sample.cell_width);
  image.setAttribute("height", sample.rows * sample.cell_height);
  image.setAttribute("href", url);
}

// MLflow's client prints addresses of its own server for the runs that it logs here.
const [, mlflowRun] = /^#\/experiments\/\d+\/runs\/([0-9a-f]{32})/.exec(location.hash) ?? [];
if (mlflowRun) location.replace(below(`/runs/${mlflowRun}`));

class RunRows extends HTMLElement {
  asked = new Set();

  connectedCallback() {
    listen(this, "update", (update) => this.take(update));
  }

  disconnectedCallback() {
    stopListening(this);
    clearTimeout(this.timer);
  }

  take({ job, id }) {
    if ("grouped" in this.dataset) return this.refreshGroups();
    const row = this.querySelector(`[data-run="${CSS.escape(job.id)}"]`);
    // A run that is new, deleted or in another state changes the list: the server renders it anew.
    if (!row || row.dataset.state !== job.state || job.deleted_at || this.wantsPicture(row, job)) {
      announce("refresh", { ids: ["runs"] });
    }
    if (row) this.write(row, job);
    if (row && findField(row, "sparkline")) this.refreshSparklines(id);
    this.takeLive(job);
  }

  /** Of a run that ends its picture stays, so that the list below does not move under a reader's hand. */
  takeLive(job) {
    const card = document.querySelector(`[data-live="${CSS.escape(job.id)}"]`);
    if (card) {
      this.write(card, job);
      if (job.state === "running") return;
      setField(card, "time", ENDINGS[job.state]);
      setField(card, "time-word", "");
    } else if (job.state === "running" && !this.asked.has(job.id)) {
      // Once: more may train than are shown.
      this.asked.add(job.id);
      announce("refresh", { ids: ["live"] });
    }
  }

  wantsPicture(row, job) {
    return job.newest_sample && row.querySelector(".no-grid, .newest-grid.none");
  }

  write(row, job) {
    setField(row, "progress", showProgress(job));
    const bar = findField(row, "bar");
    if (bar) bar.value = job.iteration;
    const left = secondsLeft(job, this.dataset.speed);
    if (job.state === "running" && job.iterations) setField(row, "time", showDuration(left));
    if (job.state === "running" && job.iterations) setField(row, "time-word", left === null ? "" : "left");
    for (const [name, latest] of Object.entries(job.latest)) {
      const value = readValue(latest.value);
      setMetric(row, name, showNumber(value), value === undefined ? "" : String(value));
    }
    if (job.newest_sample) this.showSample(row, job.newest_sample);
    this.showVerdict(row, job);
    this.showScore(row, job);
  }

  /** The best value so far of what judges the run. */
  showScore(row, { latest }) {
    const node = findField(row, "score");
    const value = readValue(latest[node?.dataset.metric]?.value);
    const best = Number(node?.dataset.value);
    if (!Number.isFinite(value) || (node.dataset.better === "lower" ? value >= best : value <= best)) return;
    Object.assign(node, { textContent: showNumber(value), title: String(value) });
    node.dataset.value = value;
  }

  /** Of a run that waits, or has no spec, no verdict is said before it was examined, as in the server's `find_verdict`. */
  showVerdict(row, { state, origin, verdict }) {
    const node = findField(row, "verdict");
    node.dataset.tone = verdict.tone;
    setField(row, "verdict", (state === "queued" || origin !== "ganlib") && verdict.tone === "unknown" ? "" : verdict.text);
  }

  showSample(row, sample) {
    const thumbnail = findField(row, "thumbnail");
    if (thumbnail) updateThumbnail(thumbnail, sample);
    const grid = findField(row, "grid");
    const url = below(sample.url);
    if (!grid || grid.getAttribute("src") === url) return;
    grid.src = url;
    grid.hidden = false;
    grid.alt = grid.alt.replace(/[\d,]+$/, showCount(sample.iteration));
  }

  /** Means over groups are computed anew, but not with every message. */
  refreshGroups() {
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      // Not under a reader's hand: what is unfolded stays.
      if (!this.querySelector("details[open]")) announce("refresh", { ids: ["runs"] });
    }, GROUPS_MS);
  }

  refreshSparklines(id) {
    this.newest = id;
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      for (const use of this.querySelectorAll(".spark use")) {
        use.setAttribute("href", use.getAttribute("href").replace(/v=\d+#/, `v=${this.newest}#`));
      }
    }, SPARKLINES_MS);
  }
}

customElements.define("run-rows", RunRows);
