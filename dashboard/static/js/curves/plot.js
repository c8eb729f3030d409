// The canvas of a chart, drawn by uPlot (a classic script that the page loads before the modules).
import { buildAxes } from "./axes.js";
import { smooth } from "./curve.js";
import { lengthOf } from "./lines.js";
import { distributionOf, finiteValues, LINEAR, LOG, rangeOfPlaces, rangeOfValues } from "./scales.js";
import { drawBehind } from "./strokes.js";

const FEW_POINTS = 50;
const DRAG_PIXELS = 6;

/** A plot of these lines, [{curve, placing, stroke, width, dash}], in a box; `on` is told {zoom, reset, hover, pick,
 *  move}. axis: what its places are; known: how far it goes at least. */
export class Plot {
  constructor(box, lines, { settings, axis, known, colours, on }) {
    const length = lengthOf(lines, known);
    Object.assign(this, { settings, axis, length, on, beyond: "" });
    this.take(lines);
    this.distribution = distributionOf(settings.y, this.values());
    const isLog = settings.x === "log";
    const options = {
      width: box.clientWidth,
      height: box.clientHeight,
      legend: { show: false },
      cursor: {
        x: false,
        y: false,
        points: { show: false },
        drag: { x: true, y: false, setScale: false, dist: DRAG_PIXELS },
        bind: { dblclick: () => () => on.reset() },
      },
      scales: {
        x: { time: false, distr: isLog ? LOG : LINEAR, range: () => rangeOfPlaces(settings, length) },
        y: { distr: this.distribution, asinh: 0.1, range: () => this.rangeY() },
      },
      ...buildAxes({ axis, length, isLog }, colours),
      series: [{}, ...this.lines.map(describe)],
      hooks: {
        drawAxes: [(u) => drawBehind(u, this.lines)],
        setSelect: [() => this.zoom()],
        setCursor: [(u) => on.hover(u.cursor.left >= 0 ? u.posToVal(u.cursor.left, "x") : undefined)],
        draw: [() => on.move()],
      },
    };
    this.u = new uPlot(options, this.columns(), box);
    this.u.over.addEventListener("mousedown", () => (this.wasDragged = false));
    this.u.over.addEventListener("click", () => this.wasDragged || on.pick(this.u.posToVal(this.u.cursor.left, "x")));
  }

  take(lines) {
    const halfLife = this.settings.halfLife * this.length;
    const isLog = this.settings.x === "log";
    this.lines = lines.map((line) => {
      const places = line.curve.iterations.map(line.placing.placeOf);
      const smoothed = smooth(places, line.curve.means, halfLife);
      // What is at 0 has no place on a logarithmic axis; it stands at 1.
      const x = isLog ? places.map((place) => Math.max(1, place)) : places;
      return { ...line, places, x, smoothed, isSmoothed: halfLife > 0 };
    });
  }

  columns() {
    const gap = (value) => (Number.isFinite(value) ? value : null);
    const tables = this.lines.map((line) => [line.x, line.smoothed.map(gap)]);
    return tables.length ? uPlot.join(tables) : [[], []];
  }

  values() {
    return finiteValues(this.lines, this.settings.window);
  }

  rangeY() {
    const { range, beyond } = rangeOfValues(this.settings.y, this.values(), this.distribution);
    this.beyond = beyond;
    return range;
  }

  zoom() {
    const { left, width } = this.u.select;
    if (width <= 0) return;
    this.wasDragged = true;
    const [from, to] = [left, left + width].map((at) => Math.round(this.u.posToVal(at, "x")));
    this.u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    if (to > from) this.on.zoom({ from: Math.max(0, from), to });
  }

  /** Draw these lines; false where they need another axis, as a first value below 0 on a logarithmic one. */
  update(lines) {
    this.take(lines);
    if (this.lines.some(({ places }) => places.at(-1) > this.length)) return false;
    if (distributionOf(this.settings.y, this.values()) !== this.distribution) return false;
    this.u.setData(this.columns());
    return true;
  }

  fit({ clientWidth: width, clientHeight: height }) {
    this.u.setSize({ width, height });
  }

  destroy() {
    this.u.destroy();
  }
}

/** A line as uPlot wants it described; few points are dots as well. */
function describe({ stroke, width, dash, curve }) {
  const points = { show: curve.iterations.length <= FEW_POINTS, size: 5, fill: stroke };
  return { stroke, width, dash: dash.map((length) => length * devicePixelRatio), points };
}
