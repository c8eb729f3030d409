// <curve-chart data-axis data-length data-points [data-metrics-url]>: curves of one run or of several, one a table row.
//
// A row of its table is a curve: <tr data-metric [data-url data-scale]>. Its first cell holds the name and a <svg><line>
// with the curve's stroke; cells with data-field="value", "range" and "smoothed" show the values at the cursor.
// data-url: the metrics of the curve's own run, by default the chart's; data-scale: the length of an iteration on the
// axis (axis.js). Add or remove a row and call `load()`.
// All charts of a page share their settings and the selected place (curve-settings.js).
//   in:  ganvas:update, :frames, :compared, :point, :curves, :theme, :clocks, :refreshed, :grown {urls}
// A chart on a stage leads the strip and the slider there: they take over its axis.
//   out: ganvas:axis {from, to, isLog}; ganvas:pick {iteration} or, where runs are compared, ganvas:place {at}; ganvas:point {at}, ganvas:curves
import { announce, listen, setField, stopListening } from "../../static/core/dom.js";
import { showCount, showNumber } from "../../static/core/format.js";
import { countUntil, describePlace, iterationUntil, lengthOfRun, positionsOf, roundPlace } from "./axis.js";
import { change, selection, settings } from "./curve-settings.js";
import { ExactValues, Sources } from "./curves.js";
import { Marks, Plot, readAttempts } from "./plot.js";
import { LOG } from "./scales.js";

/** Where a chart is read: at the pointer, else at the slider, else at the newest point. */
class Cursor {
  constructor(chart) {
    this.chart = chart;
    this.values = new ExactValues(() => chart.isConnected && this.show());
  }

  /** The slider has moved. */
  select() {
    this.chart.marks?.select(selection.at);
    this.show();
  }

  /** The pointer is over this chart: every chart of the page shows its values at that place. */
  point(at) {
    if (this.pointed !== at) announce("point", { at });
    this.pointed = at;
  }

  /** Move the page's slider there: that of one run, or of all compared runs. */
  pick(at) {
    if (this.chart.dataset.metricsUrl) announce("pick", { iteration: at });
    else announce("place", { at: Math.max(0, roundPlace(this.chart.dataset.axis, at)) });
  }

  /** The pointer is at this place in some chart of the page, or in none (undefined). */
  hover(at) {
    // The place that is named is the one whose values are shown.
    this.hovered = at === undefined ? at : roundPlace(this.chart.dataset.axis, at);
    this.chart.marks?.hover(at);
    this.show();
  }

  /** Write the curves' values at that place into the table. */
  show() {
    const { plot } = this.chart;
    if (!plot) return;
    const at = this.hovered ?? selection.at ?? Infinity;
    const where = Number.isFinite(at) && describePlace(plot.axis, Math.max(0, at));
    setField(this.chart, "at", where ? `at ${where}` : "newest");
    const wanted = plot.lines.map((line) => ({ line, at: iterationUntil(line.positions, at) }));
    for (const { line, at: until } of wanted) showRow(line, until, this.values.find(line, until));
    this.values.want(wanted);
  }
}

/** A curve's stroke: that of the line in its row's first cell. */
function readStroke(row) {
  const style = getComputedStyle(row.querySelector("line"));
  const dash = style.strokeDasharray === "none" ? [] : style.strokeDasharray.split(",").map(parseFloat);
  return { stroke: style.stroke, width: parseFloat(style.strokeWidth), dash };
}

/** What real images get of a curve's metric, if that is known, and the word that tells the curve from others. */
function readReal({ dataset: { real }, cells: [name] }) {
  const word = (name.querySelector("dfn") ?? name).textContent.trim();
  return real === undefined ? {} : { real: Number(real), word };
}

/** The colours of a chart's axes in the present theme. */
function readColours(host) {
  const style = getComputedStyle(host);
  const rule = getComputedStyle(host.querySelector(".plot")).borderTopColor;
  return { text: getComputedStyle(host.querySelector(".axis")).color, rule, font: `${style.fontSize} ${style.fontFamily}` };
}

/** Write a curve's value at an iteration into its row, {iteration, value}, and where the curve is drawn in stretches the
 *  range of the stretch in which it lies. Until the value is known, the mean of that stretch stands for it. */
function showRow({ row, curve, smoothed, isSmoothed }, at, point) {
  const index = stretchAt(curve, at);
  const [mean, low, high] = [curve.means, curve.lows, curve.highs].map((column) => column[index]);
  if (point) write(row, "value", showNumber(point.value), describeExact(point, at));
  else if (point === null) write(row, "value", showNumber(undefined));
  else write(row, "value", mean === undefined ? "…" : `≈ ${showNumber(mean)}`);
  const isRange = curve.isThinned && low !== high;
  write(row, "range", isRange ? `${showNumber(low)} … ${showNumber(high)}` : "", isRange ? `${low} … ${high}` : "");
  const isKnown = isSmoothed && index !== undefined;
  write(row, "smoothed", isKnown ? showNumber(smoothed[index]) : "", isKnown ? smoothed[index] : undefined);
}

/** The index of the stretch that holds an iteration; of single points, of the last one up to it. Undefined where the
 *  curve is not drawn there. */
