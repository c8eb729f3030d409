// <cell-history data-run-url data-shown [data-row data-column]>: the history of the followed cell, else of one in the
// middle of the grid, rendered by the server.
import { writeAddress } from "../../static/core/address.js";
import { announce, listen, pickFromLinks, stopListening } from "../../static/core/dom.js";
import { nearestFrame } from "./frames.js";

// The server cuts the cell out of up to 200 grids, so new ones are added only this often.
const REFRESH_MS = 10_000;

class CellHistory extends HTMLElement {
  connectedCallback() {
    listen(this, "cell", ({ row, column }) => this.follow(row, column));
    listen(this, "frames", ({ frames, index }) => this.take(frames, index));
    pickFromLinks(this);
    this.addEventListener("click", (event) => this.click(event));
    this.read();
  }

  disconnectedCallback() {
    stopListening(this);
    clearTimeout(this.timer);
  }

  click(event) {
    if (!event.target.closest("a[data-close]") || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    announce("cell", {});
  }

  take(frames, index) {
    Object.assign(this, { iteration: frames[index].iteration, newest: frames.at(-1).iteration });
    this.mark();
    if (this.dataset.shown && this.newest !== this.drawn) this.timer ??= setTimeout(() => this.fetch(), REFRESH_MS);
  }

  /** Follow this cell, or none; it is written to the address. */
  follow(row, column) {
    writeAddress({ row: undefined, column: undefined, cell: row && `${row}-${column}` });
    this.fetch(row ? `${row}-${column}` : "none");
  }

  async fetch(cell = this.dataset.row ? this.dataset.shown : "none") {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.asked = cell;
    const at = this.iteration === undefined ? "" : `?iteration=${this.iteration}`;
    const response = await fetch(`${this.dataset.runUrl}/cells/${cell}${at}`).catch(() => undefined);
    const text = response?.ok ? await response.text() : undefined;
    // Another cell may have been chosen meanwhile.
    if (text !== undefined && cell === this.asked) this.replace(text);
  }

  /** Replace the content by what the server rendered; a control keeps the focus. */
  replace(text) {
    const fresh = new DOMParser().parseFromString(text, "text/html").querySelector("cell-history");
    const focused = this.contains(document.activeElement) && document.activeElement.id;
    delete this.dataset.row;
    delete this.dataset.column;
    Object.assign(this.dataset, fresh.dataset);
    this.replaceChildren(...document.importNode(fresh, true).childNodes);
    if (focused) document.getElementById(focused)?.focus();
    this.read();
    this.mark();
  }

  /** Read the frames that the server rendered. */
  read() {
    const links = [...this.querySelectorAll("a[data-iteration]")];
    this.shown = links.map((link) => ({ link, iteration: Number(link.dataset.iteration) }));
    this.drawn = this.shown.at(-1)?.iteration;
    this.marked = this.querySelector("[aria-current]") ?? undefined;
  }

  mark() {
    if (!this.shown.length || this.iteration === undefined) return;
    const { link } = this.shown[nearestFrame(this.shown, this.iteration)];
    if (link === this.marked) return;
    this.marked?.removeAttribute("aria-current");
    link.ariaCurrent = "true";
    this.marked = link;
  }
}

customElements.define("cell-history", CellHistory);
