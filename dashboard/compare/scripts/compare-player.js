// <compare-player>: one slider for all compared runs, with play and keys; it announces the wanted place.
import { announce, build, listen, stopListening } from "../../static/core/dom.js";
import { countUntil, describePlace } from "../../charts/scripts/axis.js";
import { isTyping, stepOf } from "../../static/core/key-help.js";
import { Slider } from "../../static/core/slider.js";

const A_SECOND = 10;
const PAGE_KEYS = new Set(["ArrowLeft", "ArrowRight", "Home", "End"]);

class ComparePlayer extends HTMLElement {
  connectedCallback() {
    this.places = [];
    this.button = build("button", { type: "button", onclick: () => this.toggle() }, "Play");
    const snap = (at) => this.pick(this.places[Math.max(0, countUntil(this.places, at) - 1)]);
    this.slider = new Slider("Place on the axis, for all runs", snap, (count) => this.go(count));
    this.classList.add("player");
    this.replaceChildren(this.button, this.slider.input, build("div", { className: "choices" }, this.slider.choice));
    listen(this, "compared", (detail) => this.draw(detail));
    document.addEventListener("keydown", (event) => this.press(event), { signal: this.listeners.signal });
  }

  disconnectedCallback() {
    stopListening(this);
    this.pause();
  }

  draw({ axis, at, places }) {
    Object.assign(this, { places, at });
    const label = `${describePlace(axis, at)}, ${countUntil(places, at)} of ${places.length}`;
    this.slider.draw({ first: places[0], last: places.at(-1) }, at, label);
    this.button.disabled = places.length < 2;
  }

  pick(at) {
    // At once, so that the next key within this frame starts from here.
    this.at = at;
    announce("place", { at });
  }

  /** Move by this many places at which a run has a grid. */
  go(count) {
    if (!this.places.length) return;
    const index = countUntil(this.places, this.at) - 1;
    const from = count < 0 && this.places[index] < this.at ? index + 1 : index;
    this.pick(this.places[Math.min(Math.max(from + count, 0), this.places.length - 1)]);
  }

  press(event) {
    if (isTyping(event)) return;
    if (event.key === " ") this.toggle();
    else if (PAGE_KEYS.has(event.key)) this.go(stepOf(event.key));
    else return;
    event.preventDefault();
  }

  toggle() {
    if (this.timer) return this.pause();
    if (this.places.length < 2) return undefined;
    if (this.at >= this.places.at(-1)) this.pick(this.places[0]);
    this.timer = setInterval(() => this.advance(), 1000 / A_SECOND);
    this.button.textContent = "Pause";
    return undefined;
  }

  advance() {
    this.go(1);
    if (this.at >= this.places.at(-1)) this.pause();
  }

  pause() {
    clearInterval(this.timer);
    this.timer = undefined;
    this.button.textContent = "Play";
  }
}

customElements.define("compare-player", ComparePlayer);