function stretchAt({ iterations, isThinned, window }, at) {
  if (!iterations.length || (window && (at < window.from || at > window.to))) return undefined;
  const index = isThinned ? Math.min(countUntil(iterations, at - 1), iterations.length - 1) : countUntil(iterations, at) - 1;
  return index < 0 ? undefined : index;
}

/** Every digit, and the iteration of the point where the cursor stands after it. */
function describeExact({ iteration, value }, at) {
  return iteration < at && at !== Infinity ? `${value} (of iteration ${showCount(iteration)})` : value;
}

function write(row, field, text, exact) {
  setField(row, field, text, exact === undefined ? "" : String(exact));
}

/** Remove the chart that the server drew; its description stays. */
function takeOver(host) {
  host.classList.add("alive");
  const [box, drawn] = [host.querySelector(".plot"), host.querySelector(".drawn")];
  if (!drawn) return;
  Object.assign(box, { role: "img", ariaLabel: drawn.ariaLabel });
  drawn.remove();
}

/** The lines of these rows: the curve of each, its positions and its stroke. */
function linesOf(rows, sources) {
  return rows.map((row) => {
    const [curve, url] = [sources.curve(row), sources.urlOf(row)];
    return { row, curve, url, positions: positionsOf(row), ...readReal(row), ...readStroke(row) };
  });
}

/** Run once, when the element is nearly in sight; returns a function that stops waiting. */
function whenSeen(element, run) {
  const see = (entries) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    watcher.disconnect();
    run();
  };
  const watcher = new IntersectionObserver(see, { rootMargin: "300px" });
  watcher.observe(element);
  return () => watcher.disconnect();
}

class CurveChart extends HTMLElement {
  connectedCallback() {
    this.box = this.querySelector(".plot");
    this.sources = new Sources(this.dataset.metricsUrl, Number(this.dataset.points));
    listen(this, "update", (update) => this.take(update));
    this.cursor = new Cursor(this);
    for (const moved of ["frames", "compared"]) listen(this, moved, () => this.cursor.select());
    listen(this, "point", ({ at }) => this.cursor.hover(at));
    listen(this, "clocks", () => this.isAsked && !this.plot && this.load());
    listen(this, "grown", ({ urls }) => this.plot && this.sources.reload(urls).then(() => this.renew()));
    listen(this, "curves", ({ changed }) => this.reshow(changed));
    listen(this, "theme", () => this.plot && this.rebuild());
    // There may be other marks, and other lanes for them.
    listen(this, "refreshed", () => this.plot?.fit(this.box));
    // A chart out of sight fetches nothing.
    this.stopWaiting = whenSeen(this, () => this.load());
    this.observer = new ResizeObserver(() => this.plot?.fit(this.box));
  }

  disconnectedCallback() {
    stopListening(this);
    this.stopWaiting();
    this.observer.disconnect();
    this.cursor.values.close();
    this.plot?.destroy();
  }

  get rows() {
    return [...this.querySelectorAll("tr[data-metric]")];
  }

  /** Fetch what the rows name and draw it, once the positions of all rows are known. */
  async load() {
    this.isAsked = true;
    if (!this.rows.every(positionsOf)) return;
    if (!(await this.sources.load(this.rows, settings.window)) || !this.isConnected) return;
    this.cursor.values.forget();
    this.rebuild();
  }

  /** Some curves were loaded anew. */
  renew() {
    this.cursor.values.forget();
    this.refresh();
  }

  /** Replace the chart that the server drew, or the previous live one. */
  rebuild() {
    const { left = -1, top } = this.plot?.u.cursor ?? {};
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
    // Below a pointer that rests, another axis has another place.
    if (left >= 0) this.plot.u.setCursor({ left, top });
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
    if (update.events.some(({ kind }) => kind === "attempt_started")) this.cursor.values.forget();
    // A run that ends early ends its axis.
    if (this.dataset.metricsUrl) this.dataset.length = lengthOfRun(update.job, Number(this.dataset.length));
    this.pending ??= requestAnimationFrame(() => this.refresh());
  }

  refresh() {
    this.pending = undefined;
    if (!this.isConnected || !this.plot) return;
    if (this.plot.known !== Number(this.dataset.length)) this.rebuild();
    else if (this.plot.update(linesOf(this.rows, this.sources))) this.cursor.show();
    else this.rebuild();
  }

  /** The canvas was drawn; its axes may have changed. */
  settle() {
    this.marks?.settle(selection.at);
    if (!this.plot) return;
    setField(this, "beyond", this.plot.beyond);
    const stage = this.closest(".stage");
    if (stage) this.lead(stage);
  }

  /** Other parts of the stage stand on this chart's axis: say where it is and what it shows. */
  lead(stage) {
    const { over, scales: { x } } = this.plot.u;
    const [outer, inner] = [stage, over].map((each) => each.getBoundingClientRect());
    const axis = { from: x.min, to: x.max, isLog: x.distr === LOG };
    const said = JSON.stringify([axis, inner.left - outer.left, outer.right - inner.right]);
    if (said === this.said || !inner.width) return;
    this.said = said;
    stage.style.setProperty("--plot-left", `${inner.left - outer.left}px`);
    stage.style.setProperty("--plot-right", `${outer.right - inner.right}px`);
    announce("axis", axis);
  }
}

customElements.define("curve-chart", CurveChart);
