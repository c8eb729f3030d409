// What lies over a plot as elements of its own: moving one draws no canvas anew.
import { build } from "../dom.js";
import { showCount } from "../format.js";

const outside = (u, iteration) => iteration < u.scales.x.min || iteration > u.scales.x.max;

export class Marks {
  /** attempts: [{iteration, text}], where each went on. */
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

  select(iteration) {
    this.place(this.selected, iteration);
  }

  hover(iteration) {
    this.place(this.hovered, iteration);
  }

  /** The axes have changed: everything stands elsewhere. */
  settle(iteration) {
    this.select(iteration);
    for (const { iteration: at, tick } of this.attempts) this.place(tick, at);
  }

  place(mark, iteration) {
    mark.hidden = iteration === undefined || outside(this.u, iteration);
    if (mark.hidden) return;
    const at = this.u.scales.x.distr === 3 ? Math.max(1, iteration) : iteration;
    mark.style.transform = `translateX(${this.u.valToPos(at, "x")}px)`;
  }
}

/** Read the attempts that the server lists below the plot. */
export function readAttempts(host) {
  return [...host.querySelectorAll("[data-attempt-from]")].map((item) => ({
    iteration: Number(item.dataset.attemptFrom),
    text: `${item.textContent.trim()} (iteration ${showCount(Number(item.dataset.attemptFrom))})`,
  }));
}
