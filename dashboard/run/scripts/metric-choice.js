// <metric-choice>: checkboxes for the metrics of the chart around it. A choice takes effect at once and is written to the
// address.
import { writeAddress } from "../../static/core/address.js";
import { build, buildSvg } from "../../static/core/dom.js";
import { showNumber } from "../../static/core/format.js";

const STROKES = 8;

/** The label of a checkbox's metric and its sentence, as the server renders both in the chart's table. */
function buildLabel(box) {
  const host = box.closest(".metric");
  const note = host.querySelector(".metric-note").cloneNode(true);
  note.id = `about-curve-${encodeURIComponent(box.value)}`;
  const label = build("dfn", { tabIndex: 0 }, host.querySelector("label").textContent.trim());
  label.setAttribute("aria-describedby", note.id);
  return build("span", { className: "metric" }, label, note);
}

class MetricChoice extends HTMLElement {
  connectedCallback() {
    this.addEventListener("change", ({ target }) => this.toggle(target));
    this.querySelector("button").hidden = true;
  }

  get chart() {
    return this.closest("curve-chart");
  }

  toggle(box) {
    const { value, checked } = box;
    const rows = this.chart.querySelector("table.curves tbody");
    if (checked) rows.append(this.buildRow(box));
    else this.chart.rows.find((row) => row.dataset.metric === value)?.remove();
    this.remember();
    this.chart.load();
  }

  buildRow(box) {
    const { value: metric, dataset: { player, real } } = box;
    const style = player ? `player-${player}` : `stroke-${this.freeStroke()}`;
    const mark = buildSvg("svg", { class: `curve-mark ${style}`, width: 24, height: 8, "aria-hidden": "true" });
    mark.append(buildSvg("line", { x1: 0, x2: 24, y1: 4, y2: 4 }));
    const cells = ["value", "range", "smoothed", "real"].map((field) => {
      const cell = build("td", { className: "number" });
      cell.dataset.field = field;
      return cell;
    });
    if (real !== undefined) cells.at(-1).append(`real images ${showNumber(Number(real))}`);
    const row = build("tr", {}, build("th", { scope: "row" }, mark, " ", buildLabel(box)), ...cells);
    row.dataset.metric = metric;
    if (real !== undefined) row.dataset.real = real;
    return row;
  }

  /** The first stroke that no curve of the chart uses. */
  freeStroke() {
    const taken = new Set(this.chart.rows.map((row) => row.querySelector("svg").getAttribute("class").match(/stroke-(\d)/)?.[1]));
    return Array.from({ length: STROKES }, (_, index) => String(index)).find((each) => !taken.has(each)) ?? 0;
  }

  remember() {
    writeAddress({ metric: this.chart.rows.map((row) => row.dataset.metric) });
  }
}

customElements.define("metric-choice", MetricChoice);
