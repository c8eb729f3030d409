// <frame-strip data-run-url>: small frames at their iterations' places on the axis that slider and curves share; the
// selected one is marked, and a drag over them goes through the timeline. Their corners are one image, which is fetched
// anew at most every REFRESH_MS. dashboard/timeline/templates/_frame_strip.html draws the same.
import { announce, build, buildSvg, listen, pickFromLinks, stopListening } from "../../static/core/dom.js";
import { showCount } from "../../static/core/format.js";
import { iterationOn, nearestFrame, placeOn, spaceOut, spread } from "./frames.js";
import { nameSheet, placeCorners } from "./thumbnails.js";

const CANDIDATES = 24;
// Sides of a frame in pixels, on a wide and on a narrow screen, and what lies around it.
const [SIDE, NARROW_SIDE, NARROW] = [72, 52, 600];
const [EDGE, GAP, LABEL] = [2, 2, 20];
const REFRESH_MS = 2000;
const DRAG_PIXELS = 4;

class FrameStrip extends HTMLElement {
  connectedCallback() {
    this.chosen = [...this.querySelectorAll("a")].map((link) => ({ iteration: Number(link.dataset.iteration) }));
    listen(this, "frames", (detail) => this.draw(detail));
    listen(this, "axis", (axis) => this.turnTo(axis));
    pickFromLinks(this);
    this.addEventListener("pointerdown", (event) => this.press(event));
    this.addEventListener("dragstart", (event) => event.preventDefault());
    // The end of a drag over a frame is no click on it.
    this.addEventListener("click", (event) => this.wasDragged && (event.preventDefault(), event.stopPropagation()), true);
    this.observer = new ResizeObserver(() => this.frames && this.clientWidth !== this.width && this.rebuild());
    this.observer.observe(this);
  }

  disconnectedCallback() {
    stopListening(this);
    this.observer.disconnect();
    clearTimeout(this.timer);
  }

  get axis() {
    const length = Number(this.closest("grid-timeline").dataset.length);
    return this.given ?? { from: 0, to: Math.max(length, this.frames.at(-1).iteration), isLog: false };
  }

  turnTo(axis) {
    this.given = axis;
    if (this.frames) this.rebuild();
  }

  press(event) {
    this.wasDragged = false;
    if (event.button || !this.frames) return;
    const { left, width } = this.getBoundingClientRect();
    const move = ({ clientX, pointerId }) => {
      if (!this.wasDragged && Math.abs(clientX - event.clientX) < DRAG_PIXELS) return;
      if (!this.wasDragged) this.setPointerCapture(pointerId);
      this.wasDragged = true;
      announce("pick", { iteration: iterationOn(this.axis, (clientX - left) / width) });
    };
    const end = new AbortController();
    this.addEventListener("pointermove", move, { signal: end.signal });
    for (const kind of ["pointerup", "pointercancel"]) this.addEventListener(kind, () => end.abort(), { signal: end.signal });
  }

  draw({ frames, index }) {
    this.frames = frames;
    this.selected = frames[index].iteration;
    this.mark();
    if (this.timer || (frames === this.drawn && frames.length === this.count)) return;
    this.rebuild();
    this.timer = setTimeout(() => {
      this.timer = undefined;
      if (this.frames.length !== this.count) this.rebuild();
    }, REFRESH_MS);
  }

  mark() {
    if (!this.chosen.length) return;
    const selected = this.chosen[nearestFrame(this.chosen, this.selected)].iteration;
    for (const link of this.querySelectorAll("a")) {
      if (Number(link.dataset.iteration) !== selected) link.removeAttribute("aria-current");
      else link.setAttribute("aria-current", "true");
    }
  }

  /** Draw the frames of the part of the timeline that the axis shows, as many as have room. */
  async rebuild() {
    [this.drawn, this.count, this.width] = [this.frames, this.frames.length, this.clientWidth];
    const { axis } = this;
    const seen = this.frames.filter(({ iteration }) => iteration >= axis.from && iteration <= axis.to);
    const candidates = spread(seen.length, CANDIDATES).map((at) => seen[at]);
    if (!candidates.length) return this.show([], "");
    const side = this.width < NARROW ? NARROW_SIDE : SIDE;
    const places = candidates.map(({ iteration }) => placeOn(axis, iteration));
    const shown = spaceOut(places, (side + 2 * EDGE + GAP) / Math.max(1, this.width));
    const sheet = `${this.dataset.runUrl}/corners/${nameSheet(candidates)}.png`;
    this.asked = sheet;
    // The old frames stay until the new image is decoded.
    if (sheet !== this.sheet) await build("img", { src: sheet }).decode().catch(() => undefined);
    if (sheet !== this.asked) return undefined;
    const cuts = placeCorners(candidates);
    this.chosen = shown.map((at) => candidates[at]);
    return this.show(shown.map((at) => this.buildItem(candidates[at], places[at], side, { sheet, ...cuts, cut: cuts.places[at] })), sheet, side);
  }

  show(items, sheet, side = SIDE) {
    this.sheet = sheet;
    const focused = this.contains(document.activeElement) && document.activeElement.dataset.iteration;
    const list = buildSvg("svg", { class: "strip-frames", width: "100%", height: side + 2 * EDGE + LABEL }, ...items);
    this.replaceChildren(list);
    if (!items.length) this.chosen = [];
    if (focused) this.querySelector(`a[data-iteration="${focused}"]`)?.focus();
    this.mark();
  }

  buildItem({ iteration }, place, side, { sheet, width, height, cut }) {
    const [outer, half] = [side + 2 * EDGE, side / 2];
    const box = { x: -half, y: EDGE, width: side, height: side, viewBox: `${cut.x} ${cut.y} ${cut.width} ${cut.height}` };
    const picture = buildSvg("svg", { class: "thumb", ...box }, buildSvg("image", { href: sheet, width, height }));
    const frame = buildSvg("rect", { x: -half - EDGE, y: 0, width: outer, height: outer });
    const number = buildSvg("text", { y: outer + LABEL - 5, "text-anchor": "middle" }, showCount(iteration));
    const href = `${this.dataset.runUrl}?iteration=${iteration}`;
    const link = buildSvg("a", { href, "data-iteration": iteration, "aria-label": `Iteration ${showCount(iteration)}` }, frame, picture, number);
    return buildSvg("svg", { x: `${100 * place}%`, overflow: "visible" }, link);
  }
}

customElements.define("frame-strip", FrameStrip);
