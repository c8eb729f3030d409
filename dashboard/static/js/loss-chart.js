// <loss-chart data-metrics-url data-iterations>: both losses; its cursor is the timeline's selected grid.
import { build, listen, setField, stopListening } from "./dom.js";
import { showCount, showNumber } from "./format.js";
import { drawPlot } from "./loss-plot.js";
import { Losses, PLAYERS } from "./losses.js";
import { describeBeyond, fullRange, usualRange } from "./series.js";

const AXES = { usual: "usual values", full: "all values", log: "all values, log" };

class LossChart extends HTMLElement {
  async connectedCallback() {
    this.plot = this.querySelector(".plot");
    this.losses = new Losses(this.dataset.metricsUrl);
    listen(this, "update", (update) => this.take(update));
    listen(this, "frames", ({ frames, index }) => this.select(frames[index].iteration));
    listen(this, "theme", () => this.rebuild());
    if ((await this.losses.load()) && this.isConnected) this.enliven();
  }

  disconnectedCallback() {
    stopListening(this);
    this.observer?.disconnect();
    this.chart?.destroy();
  }

  /** Put the live chart in the place of the one that the server drew. */
  enliven() {
    const choices = Object.entries(AXES).map(([value, text]) => build("option", { value }, text));
    this.axis = build("select", { onchange: () => this.rebuild() }, ...choices);
    this.querySelector(".chart-heading").append(build("label", { className: "scale" }, "Axis", this.axis));
    this.rebuild();
    const fit = () => this.chart.setSize({ width: this.plot.clientWidth, height: this.plot.clientHeight });
    this.observer = new ResizeObserver(fit);
    this.observer.observe(this.plot);
  }

  take(update) {
    this.losses.take(update);
    if (this.chart) this.pending ??= requestAnimationFrame(() => this.refresh());
  }

  select(iteration) {
    this.selected = iteration;
    this.showValues(iteration);
    this.chart?.redraw();
  }

  /** Values at this iteration, or the newest without one. */
  showValues(iteration = Infinity) {
    if (!this.losses.series) return;
    setField(this, "at", Number.isFinite(iteration) ? `at iteration ${showCount(Math.max(0, iteration))}` : "");
    for (const player of PLAYERS) {
      const value = this.losses.valueAt(player, iteration);
      setField(this, player, showNumber(value), value === undefined ? "" : String(value));
    }
  }

  range() {
    const values = this.losses.finiteValues();
    const [low, high] = (this.axis.value === "usual" ? usualRange : fullRange)(values);
    setField(this, "beyond", describeBeyond(values, low, high));
    return [low, high];
  }

  refresh() {
    this.pending = undefined;
    this.chart?.update();
    this.showValues(this.selected);
  }

  rebuild() {
    if (!this.axis) return;
    this.chart?.destroy();
    this.chart = drawPlot(this);
  }
}

customElements.define("loss-chart", LossChart);
