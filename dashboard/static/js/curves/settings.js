// How all curves of a page are shown, decided in one place: smoothing, axes, and the iterations that are zoomed to.
import { announce } from "../dom.js";

// halfLife: a share of the run's iterations. x: "linear" or "log". y: "usual", "full" or "log".
// window: {from, to} in iterations, or undefined for all of them.
export const settings = { halfLife: 0, x: "linear", y: "usual", window: undefined };

/** Change some of it and tell every chart. */
export function change(parts) {
  Object.assign(settings, parts);
  announce("curves", { ...settings, changed: Object.keys(parts) });
}

// Which grid is selected: a chart that comes later has to know.
export const selection = { iteration: undefined, frames: [] };
document.addEventListener("ganvas:frames", ({ detail: { frames, index } }) => {
  Object.assign(selection, { frames, iteration: frames[index]?.iteration });
});
