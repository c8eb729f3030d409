// <curve-chart data-axis data-length data-points [data-metrics-url]>: curves of one run or of several, one a table row.
//
// A row of its table is a series: <tr data-metric [data-url data-scale]>, whose first cell holds a <svg><line>, drawn as
// the curve is, and its name; cells with data-field="value", "range" and "smoothed" say what it is at the cursor.
// data-url: the metrics of the curve's own run, by default the chart's; data-scale: how its iterations lie on the axis
// (curves/placings.js). Add or remove a row and call `load()`.
// Charts of a page share settings and cursor (curves/settings.js).
//   in:  ganvas:update, :frames, :compared, :point, :curves, :theme, :clocks, :grown {urls}
//   out: ganvas:pick {iteration} or, where runs are compared, ganvas:place {at}; ganvas:point {at}, ganvas:curves
import { listen, setField, stopListening } from "./dom.js";
import { Cursor } from "./curves/cursor.js";
import { linesOf } from "./curves/lines.js";
import { Marks, readAttempts } from "./curves/marks.js";
import { placingOf } from "./curves/placings.js";
import { Plot } from "./curves/plot.js";
import { change, selection, settings } from "./curves/settings.js";
import { Sources, whenSeen } from "./curves/sources.js";
import { readColours, takeOver } from "./curves/table.js";

class CurveChart extends HTMLElement {
  connectedCallback() {
    this.box = this.querySelector(".plot");
    this.sources = new Sources(this.dataset.metricsUrl, Number(this.dataset.points));
    listen(this, "update", (update) => this.take(update));
    this.cursor = new Cursor(this);
    for (const moved of ["frames", "compared"]) listen(this, moved, () => this.cursor.select());
    listen(this, "point", ({ at }) => this.cursor.hover(at));
    listen(this, "clocks", () => this.isAsked && !this.plot && this.load());
    listen(this, "grown", ({ urls }) => this.plot && this.sources.reload(urls).then(() => this.refresh()));
    listen(this, "curves", ({ changed }) => this.reshow(changed));
    listen(this, "theme", () => this.plot && this.rebuild());
    // A chart that nobody has scrolled to asks for nothing.
    this.stopWaiting = whenSeen(this, () => this.load());
    this.observer = new ResizeObserver(() => this.plot?.fit(this.box));
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

  /** Fetch what the rows name, and draw it, once it is known where that lies. */
  async load() {
    this.isAsked = true;
    if (!this.rows.every(placingOf)) return;
    if ((await this.sources.load(this.rows, settings.window)) && this.isConnected) this.rebuild();
  }

  /** Put the live chart in the place of the one that the server drew, or of the one before. */
  rebuild() {
    this.plot?.destroy();
    takeOver(this);
    const on = {
      zoom: (window) => change({ window }),
      reset: () => change({ window: undefined }),
      hover: (at) => this.cursor.point(at),
      pick: (at) => this.cursor.pick(at),
      move: () => this.settle(),
    };
    const [{ axis, length }, colours] = [this.dataset, readColours(this)];
    this.plot = new Plot(this.box, linesOf(this.rows, this.sources), { settings, axis, known: Number(length), colours, on });
    this.marks = new Marks(this.plot.u, readAttempts(this));
    this.observer.observe(this.box);
    this.cursor.show();
  }

  reshow(changed) {
    if (!this.plot) return;
    if (changed.includes("window")) this.load();
    if (changed.every((name) => name === "smoothing")) this.refresh();
    else this.rebuild();
  }

  take(update) {
    this.sources.take(update);
    this.pending ??= requestAnimationFrame(() => this.refresh());
  }

  refresh() {
    this.pending = undefined;
    if (!this.isConnected || !this.plot) return;
    if (this.plot.update(linesOf(this.rows, this.sources))) this.cursor.show();
    else this.rebuild();
  }

  /** The axes stand. */
  settle() {
    this.marks?.settle(selection.at);
    if (this.plot) setField(this, "beyond", this.plot.beyond);
  }
}

customElements.define("curve-chart", CurveChart);
