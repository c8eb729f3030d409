// <look-choice>: chooses what grid-view shows: the grid, its difference from the one before, or both in turn.
// Keys: d, f, and b to turn by hand.
import { announce, buildChoice, stopListening } from "../../static/core/dom.js";
import { isTyping } from "../../static/core/key-help.js";

const MODES = ["grid", "difference", "flicker"];
const KEYS = { d: "difference", f: "flicker" };
// Slower than three flashes a second, which can harm (WCAG 2.3.1).
const FLICKER_MS = 400;

class LookChoice extends HTMLElement {
  connectedCallback() {
    this.listeners = new AbortController();
    const [select, choice] = buildChoice("Show", MODES.map((mode) => [mode, mode]));
    select.addEventListener("change", () => this.choose(select.value));
    this.select = select;
    this.replaceChildren(choice);
    document.addEventListener("keydown", (event) => this.press(event), { signal: this.listeners.signal });
  }

  disconnectedCallback() {
    stopListening(this);
    clearInterval(this.timer);
  }

  press(event) {
    if (isTyping(event)) return;
    const look = KEYS[event.key];
    if (look) this.choose(this.select.value === look ? "grid" : look);
    else if (event.key === "b" && this.select.value === "flicker") this.turn();
    else return;
    event.preventDefault();
  }

  choose(look) {
    this.select.value = look;
    clearInterval(this.timer);
    const isCalm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    if (look === "flicker" && !isCalm) this.timer = setInterval(() => this.turn(), FLICKER_MS);
    this.turn(false);
  }

  turn(flipped = !this.flipped) {
    this.flipped = flipped;
    announce("look", { look: this.select.value, flipped });
  }
}

customElements.define("look-choice", LookChoice);
