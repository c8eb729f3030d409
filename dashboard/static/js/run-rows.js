// <run-rows>: the rows of the list move while their runs train.
import { announce, findField, listen, setField, stopListening } from "./dom.js";
import { readValue, secondsLeft, showCount, showDuration, showNumber } from "./format.js";
import { updateThumbnail } from "./thumbnail.js";

class RunRows extends HTMLElement {
  connectedCallback() {
    listen(this, "update", ({ job }) => this.take(job));
  }

  disconnectedCallback() {
    stopListening(this);
  }

  take(job) {
    const row = this.querySelector(`tr[data-run="${CSS.escape(job.id)}"]`);
    const isNew = !row || row.dataset.state !== job.state || (job.newest_sample && !findField(row, "thumbnail"));
    // A run that is not in the list yet, or has another state: the server knows where and how it stands now.
    if (isNew) announce("refresh", { ids: ["runs"] });
    if (row) this.write(row, job);
  }

  write(row, job) {
    setField(row, "progress", `${showCount(job.iteration)} / ${showCount(job.iterations)}`);
    findField(row, "bar").value = job.iteration;
    const left = secondsLeft(job);
    if (job.state === "running") setField(row, "time", showDuration(left));
    if (job.state === "running") setField(row, "time-word", left === null ? "" : "left");
    for (const name of ["loss/generator", "loss/discriminator"]) {
      const value = readValue(job.latest[name]?.value);
      setField(row, name, showNumber(value), value === undefined ? "" : String(value));
    }
    const thumbnail = findField(row, "thumbnail");
    if (thumbnail && job.newest_sample) updateThumbnail(thumbnail, job.newest_sample);
  }
}

customElements.define("run-rows", RunRows);
