// How all curves of a page are shown, decided in one place: smoothing, axes, and the places that are zoomed to.
// The page's address says it too: ?smoothing=12&scale=log&values=full&zoom=100-2000.
import { readAddress, RestingAddress } from "../address.js";
import { announce } from "../dom.js";

export const STEPS = 20;
const ZOOM = /^([0-9]{1,10})-([0-9]{1,10})$/;
const address = new RestingAddress();

/** What the address says; what it says wrongly is as usual. */
function read() {
  const smoothing = Number(readAddress("smoothing"));
  const [from, to] = (readAddress("zoom")?.match(ZOOM) ?? []).slice(1).map(Number);
  return {
    smoothing: Number.isInteger(smoothing) && smoothing > 0 && smoothing <= STEPS ? smoothing : 0,
    x: readAddress("scale") === "log" ? "log" : "linear",
    y: ["full", "log"].find((each) => each === readAddress("values")) ?? "usual",
    window: to > from ? { from, to } : undefined,
  };
}

// smoothing: a step from 0 to STEPS. halfLife: within which share of the axis smoothing fades to a half; the strongest
// within a quarter, each step a third weaker. x: "linear" or "log". y: "usual", "full" or "log".
// window: {from, to} on the charts' axis, or undefined for all of it.
export const settings = {
  ...read(),
  get halfLife() {
    return this.smoothing > 0 ? 0.25 * 1.5 ** (this.smoothing - STEPS) : 0;
  },
};

/** Change some of it and tell every chart, and the address. */
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

// Where the page's slider stands: `at` on the charts' axis, and on a run's page all grids. A chart that comes later has
// to know.
export const selection = { at: undefined, frames: [] };
document.addEventListener("ganvas:frames", ({ detail: { frames, index } }) => {
  Object.assign(selection, { frames, at: frames[index]?.iteration });
});
document.addEventListener("ganvas:compared", ({ detail: { at } }) => (selection.at = at));
