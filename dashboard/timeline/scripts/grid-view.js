// <grid-view data-run-url>: the picture of the timeline. While it moves, thumbnails; at rest, the whole grid. It shows
// the grid itself, its difference from the one before, or one of the two in turn (look-choice.js).
import { build, findField, listen, stopListening } from "../../static/core/dom.js";
import { showCount } from "../../static/core/format.js";
import { drawDifference, drawPicture, GAIN, partOf, WholeGrids } from "./grid-images.js";
import { ThumbnailStore } from "./thumbnails.js";

const REST_MS = 80;
// A run that draws 100 grids a second never rests: a whole grid is shown this often.
const NEWEST_MS = 250;

/** Indices of the frames in the picture: one, or two for a difference. */
function partsOf(look, index, flipped) {
  if (look === "difference" && index) return [index, index - 1];
  return [flipped && index ? index - 1 : index];
}

/** How the picture relates to the frame before, in words. */
function describeLook(look, before, flipped) {
  if (look === "grid") return "";
  if (!before) return "No grid comes before this one";
  const words = { difference: `${GAIN} × difference from`, flicker: flipped ? "Shown:" : "In turn with" };
  return `${words[look]} iteration ${showCount(before.iteration)}`;
}

class GridView extends HTMLElement {
  connectedCallback() {
    this.look = "grid";
    this.shownAt = 0;
    this.image = this.querySelector("img");
    this.canvas = build("canvas", { className: "moving", hidden: true });
    this.image.after(this.canvas);
    this.store = new ThumbnailStore(this.dataset.runUrl, () => this.paint());
    this.whole = new WholeGrids();
    listen(this, "frames", (detail) => this.take(detail));
    listen(this, "look", ({ look, flipped }) => this.change(look, flipped));
  }

  disconnectedCallback() {
    stopListening(this);
    this.store.close();
    clearTimeout(this.timer);
  }

  take({ frames, index }) {
    const grew = frames.length !== this.count;
    Object.assign(this, { frames, index, grew, count: frames.length });
    const { rows, columns, cell_width: width, cell_height: height, iteration } = frames[index];
    this.style.setProperty("--ratio", (columns * width) / (rows * height));
    this.image.alt = `${rows} × ${columns} generated images at iteration ${showCount(iteration)}`;
    this.store.take(frames);
    this.paint();
    this.store.want(index);
  }

  change(look, flipped) {
    Object.assign(this, { look, flipped });
    if (this.frames) this.paint();
  }

  paint() {
    const parts = partsOf(this.look, this.index, this.flipped);
    const frames = parts.map((at) => this.frames[at]);
    const images = frames.map((frame) => this.whole.find(frame));
    const isThere = this.look === "grid" && this.image.getAttribute("src") === frames[0].url && this.image.complete;
    if (isThere || images.every(Boolean)) this.show(frames, images);
    else {
      const thumbnails = parts.map((at) => this.store.find(at));
      if (thumbnails.every(Boolean)) this.draw(thumbnails);
      this.rest();
    }
    const view = this.closest("frame-view");
    findField(view, "against").textContent = describeLook(this.look, this.frames[this.index - 1], this.flipped);
    view.querySelector(".difference-scale").hidden = parts.length < 2;
  }

  /** Show whole grids; the grid itself as the page's own image, so that it can be saved and copied as one. */
  show(frames, images) {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.shownAt = performance.now();
    if (this.look !== "grid") this.draw(images.map(partOf));
    else if (this.image.getAttribute("src") !== frames[0].url) this.image.src = frames[0].url;
    this.canvas.hidden = this.look === "grid";
  }

  draw(parts) {
    (parts.length > 1 ? drawDifference : drawPicture)(this.canvas, ...parts);
    this.canvas.hidden = false;
  }

  rest() {
    if (this.timer && this.grew) return;
    clearTimeout(this.timer);
    const wait = this.grew ? Math.max(0, NEWEST_MS - (performance.now() - this.shownAt)) : REST_MS;
    this.timer = setTimeout(() => this.fetchWhole(), wait);
  }

  async fetchWhole() {
    this.timer = undefined;
    const { index, look, flipped } = this;
    const frames = partsOf(look, index, flipped).map((at) => this.frames[at]);
    const loaded = await Promise.all(frames.map((frame) => this.whole.load(frame)));
    const images = frames.map((frame) => this.whole.find(frame));
    // Turned meanwhile: the picture that is asked for now has a timer of its own.
    if (!this.isConnected || look !== this.look || flipped !== this.flipped || ![...loaded, ...images].every(Boolean)) return;
    const hasMoved = index !== this.index;
    // A grid that is no longer selected is shown only while a fast run grows.
    if (!hasMoved || this.grew) this.show(frames, images);
    if (hasMoved) return;
    this.whole.loadAround(this.frames, index);
  }
}

customElements.define("grid-view", GridView);
