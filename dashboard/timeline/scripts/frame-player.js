// <frame-player>: the slider below the strip, on the axis that strip and curves share; play, speed, keys and wheel. It
// announces the wanted iteration and the timeline selects it.
import { readAddress, writeAddress } from "../../static/core/address.js";
import { announce, build, buildChoice, buildIcon, buildIconButton, listen, pickFromLinks, setIconButton, stopListening } from "../../static/core/dom.js";
import { showCount } from "../../static/core/format.js";
import { isTyping, stepOf } from "../../static/core/key-help.js";
import { iterationOn, placeOn } from "./frames.js";

const SPEEDS = [2, 5, 10, 20, 60].map((speed) => [speed, `${speed} a second`]);
const USUAL_SPEED = 5;
// The width of a mark that ends where it began, as a percentage.
const LEAST_MARK = 0.6;
// Up, down and page keys scroll the page, unless the slider has the focus.
const PAGE_KEYS = new Set(["ArrowLeft", "ArrowRight", "Home", "End"]);

// Addresses of before the slider and the curves had one axis.
if (readAddress("slider") === "log") writeAddress({ slider: undefined, scale: "log" });

// Wheel distances in pixels.
const NOTCH = 100;
const LINE = 33;

/** Call step(count, direction) as the wheel turns over the element, with Shift ten a notch. Where it returns false, at an
 *  end of the timeline, the page scrolls as usual. */
function listenToWheel(element, step) {
  let turned = 0;
  const turn = (event) => {
    if (event.ctrlKey || event.metaKey) return;
    const delta = event.deltaY || event.deltaX;
    turned += event.deltaMode === WheelEvent.DOM_DELTA_LINE ? delta * LINE : delta;
    const notches = Math.trunc(turned / NOTCH);
    turned -= notches * NOTCH;
    if (step(notches * (event.shiftKey ? 10 : 1), Math.sign(delta))) event.preventDefault();
  };
  element.addEventListener("wheel", turn, { passive: false });
}

class FramePlayer extends HTMLElement {
  connectedCallback() {
    this.frames = [];
    this.index = 0;
    this.timeline = this.closest("grid-timeline");
    this.slider = build("input", { type: "range", min: 0, max: 1, step: "any", ariaLabel: "Iteration of the timeline" });
    this.slider.addEventListener("input", () => this.axis && announce("pick", { iteration: iterationOn(this.axis, Number(this.slider.value)) }));
    // Grids are unevenly spaced, so keys move from grid to grid.
    this.slider.addEventListener("keydown", (event) => this.step(event));
    this.line = build("span", { className: "playhead" });
    // The server's marks of findings lie above the slider, at its places.
    this.marks = this.timeline.querySelector(".marks");
    this.replaceChildren(this.marks, this.line, this.slider);
    pickFromLinks(this);
    this.buildTransport();
    listen(this, "frames", (detail) => this.draw(detail));
    listen(this, "axis", (axis) => this.turnTo(axis));
    listen(this, "pause", () => this.pause());
    listen(this, "play", ({ speed }) => {
      if (this.index >= this.frames.length - 1) this.go(0);
      this.play(speed);
    });
    listen(this, "refreshed", () => this.placeMarks());
    document.addEventListener("keydown", (event) => this.press(event), { signal: this.listeners.signal });
    const picture = this.timeline.querySelector("grid-view");
    if (picture) listenToWheel(picture, (count, towards) => this.turn(count, towards));
  }

  disconnectedCallback() {
    stopListening(this);
    this.pause();
  }

  /** Play stands between the links to other grids; speed and look are in a menu behind them. */
  buildTransport() {
    const steps = this.timeline.querySelector(".steps");
    this.button = buildIconButton("play", "Play", () => this.toggle());
    steps.querySelector("[data-step=next]").before(this.button);
    const [speed, speedChoice] = buildChoice("Speed", SPEEDS, USUAL_SPEED);
    this.speed = speed;
    speed.addEventListener("change", () => this.timer && this.play());
    const summary = build("summary", { className: "icon-button", ariaLabel: "Player settings", title: "Player settings" }, buildIcon("settings"));
    const menu = build("div", { className: "popover start" }, speedChoice, build("look-choice"));
    steps.append(build("details", { className: "settings overlay" }, summary, menu));
  }

  get axis() {
    if (!this.frames.length) return undefined;
    return this.given ?? { from: 0, to: Math.max(Number(this.timeline.dataset.length), this.frames.at(-1).iteration), isLog: false };
  }

  turnTo(axis) {
    this.given = axis;
    this.place();
  }

  draw({ frames, index }) {
    Object.assign(this, { frames, index });
    const label = `Iteration ${showCount(frames[index].iteration)}, grid ${index + 1} of ${frames.length}`;
    this.slider.setAttribute("aria-valuetext", label);
    this.button.disabled = frames.length < 2;
    this.place();
  }

  place() {
    if (!this.axis) return;
    const place = placeOn(this.axis, this.frames[this.index].iteration);
    this.slider.value = place;
    this.line.style.left = `${100 * place}%`;
    this.placeMarks();
  }

  placeMarks() {
    if (!this.axis) return;
    const { from, to } = this.axis;
    for (const mark of this.marks.querySelectorAll(".mark")) {
      const [since, ended] = [Number(mark.dataset.since), Number(mark.dataset.ended ?? Infinity)];
      const [left, right] = [since, ended].map((iteration) => 100 * placeOn(this.axis, iteration));
      mark.style.display = since > to || ended < from ? "none" : "";
      const rect = mark.querySelector("rect");
      rect.setAttribute("x", `${left}%`);
      rect.setAttribute("width", `${Math.max(LEAST_MARK, right - left)}%`);
    }
  }

  step(event) {
    const count = stepOf(event.key);
    if (count === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    this.go(this.index + count);
  }

  press(event) {
    if (isTyping(event)) return;
    if (event.key === " ") this.toggle();
    else if (PAGE_KEYS.has(event.key)) this.go(this.index + stepOf(event.key));
    else return;
    event.preventDefault();
  }

  /** Move by the wheel; false at an end of the timeline. */
  turn(count, towards) {
    if (towards > 0 ? this.index >= this.frames.length - 1 : this.index <= 0) return false;
    if (count) this.go(this.index + count);
    return true;
  }

  go(index) {
    if (!this.frames.length) return;
    // At once, so that the next key within this frame starts from here.
    this.index = Math.min(Math.max(index, 0), this.frames.length - 1);
    announce("pick", { iteration: this.frames[this.index].iteration });
  }

  toggle() {
    if (this.timer) return this.pause();
    if (this.index >= this.frames.length - 1) this.go(0);
    return this.play();
  }

  play(speed = Number(this.speed.value)) {
    if (this.frames.length < 2) return;
    clearInterval(this.timer);
    this.timer = setInterval(() => this.advance(), 1000 / speed);
    setIconButton(this.button, "pause", "Pause");
  }

  advance() {
    this.go(this.index + 1);
    if (this.index >= this.frames.length - 1) this.pause();
  }

  pause() {
    clearInterval(this.timer);
    this.timer = undefined;
    setIconButton(this.button, "play", "Play");
  }
}

customElements.define("frame-player", FramePlayer);
