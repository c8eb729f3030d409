// <key-help>: a button in the page's menu and the key ? open the list of keys; / leads to the search, g and a letter to
// another page. Widgets with keys of their own ask isTyping first; each key also stands in the list below.
import { below } from "./address.js";
import { build } from "./dom.js";

// Elements to which a key belongs while they have the focus.
const OWN_KEYS = "input, select, textarea, button, summary, [tabindex]";
// These take two keys alone; so a page's other keys work after one of them was clicked.
const [PRESSED, PRESSES] = ["button, summary", new Set([" ", "Enter"])];
const TEXT_FIELDS = "input:not([type=checkbox], [type=range], [type=radio]), select, textarea";

// The pages to which g and a letter lead.
const PAGES = { r: "/", n: "/new", c: "/compare", f: "/figures", w: "/queue-and-workers" };
const WORDS = { r: "to the runs", n: "to a new run", c: "to the comparison", f: "to figures", w: "to the workers" };
// Longer after g, a letter is a key of its own again.
const PAIR_MS = 1500;
const findPage = (letter) => PAGES[letter] && document.querySelector(`nav[aria-label="Pages"] a[href="${below(PAGES[letter])}"]`);

// In the order of the list; a key with `where` is listed on pages that have such an element.
const KEYS = [
  { keys: ["?"], does: "this help" },
  { keys: ["/"], does: "to the search", where: "#search-runs" },
  { keys: ["j", "k"], does: "to the next run, to the run before", where: "chosen-runs" },
  { keys: ["x"], does: "choose that run, or no longer", where: "chosen-runs" },
  { keys: ["Enter"], does: "open it", where: "chosen-runs" },
  ...Object.keys(PAGES).map((letter) => ({ keys: [`g ${letter}`], does: WORDS[letter], where: 'nav[aria-label="Pages"]' })),
  { keys: ["←", "→"], does: "the grid before, the grid after", where: "frame-player, compare-player" },
  { keys: ["Home", "End"], does: "the first grid, the newest grid", where: "frame-player, compare-player" },
  { keys: ["PgUp", "PgDn"], does: "with the focus on the slider: ten grids on, ten back; ↑ and ↓ one", where: "frame-player, compare-player" },
  { keys: ["Space"], does: "play, pause", where: "frame-player, compare-player" },
  { keys: ["p"], does: "present: the grid on the whole screen; p or Esc leaves", where: "frame-view" },
  { keys: ["wheel"], does: "over the grid: from grid to grid, with Shift by ten", where: "grid-view" },
  { keys: ["d"], does: "the difference from the grid before", where: "look-choice" },
  { keys: ["f", "b"], does: "flicker with the grid before, turn to it by hand", where: "look-choice" },
  { keys: ["↑", "↓", "←", "→", "Enter"], does: "with the focus on the grid: choose a cell, follow it", where: "cell-cursor" },
  { keys: ["↑", "↓", "←", "→", "Enter"], does: "with the focus on a grid: choose a cell, keep it outlined", where: "compare-cell" },
  { keys: ["Shift", "click"], does: "choose all runs in between", where: "chosen-runs" },
  { keys: ["Tab"], does: "to the next control; the first one leads past the header" },
  { keys: ["Esc"], does: "close this, or what lies over the page" },
];

/** Whether a key belongs to the focused element or to the browser. */
export function isTyping(event) {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return true;
  const owner = event.target.closest?.(OWN_KEYS);
  return Boolean(owner) && (PRESSES.has(event.key) || !owner.matches(PRESSED));
}

/** Whether text is being written, to which letters belong. */
export function isWriting(event) {
  return event.ctrlKey || event.metaKey || event.altKey || Boolean(event.target.closest?.(TEXT_FIELDS));
}

const STEPS = { ArrowLeft: -1, ArrowRight: 1, ArrowDown: -1, ArrowUp: 1, PageDown: -10, PageUp: 10, Home: -Infinity, End: Infinity };

/** How many grids a key moves by, or undefined. */
export const stepOf = (key) => STEPS[key];

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
    this.dialog?.remove();
  }

  press(event) {
    if (isWriting(event)) return;
    const search = document.querySelector("#search-runs");
    const isPair = event.timeStamp - this.pairAt < PAIR_MS;
    this.pairAt = undefined;
    if (isPair && findPage(event.key)) findPage(event.key).click();
    else if (event.key === "g" && findPage("r")) this.pairAt = event.timeStamp;
    else if (event.key === "?") this.open();
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
    // Not in the menu, which may be folded.
    document.body.append(this.dialog);
    this.dialog.showModal();
  }
}

customElements.define("key-help", KeyHelp);
