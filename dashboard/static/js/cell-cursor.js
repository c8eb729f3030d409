// <cell-cursor>: lies over the grid and marks one of its cells: the one below the pointer, or, with the focus, the one
// that the arrow keys chose. A click or Enter follows it.
import { announce, build, listen, stopListening } from "./dom.js";

const MOVES = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

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

  fit({ rows, columns }) {
    if (this.rows === rows && this.columns === columns) return;
    Object.assign(this, { rows, columns });
    this.choose(this.cell);
    if (!this.mark.hidden) this.place(this.mark, this.cell);
  }

  point(event) {
    if (!this.rows) return;
    const box = this.getBoundingClientRect();
    const row = 1 + Math.floor(((event.clientY - box.top) / box.height) * this.rows);
    const column = 1 + Math.floor(((event.clientX - box.left) / box.width) * this.columns);
    this.choose({ row, column });
  }

  press(event) {
    const move = MOVES[event.key];
    if (!move) return;
    event.preventDefault();
    this.choose({ row: this.cell.row + move[0], column: this.cell.column + move[1] });
  }

  choose({ row, column }) {
    const inside = (value, count) => Math.min(Math.max(value, 1), count);
    this.cell = { row: inside(row, this.rows), column: inside(column, this.columns) };
    this.button.ariaLabel = `Follow the cell in row ${this.cell.row}, column ${this.cell.column}`;
    this.place(this.button, this.cell);
  }

  place(node, { row, column }) {
    const percent = (part, whole) => `${(100 * part) / whole}%`;
    node.style.top = percent(row - 1, this.rows);
    node.style.left = percent(column - 1, this.columns);
    node.style.height = percent(1, this.rows);
    node.style.width = percent(1, this.columns);
  }

  markFollowed(row, column) {
    this.mark.hidden = !row;
    if (row && this.rows) this.place(this.mark, { row, column });
  }
}

customElements.define("cell-cursor", CellCursor);
