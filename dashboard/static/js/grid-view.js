// <grid-view data-run-url>: the picture of the timeline. While it moves, thumbnails from strips; at rest, the whole
// grid. It shows the grid itself, its difference from the one before, or one of the two in turn (ganvas:look, :flip).
import { build, findField, listen, stopListening } from "./dom.js";
import { showCount } from "./format.js";
import { describeLook, partsOf } from "./looks.js";
import { drawDifference, drawPicture, partOf } from "./pictures.js";
import { StripStore } from "./strips/strip-store.js";
import { WholeGrids } from "./whole-grids.js";

const REST_MS = 80;
// A run that draws 100 grids a second never rests; whoever follows it sees a whole one this often.
const NEWEST_MS = 250;

class GridView extends HTMLElement {
  connectedCallback() {
    this.look = "grid";
    this.shownAt = 0;
    this.image = this.querySelector("img");
    this.canvas = build("canvas", { className: "moving", hidden: true });
    this.image.after(this.canvas);
    this.store = new StripStore(this.dataset.runUrl, () => this.paint());
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
    const { rows, columns, iteration } = frames[index];
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
    findField(this.closest("figure"), "against").textContent = describeLook(this.look, this.frames[this.index - 1], this.flipped);
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
    const [index, look] = [this.index, this.look];
    const frames = partsOf(look, index, this.flipped).map((at) => this.frames[at]);
    const loaded = await Promise.all(frames.map((frame) => this.whole.load(frame)));
    const images = frames.map((frame) => this.whole.find(frame));
    if (!this.isConnected || look !== this.look || ![...loaded, ...images].every(Boolean)) return;
    const hasMoved = index !== this.index;
    // Only a run that is faster than its pictures are fetched may show one that is not the newest any more.
    if (!hasMoved || this.grew) this.show(frames, images);
    if (hasMoved) return;
    this.whole.loadAround(this.frames, index);
  }
}

customElements.define("grid-view", GridView);
