// <compare-outline>: names the outlined cell and the compared runs in which it shows the same latents.
// The cell is {run, row, column}: chosen while pointer or focus is on it, or kept, also in the address.
//   in:  ganvas:compared, ganvas:outline
//   out: ganvas:outline {run, row, column}; {} when there is none
import { readAddress, writeAddress } from "../../static/core/address.js";
import { announce, listen, stopListening } from "../../static/core/dom.js";

let [, run, row, column] = readAddress("cell")?.match(/^(\w+)-(\d{1,3})-(\d{1,3})$/) ?? [];
let kept = run ? { run, row: Number(row), column: Number(column) } : {};
export let outlined = kept;

/** Outline this cell; without an argument, the kept one. */
export function outline(cell = kept) {
  outlined = cell;
  announce("outline", cell);
}

/** Keep this cell outlined; the kept one is released. */
export function keep(cell) {
  const isKept = ["run", "row", "column"].every((name) => kept[name] === cell[name]);
  kept = isKept ? {} : cell;
  writeAddress({ cell: isKept ? undefined : `${cell.run}-${cell.row}-${cell.column}` });
  outline(cell);
}

/** Whether a run shows the same latents in the same places as the run of the outlined cell. */
export const isAlike = (shown, one) => Boolean(shown[one]?.letter) && shown[one].letter === shown[outlined.run]?.letter;

class CompareOutline extends HTMLElement {
  connectedCallback() {
    listen(this, "compared", ({ shown }) => this.say((this.shown = shown)));
    listen(this, "outline", () => this.shown && this.say(this.shown));
  }

  disconnectedCallback() {
    stopListening(this);
  }

  say(shown) {
    const text = outlined.row && shown[outlined.run]?.letter ? this.describe(Object.entries(shown)) : "";
    if (this.textContent !== text) this.textContent = text;
  }

  describe(runs) {
    const numbers = (some) => some.map(([, { number }]) => number).join(", ");
    const alike = runs.filter(([one]) => isAlike(this.shown, one));
    const others = runs.filter(([one, { letter }]) => letter && !isAlike(this.shown, one));
    const where = `Row ${outlined.row}, column ${outlined.column}: `;
    const same = alike.length > 1 ? `the same latents in ${numbers(alike)}.` : `of ${numbers(alike)} alone.`;
    return `${where}${same}${others.length ? ` Not outlined in ${numbers(others)}: other fixed latents.` : ""}`;
  }
}

customElements.define("compare-outline", CompareOutline);
