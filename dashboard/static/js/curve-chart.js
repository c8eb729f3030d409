// <curve-chart data-metrics-url data-iterations data-points>: curves of one run or of several, one a table row.
//
// A row of its table is a series: <tr data-metric [data-url]>, whose first cell holds a <svg><line> that is drawn as
// the curve is (colour and dashes are the style sheet's), and its name; cells with data-field="value", "range" and
// "smoothed" show what it is at the cursor. data-url is where the curve's own run has its metrics; without it the
// chart's. Add or remove a row and call `load()`. Charts of a page share settings and cursor (curves/settings.js).
//   in:  ganvas:update, ganvas:frames, ganvas:point, ganvas:curves, ganvas:theme
//   out: ganvas:pick {iteration}, ganvas:point {iteration}, ganvas:curves
import { announce, listen, setField, stopListening } from "./dom.js";
import { readAttempts, Marks } from "./curves/marks.js";
import { Plot } from "./curves/plot.js";
import { change, selection, settings } from "./curves/settings.js";
import { Source } from "./curves/source.js";
import { readColours, readStroke, showRow } from "./curves/table.js";
import { showCount } from "./format.js";

class CurveChart extends HTMLElement {
  connectedCallback() {
    this.box = this.querySelector(".plot");
    this.sources = new Map();
    listen(this, "update", (update) => this.take(update));
    listen(this, "frames", () => this.select());
    listen(this, "point", ({ iteration }) => this.hover(iteration));
    listen(this, "curves", ({ changed }) => this.reshow(changed));
    listen(this, "theme", () => this.rebuild());
    // A chart that nobody has scrolled to asks for nothing.
    this.watcher = new IntersectionObserver((entries) => entries.some((each) => each.isIntersecting) && this.begin(), { rootMargin: "300px" });
    this.watcher.observe(this);
    this.observer = new ResizeObserver(() => this.plot?.u.setSize({ width: this.box.clientWidth, height: this.box.clientHeight }));
  }

  disconnectedCallback() {
    stopListening(this);
    this.watcher.disconnect();
    this.observer.disconnect();
    this.plot?.destroy();
  }

  begin() {
    this.watcher.disconnect();
    this.load();
  }

  get rows() {
    return [...this.querySelectorAll("tr[data-metric]")];
  }

  sourceOf(row) {
    const url = row.dataset.url ?? this.dataset.metricsUrl;
    if (!this.sources.has(url)) this.sources.set(url, new Source(url, Number(this.dataset.points)));
    return this.sources.get(url);
  }

  /** Fetch what the rows name, and draw it. */
  async load() {
    const wanted = Map.groupBy(this.rows, (row) => this.sourceOf(row));
    const names = (rows) => rows.map((row) => row.dataset.metric);
    const loaded = await Promise.all([...wanted].map(([source, rows]) => source.load(names(rows), settings.window)));
    if (this.isConnected && loaded.every(Boolean)) this.rebuild(true);
  }

  lines() {
    return this.rows.map((row) => ({ row, curve: this.sourceOf(row).curve(row.dataset.metric), ...readStroke(row) }));
  }

  /** Put the live chart in the place of the one that the server drew, or of the one before. */
  rebuild(isLoaded = Boolean(this.plot)) {
    if (!isLoaded) return;
    this.plot?.destroy();
    const drawn = this.box.querySelector(".drawn");
    if (drawn) Object.assign(this.box, { role: "img", ariaLabel: drawn.ariaLabel });
    drawn?.remove();
    this.classList.add("alive");
    const on = {
      zoom: (window) => change({ window }),
      reset: () => change({ window: undefined }),
      hover: (iteration) => this.point(iteration),
      pick: (iteration) => announce("pick", { iteration }),
      move: () => this.marks?.settle(selection.iteration),
    };
    const iterations = Number(this.dataset.iterations);
    this.marks = undefined;
    this.plot = new Plot(this.box, this.lines(), { settings, iterations, colours: readColours(this), on });
    this.marks = new Marks(this.plot.u, readAttempts(this));
    this.observer.observe(this.box);
    this.refresh();
  }

  reshow(changed) {
    if (!this.plot) return;
    if (changed.includes("window")) this.load();
    if (changed.every((name) => name === "halfLife")) this.refresh();
    else this.rebuild();
  }

  take(update) {
    for (const source of this.sources.values()) source.take(update);
    if (this.plot) this.pending ??= requestAnimationFrame(() => this.refresh());
  }

  refresh() {
    this.pending = undefined;
    if (!this.isConnected) return;
    this.plot.update(this.lines());
    this.marks.settle(selection.iteration);
    this.showValues();
    setField(this, "beyond", this.plot.beyond ?? "");
  }

  select() {
    this.marks?.select(selection.iteration);
    this.showValues();
  }

  /** The pointer is here: every chart of the page shows what it has there. */
  point(iteration) {
    if (this.pointed !== iteration) announce("point", { iteration });
    this.pointed = iteration;
  }

  hover(iteration) {
    this.hovered = iteration;
    this.marks?.hover(iteration);
    this.showValues();
  }

  showValues() {
    if (!this.plot) return;
    const at = this.hovered ?? selection.iteration ?? Infinity;
    setField(this, "at", Number.isFinite(at) ? `at iteration ${showCount(Math.max(0, at))}` : "newest");
    for (const line of this.plot.lines) showRow(line, at);
  }
}

customElements.define("curve-chart", CurveChart);
