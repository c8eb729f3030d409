// <loss-chart data-metrics-url data-iterations>: both losses; its cursor is the timeline's selected grid.
import { build, listen, setField, stopListening } from "./dom.js";
import { showNumber } from "./format.js";
import { drawPlot } from "./loss-plot.js";
import { Series, describeBeyond, fullRange, usualRange } from "./series.js";

const PLAYERS = { generator: "loss/generator", discriminator: "loss/discriminator" };
const POINTS = 2000;
const MOST_POINTS = 6000;
const AXES = { usual: "usual values", full: "all values", log: "all values, log" };

class LossChart extends HTMLElement {
  async connectedCallback() {
    this.waiting = [];
    this.plot = this.querySelector(".plot");
    listen(this, "update", (update) => (this.series ? this.take(update) : this.waiting.push(update)));
    listen(this, "frames", ({ frames, index }) => this.select(frames[index].iteration));
    listen(this, "theme", () => this.rebuild());
    if (await this.load()) this.enliven();
  }

  disconnectedCallback() {
    stopListening(this);
    this.observer?.disconnect();
    this.chart?.destroy();
  }

  async load() {
    const names = Object.values(PLAYERS).map((name) => `name=${encodeURIComponent(name)}`).join("&");
    const response = await fetch(`${this.dataset.metricsUrl}?${names}&points=${POINTS}`).catch(() => undefined);
    if (!response?.ok || !this.isConnected) return false;
    const { curves, last_event_id: last } = await response.json();
    const find = (name) => new Series(curves.find((curve) => curve.name === name));
    this.series = Object.fromEntries(Object.entries(PLAYERS).map(([player, name]) => [player, find(name)]));
    for (const update of this.waiting.splice(0)) if (update.id > last) this.take(update);
    return true;
  }

  enliven() {
    const choices = Object.entries(AXES).map(([value, text]) => build("option", { value }, text));
    this.axis = build("select", { onchange: () => this.rebuild() }, ...choices);
    this.querySelector(".chart-heading").append(build("label", { className: "scale" }, "Axis", this.axis));
    this.rebuild();
    const fit = () => this.chart.setSize({ width: this.plot.clientWidth, height: this.plot.clientHeight });
    this.observer = new ResizeObserver(fit);
    this.observer.observe(this.plot);
  }

  take({ events }) {
    for (const event of events) {
      for (const [player, name] of Object.entries(PLAYERS)) {
        if (event.kind === "attempt_started") this.series[player].dropAfter(event.resumed_from);
        if (event.kind === "metrics_logged" && name in event.values) {
          this.series[player].append(event.iteration, event.values[name]);
        }
      }
    }
    if (!this.chart) return;
    // What comes piles up unreduced; now and then the service is asked for a thinner curve with the same spikes.
    if (this.series.generator.iterations.length > MOST_POINTS) this.load();
    this.pending ??= requestAnimationFrame(() => this.refresh());
  }

  select(iteration) {
    this.selected = iteration;
    this.showValues(iteration);
    this.chart?.redraw(false);
  }

  /** Values at this iteration, or the newest without one. */
  showValues(iteration = Infinity) {
    if (!this.series) return;
    for (const player of Object.keys(PLAYERS)) {
      const value = this.series[player].valueAt(iteration);
      setField(this, player, showNumber(value), value === undefined ? "" : String(value));
    }
  }

  range() {
    const values = Object.values(this.series).flatMap(({ values }) => values.filter(Number.isFinite));
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
