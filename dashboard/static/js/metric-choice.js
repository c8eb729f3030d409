// <metric-choice>: the checkboxes that say which metrics the chart around it shows. Without a script they are a form;
// with one, each takes effect at once, and the page's address says what is chosen.
import { writeAddress } from "./address.js";
import { build, buildSvg } from "./dom.js";

const STROKES = 8;

class MetricChoice extends HTMLElement {
  connectedCallback() {
    this.addEventListener("change", ({ target }) => this.toggle(target));
    this.querySelector("button").hidden = true;
  }

  get chart() {
    return this.closest("curve-chart");
  }

  toggle({ value, checked, dataset }) {
    const rows = this.chart.querySelector("table.curves tbody");
    if (checked) rows.append(this.buildRow(value, dataset.player));
    else this.chart.rows.find((row) => row.dataset.metric === value)?.remove();
    this.remember();
    this.chart.load();
  }

  buildRow(metric, player) {
    const style = player ? `player-${player}` : `stroke-${this.freeStroke()}`;
    const mark = buildSvg("svg", { class: `curve-mark ${style}`, width: 24, height: 8, "aria-hidden": "true" });
    mark.append(buildSvg("line", { x1: 0, x2: 24, y1: 4, y2: 4 }));
    const cells = ["value", "range", "smoothed"].map((field) => {
      const cell = build("td", { className: "number" });
      cell.dataset.field = field;
      return cell;
    });
    const row = build("tr", {}, build("th", { scope: "row" }, mark, ` ${metric}`), ...cells);
    row.dataset.metric = metric;
    return row;
  }

  /** The first stroke that no curve of the chart has. */
  freeStroke() {
    const taken = new Set(this.chart.rows.map((row) => row.querySelector("svg").getAttribute("class").match(/stroke-(\d)/)?.[1]));
    return Array.from({ length: STROKES }, (_, index) => String(index)).find((each) => !taken.has(each)) ?? 0;
  }

  remember() {
    writeAddress({ metric: this.chart.rows.map((row) => row.dataset.metric) });
  }
}

customElements.define("metric-choice", MetricChoice);
