// The canvas of a chart, drawn by uPlot (a classic script that the page loads before the modules): its axes, the bands
// and noise behind the lines, and the marks over them.
import { build } from "../../static/core/dom.js";
import { showCount, showTick } from "../../static/core/format.js";
import { showPlace } from "./axis.js";
import { smooth } from "./curves.js";
import { distributionOf, finiteValues, LINEAR, LOG, rangeOfPlaces, rangeOfValues } from "./scales.js";

const FEW_POINTS = 50;
const DRAG_PIXELS = 6;

/** A plot of these lines, [{curve, positions, stroke, width, dash}], in a box.
 *  axis: what is on the x axis; known: its least length; on: callbacks {zoom, reset, hover, pick, move}. */
export class Plot {
  constructor(box, lines, { settings, axis, known, colours, on }) {
    const length = lengthOf(lines, known);
    Object.assign(this, { settings, axis, known, length, on, beyond: "" });
    this.take(lines);
    this.distribution = distributionOf(settings.y, this.values());
    const isLog = settings.x === "log";
    const options = {
      ...sizeOf(box),
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
        drawAxes: [(u) => drawReals(u, this.reals, colours), (u) => drawBehind(u, this.lines)],
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
      const places = line.curve.iterations.map(line.positions.placeOf);
      const smoothed = smooth(places, line.curve.means, halfLife);
      // A logarithmic axis has no 0; such a point is drawn at 1.
      const x = isLog ? places.map((place) => Math.max(1, place)) : places;
      return { ...line, places, x, smoothed, isSmoothed: halfLife > 0 };
    });
  }

  /** What real images get, each value once: [{value, label}]. */
  get reals() {
    const known = this.lines.filter(({ real }) => real !== undefined);
    const lines = [...Map.groupBy(known, ({ real }) => real)];
    const label = (some) => (lines.length === 1 ? "real images" : `real images: ${some.map(({ word }) => word).join(", ")}`);
    return lines.map(([value, some]) => ({ value, label: label(some) }));
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
    const isThinned = this.lines.some(({ curve }) => curve.isThinned);
    const reals = this.reals.map(({ value }) => value);
    const { range, beyond } = rangeOfValues(this.settings.y, this.values(), this.distribution, isThinned, reals);
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

  /** Draw these lines; false where they need other axes, as with a first value below 0 on a logarithmic one. */
  update(lines) {
    this.take(lines);
    if (this.lines.some(({ places }) => places.at(-1) > this.length)) return false;
    if (distributionOf(this.settings.y, this.values()) !== this.distribution) return false;
    this.u.setData(this.columns());
    return true;
  }

  fit(box) {
    this.u.setSize(sizeOf(box));
  }

  destroy() {
    this.u.destroy();
  }
}

/** The size of a plot in its box, below the lanes of its marks. */
function sizeOf(box) {
  return { width: box.clientWidth, height: box.clientHeight - (box.querySelector(".marks")?.offsetHeight ?? 0) };
}

/** A line as a series of uPlot; few points are also drawn as dots. */
function describe({ stroke, width, dash, curve }) {
  const points = { show: curve.iterations.length <= FEW_POINTS, size: 5, fill: stroke };
  return { stroke, width, dash: dash.map((length) => length * devicePixelRatio), points };
}

/** The length of the axis: as the server knew it, or as far as the curves have come since. */
function lengthOf(lines, known) {
  const ends = lines.map(({ curve, positions }) => positions.placeOf(curve.iterations.at(-1) ?? 0));
  return Math.ceil(Math.max(known, ...ends));
}

