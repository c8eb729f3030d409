// <frame-player>: slider, play, speed, keys and wheel; it announces the wanted iteration and the timeline selects it.
import { announce, build, buildChoice, listen, stopListening } from "../../static/core/dom.js";
import { showCount } from "../../static/core/format.js";
import { isTyping } from "../../static/core/key-help.js";
import { Slider, stepOf } from "../../static/core/slider.js";

const SPEEDS = [2, 5, 10, 20, 60].map((speed) => [speed, `${speed} a second`]);
const USUAL_SPEED = 5;
// The width of a mark that ends where it began, as a percentage.
const LEAST_MARK = 0.6;
// Up, down and page keys scroll the page, unless the slider has the focus.
const PAGE_KEYS = new Set(["ArrowLeft", "ArrowRight", "Home", "End"]);

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
    this.button = build("button", { type: "button", onclick: () => this.toggle() }, "Play");
    const pick = (iteration) => announce("pick", { iteration });
    this.slider = new Slider("Iteration of the timeline", pick, (step) => this.go(this.index + step));
    const [speed, speedChoice] = buildChoice("Speed", SPEEDS, USUAL_SPEED);
    this.speed = speed;
    speed.addEventListener("change", () => this.timer && this.play());
    const choices = build("div", { className: "choices" }, speedChoice, this.slider.choice, build("look-choice"));
    this.classList.add("player");
    // The server's marks of findings lie below the slider, at its places.
    this.marks = this.parentElement.querySelector(".marks");
    this.replaceChildren(this.button, this.slider.input, this.marks, choices);
    listen(this, "frames", (detail) => this.draw(detail));
    listen(this, "pause", () => this.pause());
    listen(this, "refreshed", () => this.placeMarks());
    choices.addEventListener("change", () => this.placeMarks());
    document.addEventListener("keydown", (event) => this.press(event), { signal: this.listeners.signal });
    const picture = this.parentElement.querySelector("grid-view");
    if (picture) listenToWheel(picture, (count, towards) => this.turn(count, towards));
  }

  disconnectedCallback() {
    stopListening(this);
    this.pause();
  }

  draw({ frames, index }) {
    Object.assign(this, { frames, index });
    const { iteration } = frames[index];
    const label = `Iteration ${showCount(iteration)}, grid ${index + 1} of ${frames.length}`;
    this.slider.draw({ first: frames[0].iteration, last: frames.at(-1).iteration }, iteration, label);
    this.button.disabled = frames.length < 2;
    this.placeMarks();
  }

  placeMarks() {
    for (const mark of this.marks.querySelectorAll(".mark")) {
      const [since, ended] = [Number(mark.dataset.since), Number(mark.dataset.ended ?? Infinity)];
      const [left, right] = [since, ended].map((iteration) => 100 * this.slider.place(iteration));
      const rect = mark.querySelector("rect");
      rect.setAttribute("x", `${left}%`);
      rect.setAttribute("width", `${Math.max(LEAST_MARK, right - left)}%`);
    }
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

  play() {
    if (this.frames.length < 2) return;
    clearInterval(this.timer);
    this.timer = setInterval(() => this.advance(), 1000 / Number(this.speed.value));
    this.button.textContent = "Pause";
  }

  advance() {
    this.go(this.index + 1);
    if (this.index >= this.frames.length - 1) this.pause();
  }

  pause() {
    clearInterval(this.timer);
    this.timer = undefined;
    this.button.textContent = "Play";
  }
}

customElements.define("frame-player", FramePlayer);
