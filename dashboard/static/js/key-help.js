// <key-help>: a button and the key ? open the list of keys; / leads to the search.
import { build } from "./dom.js";
import { KEYS } from "./key-list.js";

const TYPING = "input:not([type=checkbox], [type=range], [type=radio]), select, textarea";

class KeyHelp extends HTMLElement {
  connectedCallback() {
    this.controller = new AbortController();
    this.button = build("button", { type: "button", onclick: () => this.open() }, "Keys");
    this.button.setAttribute("aria-haspopup", "dialog");
    this.replaceChildren(this.button);
    document.addEventListener("keydown", (event) => this.press(event), { signal: this.controller.signal });
  }

  disconnectedCallback() {
    this.controller.abort();
  }

  press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest?.(TYPING)) return;
    const search = document.querySelector("#search-runs");
    if (event.key === "?") this.open();
    else if (event.key === "/" && search) search.focus();
    else return;
    event.preventDefault();
  }

  open() {
    this.dialog?.remove();
    const shown = KEYS.filter(({ where }) => !where || document.querySelector(where));
    const rows = shown.flatMap(({ keys, does }) => [
      build("dt", {}, ...keys.flatMap((key, place) => [place ? " " : "", build("kbd", {}, key)])),
      build("dd", {}, does),
    ]);
    const close = build("button", {}, "Close");
    const heading = build("h2", { id: "key-help-heading" }, "Keys");
    const form = build("form", { method: "dialog" }, close);
    this.dialog = build("dialog", { className: "keys" }, heading, build("dl", {}, ...rows), form);
    this.dialog.setAttribute("aria-labelledby", heading.id);
    this.append(this.dialog);
    this.dialog.showModal();
  }
}

customElements.define("key-help", KeyHelp);
