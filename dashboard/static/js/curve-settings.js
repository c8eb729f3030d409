// <curve-settings data-iterations>: how all curves of the page are shown: smoothing, axes, and the iterations in view.
import { build, listen, stopListening } from "./dom.js";
import { change, settings } from "./curves/settings.js";
import { showCount } from "./format.js";

const VALUES = [["usual", "usual values"], ["full", "all values"], ["log", "all values, log"]];
const ITERATIONS = [["linear", "linear"], ["log", "log"]];
const STEPS = 20;
// The strongest smoothing fades to a half within a quarter of the run; each step is a third weaker.
const shareOf = (step) => (step > 0 ? 0.25 * 1.5 ** (step - STEPS) : 0);

/** A choice between [value, text] pairs: the select, and the label that holds it. */
function buildChoice(name, options, chosen) {
  const nodes = options.map(([value, text]) => build("option", { value, selected: value === chosen }, text));
  const select = build("select", {}, ...nodes);
  return [select, build("label", {}, name, select)];
}

class CurveSettings extends HTMLElement {
  connectedCallback() {
    this.iterations = Number(this.dataset.iterations);
    const [values, valuesLabel] = buildChoice("Values", VALUES, settings.y);
    values.onchange = () => change({ y: values.value });
    const [axis, axisLabel] = buildChoice("Iterations", ITERATIONS, settings.x);
    axis.onchange = () => change({ x: axis.value });
    this.smoothing = build("input", { type: "range", min: 0, max: STEPS, step: 1, value: 0 });
    this.smoothing.oninput = () => change({ halfLife: shareOf(Number(this.smoothing.value)) });
    this.said = build("output", { className: "figure" });
    const smoothingLabel = build("label", {}, "Smoothing", this.smoothing, this.said);
    this.replaceChildren(smoothingLabel, valuesLabel, axisLabel, this.buildWindow());
    listen(this, "curves", () => this.show());
    this.show();
  }

  disconnectedCallback() {
    stopListening(this);
  }

  buildWindow() {
    const box = (label) => build("input", { type: "number", min: 0, max: this.iterations, ariaLabel: label, required: true });
    [this.from, this.to] = [box("Zoom from iteration"), box("Zoom to iteration")];
    this.all = build("button", { type: "button", onclick: () => change({ window: undefined }) }, "All");
    const form = build("form", { className: "window" }, "Zoom", this.from, "to", this.to, build("button", {}, "Zoom"), this.all);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const [from, to] = [Number(this.from.value), Number(this.to.value)];
      change({ window: to > from ? { from, to } : undefined });
    });
    return form;
  }

  show() {
    const { halfLife, window } = settings;
    const half = `half-life ${showCount(Math.max(1, Math.round(halfLife * this.iterations)))} iterations`;
    this.said.textContent = halfLife ? half : "none";
    this.smoothing.setAttribute("aria-valuetext", this.said.textContent);
    this.from.value = window?.from ?? 0;
    this.to.value = window?.to ?? this.iterations;
    this.all.disabled = !window;
  }
}

customElements.define("curve-settings", CurveSettings);