// Ticks of iterations and images are at whole steps, 1, 2, 5, 10, …, and those of time at round times.
const WHOLE_STEPS = Array.from({ length: 13 }, (_, power) => [1, 2, 5].map((factor) => factor * 10 ** power)).flat();
const MINUTES = [1, 2, 5, 10, 20, 30, 60, 120, 240, 480, 720, 1440, 2880, 7200, 14_400, 43_200];
const TIME_STEPS = [1, 2, 5, 10, 20, 30, ...MINUTES.map((minutes) => 60 * minutes)];
const LABEL_GAP = 6;
const LEAST_AXIS_WIDTH = 40;
// In pixels; in a presentation the text is larger, and takes more.
const [AXIS_HEIGHT, ROW_SPACE] = [28, 30];
const ruler = document.createElement("canvas").getContext("2d");

/** The width of the widest of these labels, in pixels. */
function widthOf(labels, font) {
  ruler.font = font;
  return Math.ceil(Math.max(0, ...labels.map((label) => ruler.measureText(label ?? "").width)));
}

/** uPlot's axes for places up to this length, and the padding at the right for the last label. */
function buildAxes({ axis, length, isLog }, colours) {
  const { font } = colours;
  const height = parseFloat(font);
  const widest = widthOf([showPlace(axis, length)], font);
  const common = { stroke: colours.text, font, gap: LABEL_GAP, ticks: { show: false } };
  const below = {
    ...common,
    grid: { show: false },
    size: Math.max(AXIS_HEIGHT, 2 * height),
    space: widest + 40,
    values: (u, ticks) => ticks.map((tick) => (tick === null ? null : showPlace(axis, tick))),
  };
  if (!isLog) below.incrs = axis === "time" ? TIME_STEPS : WHOLE_STEPS;
  const left = {
    ...common,
    grid: { stroke: colours.rule, width: 1 },
    space: Math.max(ROW_SPACE, 2 * height),
    size: (u, labels) => Math.max(LEAST_AXIS_WIDTH, widthOf(labels ?? [], font) + LABEL_GAP + 2),
    values: (u, ticks) => ticks.map((tick) => (tick === null ? null : showTick(tick))),
  };
  return { axes: [below, left], padding: [8, Math.ceil(widest / 2) + LABEL_GAP, 0, 0] };
}

const LABEL_ABOVE = 4;

/** Draw what real images get as thin lines across the plot, behind the curves. */
function drawReals(u, reals, { text, font }) {
  const { ctx, bbox } = u;
  const scale = devicePixelRatio;
  ctx.save();
  Object.assign(ctx, { strokeStyle: text, fillStyle: text, lineWidth: scale, font: font.replace(/[\d.]+/, (size) => size * scale), textAlign: "right" });
  ctx.setLineDash([scale, 3 * scale]);
  for (const { value, label } of reals) {
    if (u.scales.y.distr === LOG && value <= 0) continue;
    const y = u.valToPos(value, "y", true);
    ctx.beginPath();
    ctx.moveTo(bbox.left, y);
    ctx.lineTo(bbox.left + bbox.width, y);
    ctx.stroke();
    ctx.fillText(label, bbox.left + bbox.width, y - LABEL_ABOVE * scale);
  }
  ctx.restore();
}

const BAND_OPACITY = { plain: 0.2, smoothed: 0.12 };
const NOISE_OPACITY = 0.4;

/** Draw each line's range as a band and, behind a smoothed line, its unsmoothed means. */
function drawBehind(u, lines) {
  const { ctx, bbox } = u;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  for (const line of lines) {
    if (line.curve.isThinned) drawBand(u, line);
    if (line.isSmoothed) drawNoise(u, line);
  }
  ctx.restore();
}

/** Spans of finite values, as [first, end); a value that is not finite makes a gap. */
function* finiteSpans({ means }) {
  let start = 0;
  for (let index = 0; index <= means.length; index += 1) {
    if (index < means.length && Number.isFinite(means[index])) continue;
    if (index > start) yield [start, index];
    start = index + 1;
  }
}

