// <frame-player>: slider, play, speed and keys; it only asks for iterations, the timeline decides.
import { announce, build, listen, stopListening } from "./dom.js";
import { showCount } from "./format.js";

const SPEEDS = [2, 5, 10, 20];
const STEPS = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity };
// Where keys already mean something else.
const OWN_KEYS = "input, select, textarea, button, summary, [tabindex]";

class FramePlayer extends HTMLElement {
  connectedCallback() {
    this.frames = [];
    this.index = 0;
    this.button = build("button", { type: "button", onclick: () => this.toggle() }, "Play");
    this.slider = build("input", { type: "range", min: 0, step: 1, ariaLabel: "Iteration of the timeline" });
    this.slider.addEventListener("input", () => this.go(Number(this.slider.value)));
    const speeds = SPEEDS.map((speed) => build("option", { value: speed, selected: speed === 5 }, `${speed} a second`));
    this.speed = build("select", { onchange: () => this.timer && this.play() }, ...speeds);
    const label = build("label", { className: "speed" }, "Speed", this.speed);
    this.classList.add("player");
    this.replaceChildren(this.button, this.slider, label);
    listen(this, "frames", (detail) => this.draw(detail));
    listen(this, "pause", () => this.pause());
    document.addEventListener("keydown", (event) => this.press(event), { signal: this.listeners.signal });
  }

  disconnectedCallback() {
    stopListening(this);
    this.pause();
  }

  draw({ frames, index }) {
    this.frames = frames;
    this.index = index;
    this.slider.max = frames.length - 1;
    this.slider.value = index;
    const label = `Iteration ${showCount(frames[index].iteration)}, grid ${index + 1} of ${frames.length}`;
    this.slider.setAttribute("aria-valuetext", label);
    this.button.disabled = frames.length < 2;
  }

  press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest?.(OWN_KEYS)) return;
    if (event.key === " ") this.toggle();
    else if (event.key in STEPS) this.go(this.index + STEPS[event.key]);
    else return;
    event.preventDefault();
  }

  go(index) {
    if (!this.frames.length) return;
    const inside = Math.min(Math.max(index, 0), this.frames.length - 1);
    announce("pick", { iteration: this.frames[inside].iteration });
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
