// A slider over iterations, on a linear or a logarithmic scale, with its choice of scale:
//
//   const slider = new Slider("Iteration", pick, step);   pick(iteration) for a drag, step(count) for a key
//   slider.input, slider.choice                           the nodes to put into the page
//   slider.draw({first, last}, iteration, "Iteration 300, grid 3 of 9")
import { readAddress, writeAddress } from "./address.js";
import { build, buildChoice } from "./dom.js";
import { stepOf } from "./key-help.js";

export class Slider {
  constructor(name, pick, step) {
    this.input = build("input", { type: "range", min: 0, max: 1, step: "any", ariaLabel: name });
    this.input.addEventListener("input", () => this.axis && pick(iterationAt(this.axis, Number(this.input.value))));
    // Grids are unevenly spaced, so keys move from grid to grid.
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

  /** The place of an iteration on the slider, from 0 to 1. */
  place(iteration) {
    return this.axis ? positionOf(this.axis, iteration) : 0;
  }

  press(event, step) {
    const count = stepOf(event.key);
    if (count === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    step(count);
  }
}

// An axis is {first, last, scale}: its ends in iterations, and one of SCALES. Positions go from 0 to 1.
const SCALES = { linear: "linear", log: "log" };

// From 1, so that an iteration of 0 has a logarithm too.
const squeeze = (axis, iteration) => (axis.scale === "log" ? Math.log(1 + iteration) : iteration);
const stretch = (axis, squeezed) => (axis.scale === "log" ? Math.exp(squeezed) - 1 : squeezed);
const withinOne = (position) => Math.min(1, Math.max(0, position));

/** Position of an iteration, from 0 to 1; on an axis of one iteration everything lies at its end. */
function positionOf(axis, iteration) {
  const [low, high] = [squeeze(axis, axis.first), squeeze(axis, axis.last)];
  return high > low ? withinOne((squeeze(axis, iteration) - low) / (high - low)) : 1;
}

/** The iteration at a position, not rounded. */
function iterationAt(axis, position) {
  const [low, high] = [squeeze(axis, axis.first), squeeze(axis, axis.last)];
  return stretch(axis, low + withinOne(position) * (high - low));
}
