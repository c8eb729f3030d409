// <compare-cell data-run data-name>: covers a compared run's grid. The cell under the pointer, or chosen by arrow keys,
// is outlined in every run with the same fixed latents (compare-outline.js); a click or Enter keeps the outline.
import { cellBeside, cellUnder, coverCell, nearestCell } from "../../timeline/scripts/frames.js";
import { isAlike, keep, outline, outlined } from "./compare-outline.js";
import { build, listen, stopListening } from "../../static/core/dom.js";

class CompareCell extends HTMLElement {
  connectedCallback() {
    this.cell = { row: 1, column: 1 };
    this.mark = build("span", { className: "followed", hidden: true });
    this.button = build("button", { type: "button", hidden: true, onclick: () => keep(this.chosen) });
    this.button.addEventListener("keydown", (event) => this.press(event));
    this.button.addEventListener("focus", () => this.choose(this.cell));
    this.button.addEventListener("blur", () => outline());
    this.replaceChildren(this.mark, this.button);
    this.addEventListener("pointermove", (event) => this.grid && this.choose(cellUnder(this, event, this.grid)));
    this.addEventListener("pointerleave", () => this.leave());
    listen(this, "compared", ({ shown }) => this.take(shown));
    listen(this, "outline", () => this.show());
  }

  disconnectedCallback() {
    stopListening(this);
  }

  get chosen() {
    return { run: this.dataset.run, ...this.cell };
  }

  take(shown) {
    const { frames, index } = shown[this.dataset.run] ?? { frames: [] };
    Object.assign(this, { shown, grid: frames[index] });
    this.button.hidden = !this.grid;
    if (this.grid) this.move(this.cell);
    this.show();
  }

  press(event) {
    const cell = cellBeside(this.cell, event.key);
    if (!cell) return;
    event.preventDefault();
    this.choose(cell);
  }

  choose(cell) {
    this.move(cell);
    outline(this.chosen);
  }

  /** Put the button over this cell; it takes clicks and shows the focus. */
  move(cell) {
    this.cell = nearestCell(cell, this.grid);
    const { row, column } = this.cell;
    this.button.ariaLabel = `Outline row ${row}, column ${column} of ${this.dataset.name} in all runs of the same latents`;
    coverCell(this.button, this.cell, this.grid);
  }

  /** The pointer has left: the focus, if it is here, chooses the cell. */
  leave() {
    if (document.activeElement === this.button) outline(this.chosen);
    else outline();
  }

  show() {
    if (!this.shown) return;
    this.mark.hidden = !this.grid || !outlined.row || !isAlike(this.shown, this.dataset.run);
    if (!this.mark.hidden) coverCell(this.mark, nearestCell(outlined, this.grid), this.grid);
  }
}

customElements.define("compare-cell", CompareCell);
