// <compare-grid data-run data-name data-run-url data-side>: the grid of one compared run. While the place moves,
// thumbnails; at rest, the whole grid.
import { build, listen, stopListening } from "../../static/core/dom.js";
import { showCount } from "../../static/core/format.js";
import { drawPicture, WholeGrids } from "../../timeline/scripts/grid-images.js";
import { ThumbnailStore } from "../../timeline/scripts/thumbnails.js";

const REST_MS = 120;

class CompareGrid extends HTMLElement {
  connectedCallback() {
    this.image = this.querySelector("img");
    this.canvas = build("canvas", { className: "moving", hidden: true });
    this.image.after(this.canvas);
    this.store = new ThumbnailStore(this.dataset.runUrl, () => this.paint());
    this.whole = new WholeGrids();
    listen(this, "compared", ({ shown }) => this.take(shown[this.dataset.run]));
  }

  disconnectedCallback() {
    stopListening(this);
    this.store.close();
    clearTimeout(this.timer);
  }

  take(seen) {
    if (!seen) return;
    const { frames, index } = seen;
    this.frame = frames[index];
    this.index = index;
    this.image.hidden = !this.frame;
    this.canvas.hidden ||= !this.frame;
    if (!this.frame) return;
    this.fit();
    this.store.take(frames);
    this.paint();
    this.store.want(index);
  }

  /** Reserve the space of a grid that is still loading, in the size that the server would give it. */
  fit() {
    const { rows, columns, cell_width: width, cell_height: height, iteration } = this.frame;
    const scale = Math.max(1, Math.floor(Number(this.dataset.side) / Math.max(columns * width, rows * height)));
    Object.assign(this.image, { width: columns * width * scale, height: rows * height * scale });
    this.image.alt = `${rows} × ${columns} images of ${this.dataset.name} at iteration ${showCount(iteration)}`;
  }

  paint() {
    if (!this.frame) return;
    const isThere = this.image.getAttribute("src") === this.frame.url && this.image.complete;
    if (isThere || this.whole.find(this.frame)) return this.show();
    const part = this.store.find(this.index);
    if (part) {
      drawPicture(this.canvas, part);
      this.canvas.hidden = false;
    }
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.fetchWhole(), REST_MS);
    return undefined;
  }

  show() {
    clearTimeout(this.timer);
    if (this.image.getAttribute("src") !== this.frame.url) this.image.src = this.frame.url;
    this.canvas.hidden = true;
  }

  async fetchWhole() {
    const { frame } = this;
    if ((await this.whole.load(frame)) && this.isConnected && frame === this.frame) this.show();
  }
}

customElements.define("compare-grid", CompareGrid);
