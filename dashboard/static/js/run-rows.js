// <run-rows>: the runs of the list, as rows or pictures; each stays as it is now, and new ones come in.
import { announce, findField, listen, setField, stopListening } from "./dom.js";
import { readValue, secondsLeft, showCount, showDuration, showNumber } from "./format.js";
import { updateThumbnail } from "./thumbnail.js";

// All sparklines of a page are one file; it is fetched anew this often at most.
const SPARKLINES_MS = 10_000;

class RunRows extends HTMLElement {
  connectedCallback() {
    listen(this, "update", (update) => this.take(update));
  }

  disconnectedCallback() {
    stopListening(this);
    clearTimeout(this.timer);
  }

  take({ job, id }) {
    const row = this.querySelector(`[data-run="${CSS.escape(job.id)}"]`);
    // A run that is not in the list yet, has another state, or was deleted: the server knows where it stands now.
    if (!row || row.dataset.state !== job.state || job.deleted_at || this.wantsPicture(row, job)) {
      announce("refresh", { ids: ["runs"] });
    }
    if (row) this.write(row, job);
    if (row && findField(row, "sparkline")) this.refreshSparklines(id);
  }

  wantsPicture(row, job) {
    return job.newest_sample && row.querySelector(".no-grid, .newest-grid.none");
  }

  write(row, job) {
    setField(row, "progress", `${showCount(job.iteration)} / ${showCount(job.iterations)}`);
    const bar = findField(row, "bar");
    if (bar) bar.value = job.iteration;
    const left = secondsLeft(job);
    if (job.state === "running") setField(row, "time", showDuration(left));
    if (job.state === "running") setField(row, "time-word", left === null ? "" : "left");
    for (const [name, latest] of Object.entries(job.latest)) {
      const value = readValue(latest.value);
      setField(row, name, showNumber(value), value === undefined ? "" : String(value));
    }
    if (job.newest_sample) this.showSample(row, job.newest_sample);
  }

  showSample(row, sample) {
    const thumbnail = findField(row, "thumbnail");
    if (thumbnail) updateThumbnail(thumbnail, sample);
    const grid = findField(row, "grid");
    if (!grid || grid.getAttribute("src") === sample.url) return;
    grid.src = sample.url;
    grid.alt = grid.alt.replace(/[\d,]+$/, showCount(sample.iteration));
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
