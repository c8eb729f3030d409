// <frame-strip data-run-url>: evenly spaced frames from the first to the newest; the selected one is marked.
// Their corners are one image, which is fetched anew at most every REFRESH_MS.
import { build, buildSvg, listen, pickFromLinks, stopListening } from "../../static/core/dom.js";
import { showCount } from "../../static/core/format.js";
import { evenlySpaced, nearestFrame } from "./frames.js";
import { nameSheet, placeCorners } from "./thumbnails.js";

const MOST = 20;
const SIDE = 56;
const REFRESH_MS = 2000;

class FrameStrip extends HTMLElement {
  connectedCallback() {
    this.chosen = [...this.querySelectorAll("a")].map((link) => ({ iteration: Number(link.dataset.iteration) }));
    this.sheet = this.querySelector("image")?.getAttribute("href");
    listen(this, "frames", (detail) => this.draw(detail));
    pickFromLinks(this);
  }

  disconnectedCallback() {
    stopListening(this);
    clearTimeout(this.timer);
  }

  draw({ frames, index }) {
    this.frames = frames;
    this.selected = frames[index].iteration;
    this.mark();
    if (this.timer || frames === this.drawn && frames.length === this.count) return;
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
      else if (!link.ariaCurrent) this.show(link);
    }
  }

  show(link) {
    link.ariaCurrent = "true";
    const [left, right] = [link.offsetLeft, link.offsetLeft + link.offsetWidth];
    if (left < this.scrollLeft || right > this.scrollLeft + this.clientWidth) {
      this.scrollLeft = left - this.clientWidth / 2;
    }
  }

  async rebuild() {
    [this.drawn, this.count] = [this.frames, this.frames.length];
    const chosen = evenlySpaced(this.frames.length, MOST).map((at) => this.frames[at]);
    const sheet = `${this.dataset.runUrl}/corners/${nameSheet(chosen)}.png`;
    if (sheet === this.sheet) return;
    this.sheet = sheet;
    // The old frames stay until the new image is decoded.
    const image = build("img", { src: sheet });
    await image.decode().catch(() => undefined);
    if (sheet !== this.sheet) return;
    this.chosen = chosen;
    const cuts = placeCorners(chosen);
    const list = this.querySelector("ol") ?? this.appendChild(build("ol"));
    list.replaceChildren(...chosen.map((frame, at) => this.buildItem(frame, sheet, cuts, at)));
    this.mark();
  }

  buildItem(frame, sheet, { places, width, height }, at) {
    const { x, y, ...size } = places[at];
    const image = buildSvg("image", { href: sheet, width, height });
    const box = { viewBox: `${x} ${y} ${size.width} ${size.height}`, width: SIDE, height: SIDE };
    const number = build("span", {}, build("span", { className: "unseen" }, "Iteration "), showCount(frame.iteration));
    const href = `${this.dataset.runUrl}?iteration=${frame.iteration}`;
    const link = build("a", { href }, buildSvg("svg", { class: "thumb", "aria-hidden": "true", ...box }, image), number);
    link.dataset.iteration = frame.iteration;
    return build("li", {}, link);
  }
}

customElements.define("frame-strip", FrameStrip);