function drawBand(u, { curve, stroke, isSmoothed, x }) {
  const { ctx } = u;
  ctx.fillStyle = stroke;
  ctx.globalAlpha = isSmoothed ? BAND_OPACITY.smoothed : BAND_OPACITY.plain;
  for (const [start, end] of finiteSpans(curve)) {
    ctx.beginPath();
    for (let i = start; i < end; i += 1) ctx.lineTo(u.valToPos(x[i], "x", true), u.valToPos(curve.highs[i], "y", true));
    for (let i = end - 1; i >= start; i -= 1) ctx.lineTo(u.valToPos(x[i], "x", true), u.valToPos(curve.lows[i], "y", true));
    ctx.fill();
  }
}

function drawNoise(u, { curve, stroke, x }) {
  const { ctx } = u;
  ctx.strokeStyle = stroke;
  ctx.globalAlpha = NOISE_OPACITY;
  ctx.lineWidth = devicePixelRatio;
  ctx.setLineDash([]);
  for (const [start, end] of finiteSpans(curve)) {
    ctx.beginPath();
    for (let i = start; i < end; i += 1) ctx.lineTo(u.valToPos(x[i], "x", true), u.valToPos(curve.means[i], "y", true));
    ctx.stroke();
  }
}

const LEAST_MARK = 4;
const outside = (u, at) => at < u.scales.x.min || at > u.scales.x.max;

/** Elements over a plot: moving one does not redraw the canvas. */
export class Marks {
  /** attempts: [{iteration, text}], where each began. */
  constructor(u, attempts) {
    this.u = u;
    this.selected = build("div", { className: "plot-line plot-selected", hidden: true });
    this.hovered = build("div", { className: "plot-line plot-hovered", hidden: true });
    this.attempts = attempts.map(({ iteration, text }) => {
      const tick = build("div", { className: "attempt-tick", title: text, textContent: "▲" });
      tick.setAttribute("aria-hidden", "true");
      return { iteration, tick };
    });
    u.over.append(this.selected, this.hovered, ...this.attempts.map(({ tick }) => tick));
  }

  select(at) {
    this.place(this.selected, at);
  }

  hover(at) {
    this.place(this.hovered, at);
  }

  /** The axes have changed: put every mark where it belongs now. */
  settle(at) {
    this.select(at);
    for (const { iteration, tick } of this.attempts) this.place(tick, iteration);
    this.settleSpans();
  }

  /** The server's marks of stretches lie above the plot, from their beginning to their end as zoomed. */
  settleSpans() {
    const { over, root, scales: { x } } = this.u;
    const host = root.parentElement.querySelector(".marks");
    if (!host) return;
    Object.assign(host.style, { left: `${over.offsetLeft}px`, width: `${over.offsetWidth}px` });
    for (const mark of host.querySelectorAll(".mark")) {
      const [since, ended] = [Number(mark.dataset.since), Number(mark.dataset.ended ?? Infinity)];
      const isOut = since > x.max || ended < x.min;
      mark.style.display = isOut ? "none" : "";
      if (!isOut) this.stretch(mark.querySelector("rect"), Math.max(since, x.min), Math.min(ended, x.max));
    }
  }

  stretch(rect, since, ended) {
    const [left, right] = [since, ended].map((at) => this.u.valToPos(at, "x"));
    rect.setAttribute("x", left);
    rect.setAttribute("width", Math.max(LEAST_MARK, right - left));
  }

  place(mark, at) {
    mark.hidden = at === undefined || outside(this.u, at);
    if (mark.hidden) return;
    const place = this.u.scales.x.distr === 3 ? Math.max(1, at) : at;
    mark.style.transform = `translateX(${this.u.valToPos(place, "x")}px)`;
  }
}

/** Read the attempts that the server lists below the plot. */
export function readAttempts(host) {
  return [...host.querySelectorAll("[data-attempt-from]")].map((item) => ({
    iteration: Number(item.dataset.attemptFrom),
    text: `${item.textContent.trim()} (iteration ${showCount(Number(item.dataset.attemptFrom))})`,
  }));
}
