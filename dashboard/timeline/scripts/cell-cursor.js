// <cell-cursor>: covers the grid and marks the cell below the pointer or, with the focus, the one chosen by arrow keys. A
// click or Enter follows it.
import { cellBeside, cellUnder, coverCell, nearestCell } from "./frames.js";
import { announce, build, listen, stopListening } from "../../static/core/dom.js";

class CellCursor extends HTMLElement {
  connectedCallback() {
    const followed = document.querySelector("cell-history")?.dataset ?? {};
    this.cell = { row: Number(followed.row ?? 1), column: Number(followed.column ?? 1) };
    this.mark = build("span", { className: "followed", hidden: !followed.row });
    this.button = build("button", { type: "button", onclick: () => announce("cell", this.cell) });
    this.button.addEventListener("keydown", (event) => this.press(event));
    this.replaceChildren(this.mark, this.button);
    listen(this, "frames", ({ frames, index }) => this.fit(frames[index]));
    listen(this, "cell", ({ row, column }) => this.markFollowed(row, column));
    this.parentElement.addEventListener("pointermove", (event) => this.point(event));
  }

  disconnectedCallback() {
    stopListening(this);
  }

  fit({ rows, columns, latents_sha256 }) {
    // Without known latents a cell is nothing that can be followed.
    this.hidden = !latents_sha256;
    if (this.grid?.rows === rows && this.grid.columns === columns) return;
    this.grid = { rows, columns };
    this.choose(this.cell);
    if (!this.mark.hidden) coverCell(this.mark, this.cell, this.grid);
  }

  point(event) {
    if (this.grid) this.choose(cellUnder(this, event, this.grid));
  }

  press(event) {
    const cell = cellBeside(this.cell, event.key);
    if (!cell || !this.grid) return;
    event.preventDefault();
    this.choose(cell);
  }

  choose(cell) {
    this.cell = nearestCell(cell, this.grid);
    this.button.ariaLabel = `Follow the cell in row ${this.cell.row}, column ${this.cell.column}`;
    coverCell(this.button, this.cell, this.grid);
  }

  markFollowed(row, column) {
    this.mark.hidden = !row;
    if (row && this.grid) coverCell(this.mark, { row, column }, this.grid);
  }
}

customElements.define("cell-cursor", CellCursor);
