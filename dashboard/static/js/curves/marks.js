// What lies over a plot as elements of its own: moving one draws no canvas anew.
import { build } from "../dom.js";
import { showCount } from "../format.js";

const outside = (u, at) => at < u.scales.x.min || at > u.scales.x.max;

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

  select(at) {
    this.place(this.selected, at);
  }

  hover(at) {
    this.place(this.hovered, at);
  }

  /** The axes have changed: everything stands elsewhere. */
  settle(at) {
    this.select(at);
    for (const { iteration, tick } of this.attempts) this.place(tick, iteration);
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
