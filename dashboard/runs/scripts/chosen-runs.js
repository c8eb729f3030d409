// <chosen-runs>: what can be done with chosen runs, shown once there are some: their number, a button for all, and ranges
// with Shift. The keys j and k go from run to run, x chooses the one that has the focus. The choice, and the run that had
// the focus, are kept outside the element, because a refresh of the list replaces it.
import { build, findField } from "../../static/core/dom.js";
import { isWriting } from "../../static/core/key-help.js";

const chosen = new Set();
let reached;
// Tagged runs are often compared next: they stay chosen on the following page.
const STORAGE_KEY = "chosen-runs";
const KEEPING_ACTIONS = ["tag", "untag"];

class ChosenRuns extends HTMLElement {
  connectedCallback() {
    this.rows = this.closest("run-rows");
    this.controller = new AbortController();
    const { signal } = this.controller;
    this.rows.addEventListener("click", (event) => this.click(event), { signal });
    this.rows.addEventListener("change", () => this.read(), { signal });
    this.rows.addEventListener("focusin", ({ target }) => (reached = target.closest("[data-run]")?.dataset.run ?? reached), { signal });
    document.addEventListener("keydown", (event) => this.press(event), { signal });
    this.all = build("button", { type: "button", onclick: () => this.toggleAll() });
    findField(this, "chosen").after(this.all);
    this.addEventListener("submit", ({ submitter }) => {
      if (KEEPING_ACTIONS.includes(submitter?.value)) sessionStorage.setItem(STORAGE_KEY, JSON.stringify([...chosen]));
    });
    for (const id of JSON.parse(sessionStorage.getItem(STORAGE_KEY) ?? "[]")) chosen.add(id);
    sessionStorage.removeItem(STORAGE_KEY);
    // Includes what the browser restored after going back.
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
    const index = boxes.indexOf(event.target);
    if (index < 0) return;
    if (event.shiftKey && this.last !== undefined) {
      const [from, to] = [Math.min(index, this.last), Math.max(index, this.last)];
      for (const box of boxes.slice(from, to + 1)) box.checked = event.target.checked;
      this.read();
    }
    this.last = index;
  }

  /** Go to the run below or above, or choose the one that was gone to. */
  press(event) {
    if (isWriting(event) || !["j", "k", "x"].includes(event.key)) return;
    const rows = [...this.rows.querySelectorAll("[data-run]")];
    const at = rows.findIndex(({ dataset }) => dataset.run === reached);
    event.preventDefault();
    if (event.key === "x") rows[at]?.querySelector('input[name="run"]').click();
    else rows[Math.min(rows.length - 1, Math.max(0, at + (event.key === "j" ? 1 : -1)))].querySelector(".run-link").focus();
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
    this.hidden = !count;
    findField(this, "chosen").textContent = count ? `${count} chosen` : "";
    this.all.textContent = count === boxes.length ? "None" : "All";
    // A login that may only read has no such question.
    const cancel = this.querySelector("details");
    if (cancel && !count) cancel.open = false;
    const compare = this.querySelector("[formaction$='/runs/compare']");
    compare.disabled = count < 2 || count > 10;
    compare.title = compare.disabled ? "Choose 2 to 10 runs" : "";
  }
}

customElements.define("chosen-runs", ChosenRuns);
