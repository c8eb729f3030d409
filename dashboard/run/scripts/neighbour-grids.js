// <neighbour-grids data-url data-iteration>: the nearest training images follow the timeline's selected grid.
import { below } from "../../static/core/address.js";
import { findField, listen, setField, stopListening } from "../../static/core/dom.js";
import { selection } from "../../charts/scripts/curve-settings.js";
import { showCount } from "../../static/core/format.js";
import { nearestFrame } from "../../timeline/scripts/frames.js";

class NeighbourGrids extends HTMLElement {
  connectedCallback() {
    this.shown = Number(this.dataset.iteration);
    listen(this, "frames", (detail) => this.follow(detail));
    // Rendered anew while another grid is selected: show that one.
    if (selection.at !== undefined) this.follow(selection);
  }

  disconnectedCallback() {
    stopListening(this);
  }

  async follow({ frames }) {
    this.frames = frames;
    this.grids ??= this.load();
    const grids = await this.grids;
    if (!grids.length || !this.isConnected) return;
    const index = nearestFrame(grids, selection.at);
    const grid = grids[index];
    if (grid.iteration !== this.shown) this.show(grid, index, grids.length);
  }

  async load() {
    const response = await fetch(`${this.dataset.url}?limit=5000`).catch(() => undefined);
    return response?.ok ? (await response.json()).items : [];
  }

  show(grid, index, count) {
    this.shown = grid.iteration;
    const label = showCount(grid.iteration);
    setField(this, "iteration", label);
    setField(this, "position", `${showCount(index + 1)} of ${showCount(count)}`);
    // The distances were measured for the grid that the page was rendered with.
    setField(this, "distances", "");
    const generated = this.frames.find((frame) => frame.iteration === grid.iteration);
    this.draw("generated", generated, `generated images at iteration ${label}`);
    this.draw("nearest", grid, `training images, each the nearest to the generated image in its place at iteration ${label}`);
  }

  draw(field, grid, text) {
    const image = findField(this, field);
    if (!image) return;
    image.closest("figure").hidden = !grid;
    if (!grid) return;
    image.src = below(grid.url);
    image.alt = `${grid.rows} × ${grid.columns} ${text}`;
  }
}

customElements.define("neighbour-grids", NeighbourGrids);
