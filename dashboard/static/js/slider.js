// A slider over iterations, on a linear or a logarithmic axis, with its choice of axis. For whoever shows timelines:
//
//   const slider = new Slider("Iteration", (iteration) => …, (step) => …);   picked on the axis; stepped by a key
//   slider.input, slider.choice        the nodes to put into the page
//   slider.draw({first, last}, iteration, "Iteration 300, grid 3 of 9")
import { readAddress, writeAddress } from "./address.js";
import { build, buildChoice } from "./dom.js";
import { iterationAt, positionOf, SCALES } from "./timeline-axis.js";

const STEPS = { ArrowLeft: -1, ArrowRight: 1, ArrowDown: -1, ArrowUp: 1, PageDown: -10, PageUp: 10, Home: -Infinity, End: Infinity };

/** How many grids a key goes on, or undefined. */
export const stepOf = (key) => STEPS[key];

export class Slider {
  constructor(name, pick, step) {
    this.input = build("input", { type: "range", min: 0, max: 1, step: "any", ariaLabel: name });
    this.input.addEventListener("input", () => this.axis && pick(iterationAt(this.axis, Number(this.input.value))));
    // A grid's place on the axis is no multiple of anything, so keys go from grid to grid instead.
    this.input.addEventListener("keydown", (event) => this.press(event, step));
    [this.scale, this.choice] = buildChoice("Axis", Object.entries(SCALES), readAddress("slider"));
    this.scale.addEventListener("change", () => this.rescale());
  }

  rescale() {
    writeAddress({ slider: this.scale.value === "log" ? "log" : undefined });
    if (this.axis) this.draw(this.axis, this.iteration, this.label);
  }

  draw({ first, last }, iteration, label) {
    Object.assign(this, { iteration, label, axis: { first, last, scale: this.scale.value } });
    this.input.value = positionOf(this.axis, iteration);
    this.input.setAttribute("aria-valuetext", label);
  }

  press(event, step) {
    const count = stepOf(event.key);
    if (count === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    step(count);
  }
}
