// <frame-player>: slider, play, speed, keys and wheel; it only asks for iterations, the timeline decides.
import { announce, build, buildChoice, listen, stopListening } from "./dom.js";
import { showCount } from "./format.js";
import { isTyping } from "./keys.js";
import { Slider, stepOf } from "./slider.js";
import { listenToWheel } from "./wheel.js";

const SPEEDS = [2, 5, 10, 20, 60].map((speed) => [speed, `${speed} a second`]);
const USUAL_SPEED = 5;
// The others scroll the page, unless the slider has the focus.
const PAGE_KEYS = new Set(["ArrowLeft", "ArrowRight", "Home", "End"]);

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
    this.replaceChildren(this.button, this.slider.input, choices);
    listen(this, "frames", (detail) => this.draw(detail));
    listen(this, "pause", () => this.pause());
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
  }

  press(event) {
    if (isTyping(event)) return;
    if (event.key === " ") this.toggle();
    else if (PAGE_KEYS.has(event.key)) this.go(this.index + stepOf(event.key));
    else return;
    event.preventDefault();
  }

  /** Turn the wheel; false at an end of the timeline, where the page scrolls on. */
  turn(count, towards) {
    if (towards > 0 ? this.index >= this.frames.length - 1 : this.index <= 0) return false;
    if (count) this.go(this.index + count);
    return true;
  }

  go(index) {
    if (!this.frames.length) return;
    // At once, so that the next key of the same frame goes on from here.
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
