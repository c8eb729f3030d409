// <heat-map data-first data-last>: the plot of a heat map: a line marks the selected grid, a click selects one.
import { announce, build, listen, stopListening } from "../../static/core/dom.js";
import { selection } from "../../charts/scripts/curve-settings.js";

class HeatMap extends HTMLElement {
  connectedCallback() {
    [this.first, this.last] = [Number(this.dataset.first), Number(this.dataset.last)];
    this.querySelector(".cursor")?.remove();
    this.selected = this.appendChild(build("div", { className: "plot-line plot-selected" }));
    this.hovered = this.appendChild(build("div", { className: "plot-line plot-hovered" }));
    listen(this, "frames", () => this.place(this.selected, selection.at));
    listen(this, "point", ({ at }) => this.place(this.hovered, at));
    this.place(this.selected, selection.at);
    this.place(this.hovered, undefined);
    this.onmousemove = (event) => announce("point", { at: this.iterationAt(event) });
    this.onmouseleave = () => announce("point", { at: undefined });
    this.onclick = (event) => announce("pick", { iteration: this.iterationAt(event) });
  }

  disconnectedCallback() {
    stopListening(this);
  }

  iterationAt({ clientX }) {
    const { left, width } = this.getBoundingClientRect();
    return this.first + ((clientX - left) / width) * (this.last - this.first);
  }

  place(line, iteration) {
    const share = (iteration - this.first) / (this.last - this.first);
    line.hidden = !(share >= 0 && share <= 1);
    if (!line.hidden) line.style.left = `${100 * share}%`;
  }
}

customElements.define("heat-map", HeatMap);
