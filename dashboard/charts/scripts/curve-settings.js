// <curve-settings data-axis data-length [data-follows]>: smoothing, scales and zoom of all curves of the page.
// The page's address holds them too: ?smoothing=12&scale=log&values=full&zoom=100-2000.
import { readAddress, RestingAddress } from "../../static/core/address.js";
import { announce, build, buildChoice, listen, stopListening } from "../../static/core/dom.js";
import { showCount, showDuration } from "../../static/core/format.js";
import { lengthOfRun } from "./axis.js";

const STEPS = 20;
const ZOOM = /^([0-9]{1,10})-([0-9]{1,10})$/;
const address = new RestingAddress();

/** Settings from the address; invalid ones are the defaults. */
function readSettings() {
  const smoothing = Number(readAddress("smoothing"));
  const [from, to] = (readAddress("zoom")?.match(ZOOM) ?? []).slice(1).map(Number);
  return {
    smoothing: Number.isInteger(smoothing) && smoothing > 0 && smoothing <= STEPS ? smoothing : 0,
    x: readAddress("scale") === "log" ? "log" : "linear",
    y: ["full", "log"].find((each) => each === readAddress("values")) ?? "usual",
    window: to > from ? { from, to } : undefined,
  };
}

// smoothing: a step from 0 to STEPS. halfLife: of the smoothing, as a share of the axis; a quarter at the last step, and
// a third less each step down. x: "linear" or "log". y: "usual", "full" or "log".
// window: {from, to} on the charts' axis, or undefined for all of it.
export const settings = {
  ...readSettings(),
  get halfLife() {
    return this.smoothing > 0 ? 0.25 * 1.5 ** (this.smoothing - STEPS) : 0;
  },
};

/** Change some settings; tells every chart and writes the address. */
export function change(parts) {
  Object.assign(settings, parts);
  announce("curves", { ...settings, changed: Object.keys(parts) });
  const { smoothing, x, y, window } = settings;
  address.write({
    smoothing: smoothing || undefined,
    scale: x === "log" ? x : undefined,
    values: y === "usual" ? undefined : y,
    zoom: window && `${window.from}-${window.to}`,
  });
}

// The selected place of the page's slider: `at` on the charts' axis, and the frames of a run's timeline. Kept here for
// charts that are added later.
export const selection = { at: undefined, frames: [] };
document.addEventListener("ganvas:frames", ({ detail: { frames, index } }) => {
  Object.assign(selection, { frames, at: frames[index]?.iteration });
});
document.addEventListener("ganvas:compared", ({ detail: { at } }) => (selection.at = at));

const VALUES = [["usual", "usual values"], ["full", "all values"], ["log", "all values, log"]];
const SCALES = [["linear", "linear"], ["log", "log"]];
const WORDS = { iteration: "Iterations", images: "Images seen", time: "Time" };
const UNITS = { iteration: "iteration", images: "images seen", time: "seconds" };

class CurveSettings extends HTMLElement {
  connectedCallback() {
    this.length = Number(this.dataset.length);
    // The address may name a window beyond the axis.
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
    // The axis of one run, which ends where the run does.
    if ("follows" in this.dataset) listen(this, "update", ({ job }) => this.take(lengthOfRun(job, this.length)));
    this.show();
  }

  disconnectedCallback() {
    stopListening(this);
    this.all.remove();
  }

  take(length) {
    if (length === this.length) return;
    this.length = length;
    for (const box of [this.from, this.to]) box.max = length;
    this.show();
  }

  buildWindow() {
    const unit = UNITS[this.dataset.axis];
    const box = (label) => build("input", { type: "number", min: 0, max: this.length, ariaLabel: label, required: true });
    [this.from, this.to] = [box(`Zoom from ${unit}`), box(`Zoom to ${unit}`)];
    this.all?.remove();
    this.all = build("button", { type: "button", className: "plain", onclick: () => change({ window: undefined }) }, "All");
    const form = build("form", { className: "window" }, "Zoom", this.from, "to", this.to, build("button", {}, "Zoom"), this.all);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const [from, to] = [Number(this.from.value), Number(this.to.value)];
      change({ window: to > from ? { from, to } : undefined });
    });
    // In a menu it stands beside that, where a zoom can be seen to end.
    const menu = this.closest("details.overlay");
    if (menu) menu.before(this.all);
    return form;
  }

  /** The half-life in words, in the axis's unit. */
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
    this.all.hidden = !window;
  }
}

customElements.define("curve-settings", CurveSettings);
