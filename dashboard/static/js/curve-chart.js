// <curve-chart data-metrics-url data-iterations data-points>: curves of one run or of several, one a table row.
//
// A row of its table is a series: <tr data-metric [data-url]>, whose first cell holds a <svg><line> that is drawn as
// the curve is (colour and dashes are the style sheet's), and its name; cells with data-field="value", "range" and
// "smoothed" show what it is at the cursor. data-url is where the curve's own run has its metrics; without it the
// chart's. Add or remove a row and call `load()`. Charts of a page share settings and cursor (curves/settings.js).
//   in:  ganvas:update, ganvas:frames, ganvas:point, ganvas:curves, ganvas:theme
//   out: ganvas:pick {iteration}, ganvas:point {iteration}, ganvas:curves
import { announce, listen, setField, stopListening } from "./dom.js";
import { Cursor } from "./curves/cursor.js";
import { Marks, readAttempts } from "./curves/marks.js";
import { Plot } from "./curves/plot.js";
import { change, selection, settings } from "./curves/settings.js";
import { Sources, whenSeen } from "./curves/sources.js";
import { readColours, readStroke, takeOver } from "./curves/table.js";

class CurveChart extends HTMLElement {
  connectedCallback() {
    this.box = this.querySelector(".plot");
    this.sources = new Sources(this.dataset.metricsUrl, Number(this.dataset.points));
    listen(this, "update", (update) => this.take(update));
    this.cursor = new Cursor(this);
    listen(this, "frames", () => this.cursor.select());
    listen(this, "point", ({ iteration }) => this.cursor.hover(iteration));
    listen(this, "curves", ({ changed }) => this.reshow(changed));
    listen(this, "theme", () => this.plot && this.rebuild());
    // A chart that nobody has scrolled to asks for nothing.
    this.stopWaiting = whenSeen(this, () => this.load());
    const fit = () => this.plot?.u.setSize({ width: this.box.clientWidth, height: this.box.clientHeight });
    this.observer = new ResizeObserver(fit);
  }

  disconnectedCallback() {
    stopListening(this);
    this.stopWaiting();
    this.observer.disconnect();
    this.plot?.destroy();
  }

  get rows() {
    return [...this.querySelectorAll("tr[data-metric]")];
  }

  /** Fetch what the rows name, and draw it. */
  async load() {
    if ((await this.sources.load(this.rows, settings.window ?? null)) && this.isConnected) this.rebuild();
  }

  lines() {
    return this.rows.map((row) => ({ row, curve: this.sources.curve(row), ...readStroke(row) }));
  }

  /** Put the live chart in the place of the one that the server drew, or of the one before. */
  rebuild() {
    this.plot?.destroy();
    this.marks = undefined;
    takeOver(this);
    const on = {
      zoom: (window) => change({ window }),
      reset: () => change({ window: undefined }),
      hover: (iteration) => this.cursor.point(iteration),
      pick: (iteration) => announce("pick", { iteration }),
      move: () => this.settle(),
    };
    const iterations = Number(this.dataset.iterations);
    this.plot = new Plot(this.box, this.lines(), { settings, iterations, colours: readColours(this), on });
    this.marks = new Marks(this.plot.u, readAttempts(this));
    this.observer.observe(this.box);
    this.cursor.show();
  }

  reshow(changed) {
    if (!this.plot) return;
    if (changed.includes("window")) this.load();
    if (changed.every((name) => name === "halfLife")) this.refresh();
    else this.rebuild();
  }

  take(update) {
    this.sources.take(update);
    if (this.plot) this.pending ??= requestAnimationFrame(() => this.refresh());
  }

  refresh() {
    this.pending = undefined;
    if (!this.isConnected) return;
    if (this.plot.update(this.lines())) this.cursor.show();
    else this.rebuild();
  }

  /** The axes stand. */
  settle() {
    this.marks?.settle(selection.iteration);
    if (this.plot) setField(this, "beyond", this.plot.beyond);
  }
}

customElements.define("curve-chart", CurveChart);
