// The canvas of a chart, drawn by uPlot (a classic script that the page loads before the modules).
import { describeBeyond, fullRange, usualRange } from "../series.js";
import { buildAxes } from "./axes.js";
import { smooth } from "./curve.js";
import { drawBehind } from "./strokes.js";

const [LINEAR, LOG, ASINH] = [1, 3, 4];
const FEW_POINTS = 50;

/** A plot of these lines, [{curve, stroke, dash}], in a box; `on` is told {zoom, reset, hover, pick, move}. */
export class Plot {
  constructor(box, lines, { settings, iterations, colours, on }) {
    Object.assign(this, { box, settings, iterations, on });
    this.take(lines);
    const isLog = settings.x === "log";
    this.u = new uPlot(
      {
        width: box.clientWidth,
        height: box.clientHeight,
        legend: { show: false },
        cursor: {
          x: false,
          y: false,
          points: { show: false },
          drag: { x: true, y: false, setScale: false, dist: 6 },
          bind: { dblclick: () => () => on.reset() },
        },
        scales: {
          x: { time: false, distr: isLog ? LOG : LINEAR, range: () => this.rangeX() },
          y: { distr: this.distribution(), asinh: 0.1, range: () => this.rangeY() },
        },
        ...buildAxes(iterations, colours, isLog),
        series: [{}, ...this.lines.map((line) => this.describe(line))],
        hooks: {
          drawAxes: [(u) => drawBehind(u, this.lines)],
          setSelect: [() => this.zoom()],
          setCursor: [(u) => on.hover(u.cursor.left >= 0 ? u.posToVal(u.cursor.left, "x") : undefined)],
          draw: [() => on.move()],
        },
      },
      this.columns(),
      box,
    );
    this.u.over.addEventListener("mousedown", () => (this.wasDragged = false));
    this.u.over.addEventListener("click", () => this.click());
  }

  take(lines) {
    const halfLife = this.settings.halfLife * this.iterations;
    const isLog = this.settings.x === "log";
    this.lines = lines.map((line) => ({
      ...line,
      isSmoothed: halfLife > 0,
      smoothed: smooth(line.curve, halfLife),
      // Iteration 0 has no place on a logarithmic axis; it stands at 1.
      x: isLog ? line.curve.iterations.map((iteration) => Math.max(1, iteration)) : line.curve.iterations,
    }));
  }

  describe({ stroke, dash, curve }) {
    const points = { show: curve.iterations.length <= FEW_POINTS , size: 5, fill: stroke };
    return { stroke, width: 2, dash: dash.map((length) => length * devicePixelRatio), points };
  }

  columns() {
    const gap = (value) => (Number.isFinite(value) ? value : null);
    const tables = this.lines.map((line) => [line.x, line.smoothed.map(gap)]);
    return tables.length ? uPlot.join(tables) : [[], []];
  }

  /** Every finite value in the window. */
  values() {
    const { from, to } = this.settings.window ?? { from: -Infinity, to: Infinity };
    const found = [];
    for (const { curve } of this.lines) {
      for (let i = 0; i < curve.iterations.length; i += 1) {
        if (curve.iterations[i] < from || curve.iterations[i] > to || !Number.isFinite(curve.means[i])) continue;
        found.push(curve.lows[i]);
        if (curve.highs[i] !== curve.lows[i]) found.push(curve.highs[i]);
      }
    }
    return found;
  }

  distribution() {
    if (this.settings.y !== "log") return LINEAR;
    return this.values().every((value) => value > 0) ? LOG : ASINH;
  }

  rangeX() {
    const { from, to } = this.settings.window ?? { from: 0, to: this.iterations };
    return this.settings.x === "log" ? [Math.max(1, from), Math.max(2, to)] : [from, Math.max(from + 1, to)];
  }

  rangeY() {
    const values = this.values();
    if (this.distribution() === LOG && values.length) {
      this.beyond = "";
      return [values.reduce((a, b) => Math.min(a, b)) / 1.2, values.reduce((a, b) => Math.max(a, b)) * 1.2];
    }
    const [low, high] = (this.settings.y === "usual" ? usualRange : fullRange)(values);
    this.beyond = describeBeyond(values, low, high);
    return [low, high];
  }

  zoom() {
    const { left, width } = this.u.select;
    if (width <= 0) return;
    this.wasDragged = true;
    const [from, to] = [left, left + width].map((at) => Math.round(this.u.posToVal(at, "x")));
    this.u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    if (to > from) this.on.zoom({ from: Math.max(0, from), to });
  }

  click() {
    if (!this.wasDragged) this.on.pick(this.u.posToVal(this.u.cursor.left, "x"));
  }

  update(lines) {
    this.take(lines);
    this.u.setData(this.columns());
  }

  destroy() {
    this.u.destroy();
  }
}
