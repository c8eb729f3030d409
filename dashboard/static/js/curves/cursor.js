// Where a chart is looked at: at the pointer, else at the timeline's grid, else at the newest point.
import { announce, setField } from "../dom.js";
import { showCount } from "../format.js";
import { selection } from "./settings.js";
import { showRow } from "./table.js";

export class Cursor {
  constructor(chart) {
    this.chart = chart;
  }

  /** The timeline shows another grid. */
  select() {
    this.chart.marks?.select(selection.iteration);
    this.show();
  }

  /** The pointer is here: every chart of the page shows what it has there. */
  point(iteration) {
    if (this.pointed !== iteration) announce("point", { iteration });
    this.pointed = iteration;
  }

  /** The pointer is at this iteration in some chart of the page, or in none. */
  hover(iteration) {
    this.hovered = iteration;
    this.chart.marks?.hover(iteration);
    this.show();
  }

  /** Write what the curves are there into the table. */
  show() {
    const { plot } = this.chart;
    if (!plot) return;
    const at = this.hovered ?? selection.iteration ?? Infinity;
    setField(this.chart, "at", Number.isFinite(at) ? `at iteration ${showCount(Math.max(0, at))}` : "newest");
    for (const line of plot.lines) showRow(line, at);
  }
}
