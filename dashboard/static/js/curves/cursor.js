// Where a chart is looked at: at the pointer, else where the slider stands, else at the newest point.
import { announce, setField } from "../dom.js";
import { describePlace } from "../places.js";
import { selection } from "./settings.js";
import { showRow } from "./table.js";

export class Cursor {
  constructor(chart) {
    this.chart = chart;
  }

  /** The slider stands elsewhere. */
  select() {
    this.chart.marks?.select(selection.at);
    this.show();
  }

  /** The pointer is here: every chart of the page shows what it has there. */
  point(at) {
    if (this.pointed !== at) announce("point", { at });
    this.pointed = at;
  }

  /** Lead the page's slider there: that of one run, or of all that are compared. */
  pick(at) {
    if (this.chart.dataset.metricsUrl) announce("pick", { iteration: at });
    else announce("place", { at: Math.max(0, at) });
  }

  /** The pointer is at this place in some chart of the page, or in none. */
  hover(at) {
    this.hovered = at;
    this.chart.marks?.hover(at);
    this.show();
  }

  /** Write what the curves are there into the table. */
  show() {
    const { plot } = this.chart;
    if (!plot) return;
    const at = this.hovered ?? selection.at ?? Infinity;
    const where = Number.isFinite(at) && describePlace(plot.axis, Math.max(0, at));
    setField(this.chart, "at", where ? `at ${where}` : "newest");
    for (const line of plot.lines) showRow(line, at);
  }
}
