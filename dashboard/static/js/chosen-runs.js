// <chosen-runs>: how many runs are chosen, a button for all of them, and with shift a range at once.
// The choice outlives the list's refreshes, because they put another element in this one's place.
import { build, findField } from "./dom.js";

const chosen = new Set();
// Runs that were tagged are often the next to be compared: they stay chosen on the page that comes then.
const KEPT = "chosen-runs";
const KEEPING = ["tag", "untag"];

class ChosenRuns extends HTMLElement {
  connectedCallback() {
    this.rows = this.closest("run-rows");
    this.controller = new AbortController();
    const { signal } = this.controller;
    this.rows.addEventListener("click", (event) => this.click(event), { signal });
    this.rows.addEventListener("change", () => this.read(), { signal });
    this.all = build("button", { type: "button", onclick: () => this.toggleAll() });
    findField(this, "chosen").after(this.all);
    this.addEventListener("submit", ({ submitter }) => {
      if (KEEPING.includes(submitter?.value)) sessionStorage.setItem(KEPT, JSON.stringify([...chosen]));
    });
    for (const id of JSON.parse(sessionStorage.getItem(KEPT) ?? "[]")) chosen.add(id);
    sessionStorage.removeItem(KEPT);
    // What the browser restored when somebody came back counts as well.
    for (const box of this.boxes()) box.checked ||= chosen.has(box.value);
    this.read();
  }

  disconnectedCallback() {
    this.controller.abort();
    this.all.remove();
  }

  boxes() {
    return [...this.rows.querySelectorAll('input[name="run"]')];
  }

  click(event) {
    const boxes = this.boxes();
    const place = boxes.indexOf(event.target);
    if (place < 0) return;
    if (event.shiftKey && this.last !== undefined) {
      const [from, to] = [Math.min(place, this.last), Math.max(place, this.last)];
      for (const box of boxes.slice(from, to + 1)) box.checked = event.target.checked;
      this.read();
    }
    this.last = place;
  }

  toggleAll() {
    const boxes = this.boxes();
    const wanted = !boxes.every((box) => box.checked);
    for (const box of boxes) box.checked = wanted;
    this.read();
  }

  read() {
    const boxes = this.boxes();
    for (const box of boxes) chosen[box.checked ? "add" : "delete"](box.value);
    const count = boxes.filter((box) => box.checked).length;
    findField(this, "chosen").textContent = count ? `${count} chosen` : "Choose runs:";
    this.all.textContent = count === boxes.length ? "None" : "All";
    for (const button of this.querySelectorAll("form button:not([type=button])")) button.disabled = !count;
    const cancel = this.querySelector("details");
    cancel.inert = !count;
    if (!count) cancel.open = false;
    const compare = this.querySelector("[formaction='/runs/compare']");
    compare.disabled = count < 2 || count > 10;
    compare.title = compare.disabled ? "Choose 2 to 10 runs" : "";
  }
}

customElements.define("chosen-runs", ChosenRuns);
