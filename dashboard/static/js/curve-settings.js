// <curve-settings data-axis data-length>: how all curves of the page are shown: smoothing, axes, and the places in view.
import { build, buildChoice, listen, stopListening } from "./dom.js";
import { change, settings, STEPS } from "./curves/settings.js";
import { showCount, showDuration } from "./format.js";

const VALUES = [["usual", "usual values"], ["full", "all values"], ["log", "all values, log"]];
const SCALES = [["linear", "linear"], ["log", "log"]];
const WORDS = { iteration: "Iterations", images: "Images seen", time: "Time" };
const UNITS = { iteration: "iteration", images: "images seen", time: "seconds" };

class CurveSettings extends HTMLElement {
  connectedCallback() {
    this.length = Number(this.dataset.length);
    // An address may name what the axis does not reach.
    if (settings.window?.from >= this.length) change({ window: undefined });
    const [values, valuesLabel] = buildChoice("Values", VALUES, settings.y);
    values.onchange = () => change({ y: values.value });
    const [scale, scaleLabel] = buildChoice(WORDS[this.dataset.axis], SCALES, settings.x);
    scale.onchange = () => change({ x: scale.value });
    this.smoothing = build("input", { type: "range", min: 0, max: STEPS, step: 1, value: settings.smoothing });
    this.smoothing.oninput = () => change({ smoothing: Number(this.smoothing.value) });
    this.said = build("output", { className: "figure" });
    const smoothingLabel = build("label", {}, "Smoothing", this.smoothing, this.said);
    this.replaceChildren(smoothingLabel, valuesLabel, scaleLabel, this.buildWindow());
    listen(this, "curves", () => this.show());
    this.show();
  }

  disconnectedCallback() {
    stopListening(this);
  }

  buildWindow() {
    const unit = UNITS[this.dataset.axis];
    const box = (label) => build("input", { type: "number", min: 0, max: this.length, ariaLabel: label, required: true });
    [this.from, this.to] = [box(`Zoom from ${unit}`), box(`Zoom to ${unit}`)];
    this.all = build("button", { type: "button", onclick: () => change({ window: undefined }) }, "All");
    const form = build("form", { className: "window" }, "Zoom", this.from, "to", this.to, build("button", {}, "Zoom"), this.all);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const [from, to] = [Number(this.from.value), Number(this.to.value)];
      change({ window: to > from ? { from, to } : undefined });
    });
    return form;
  }

  /** How far smoothing reaches, in the axis's own unit. */
  describe() {
    const reach = settings.halfLife * this.length;
    if (!reach) return "none";
    const count = showCount(Math.max(1, Math.round(reach)));
    const { axis } = this.dataset;
    return `half-life ${axis === "time" ? showDuration(reach) : `${count} ${axis === "images" ? "images" : "iterations"}`}`;
  }

  show() {
    const { window } = settings;
    this.said.textContent = this.describe();
    this.smoothing.setAttribute("aria-valuetext", this.said.textContent);
    this.from.value = window?.from ?? 0;
    this.to.value = window?.to ?? this.length;
    this.all.disabled = !window;
  }
}

customElements.define("curve-settings", CurveSettings);
