// <frame-view data-run-url>: the selected grid, its iteration, which can be typed, and the steps to other grids; and the
// presentation of the run: the key p, or a button, lets the stage fill the screen until p, Escape or the browser's Back.
import { announce, build, buildIconButton, findField, listen, pickFromLinks, setField, setIconButton, stopListening } from "../../static/core/dom.js";
import { showCount } from "../../static/core/format.js";
import { isTyping } from "../../static/core/key-help.js";

// A presentation plays all grids in about so many seconds, at these speeds.
const PLAY_SECONDS = 20;
const [SLOWEST, FASTEST] = [5, 30];

class FrameView extends HTMLElement {
  connectedCallback() {
    listen(this, "frames", (detail) => this.draw(detail));
    pickFromLinks(this);
    // Playing would overwrite what is being typed, or leave the requested grid.
    const form = this.querySelector("form");
    for (const kind of ["input", "invalid", "submit"]) form.addEventListener(kind, () => announce("pause"), true);
    this.addEventListener("submit", (event) => {
      event.preventDefault();
      announce("pick", { iteration: Number(event.target.elements.iteration.value) });
    });
    listen(this, "update", ({ job }) => this.said && Object.assign(findField(this.said, "verdict"), { textContent: job.verdict.text }).setAttribute("data-tone", job.verdict.tone));
    this.buildPresentation();
  }

  disconnectedCallback() {
    stopListening(this);
    if (this.isPresenting) this.hide();
  }

  buildPresentation() {
    this.present = buildIconButton("present", "Present", () => this.toggle());
    this.present.classList.add("present");
    this.querySelector(".steps").append(this.present);
    const { signal } = this.listeners;
    document.addEventListener("keydown", (event) => this.press(event), { signal });
    // The entry of the history that the presentation made is that in which it shows.
    addEventListener("popstate", () => (history.state?.presents ? this.show() : this.hide()), { signal });
    document.addEventListener("fullscreenchange", () => this.isPresenting && !document.fullscreenElement && this.leave(), { signal });
    if (history.state?.presents) this.show();
  }

  get isPresenting() {
    return "presents" in document.documentElement.dataset;
  }

  press(event) {
    if (event.key === "Escape" && this.isPresenting) this.leave();
    else if (event.key === "p" && (this.isPresenting || !isTyping(event))) this.toggle();
    else return;
    event.preventDefault();
  }

  toggle() {
    if (this.isPresenting) return this.leave();
    history.pushState({ presents: true }, "");
    // Where that is not allowed, it fills the window.
    document.documentElement.requestFullscreen?.().catch(() => undefined);
    return this.show();
  }

  leave() {
    // The browser goes back a little later; asked twice it would leave the page.
    if (this.isLeaving) return;
    this.isLeaving = Boolean(history.state?.presents);
    if (this.isLeaving) history.back();
    else this.hide();
  }

  show() {
    if (this.isPresenting) return;
    document.documentElement.dataset.presents = "";
    setIconButton(this.present, "close", "Leave the presentation");
    const [name, verdict] = [document.querySelector("h1"), document.querySelector("#verdict .verdict")];
    this.said = build("div", { className: "presented" }, build("p", { className: "quiet" }, name.firstChild.textContent.trim()), verdict.cloneNode(true));
    this.querySelector(".panel").prepend(this.said);
    // Curves are drawn in the size of their text.
    announce("theme");
    if (!matchMedia("(prefers-reduced-motion: reduce)").matches) announce("play", { speed: Math.min(FASTEST, Math.max(SLOWEST, this.count / PLAY_SECONDS)) });
  }

  hide() {
    this.isLeaving = false;
    if (!this.isPresenting) return;
    delete document.documentElement.dataset.presents;
    setIconButton(this.present, "present", "Present");
    this.said?.remove();
    if (document.fullscreenElement) document.exitFullscreen();
    announce("pause");
    announce("theme");
    // The address that is shown again is that of before.
    if (this.iteration !== undefined) announce("pick", { iteration: this.iteration });
  }

  draw({ frames, index, unseen }) {
    const frame = frames[index];
    const last = frames.length - 1;
    Object.assign(this, { count: frames.length, iteration: frame.iteration });
    const label = showCount(frame.iteration);
    setField(this, "iteration", label);
    setField(this, "position", `${showCount(index + 1)} of ${showCount(frames.length)}`);
    const time = build("local-time", {}, build("time", { dateTime: new Date(frame.created).toISOString() }));
    time.dataset.show = "age";
    findField(this, "created").replaceChildren(time);
    const download = findField(this, "download");
    download.href = frame.url;
    download.download = download.download.replace(/\d+\.png$/, `${frame.iteration}.png`);
    const goTo = this.querySelector("form input");
    if (goTo !== document.activeElement) goTo.value = frame.iteration;
    this.drawStep("first", index > 0 && frames[0]);
    this.drawStep("previous", frames[index - 1]);
    this.drawStep("next", frames[index + 1]);
    this.drawStep("newest", index < last && frames[last]);
    setField(this, "unseen", unseen ? `${showCount(unseen)} new` : "");
  }

  drawStep(name, frame) {
    const link = this.querySelector(`[data-step="${name}"]`);
    if (frame) {
      link.href = `${this.dataset.runUrl}?iteration=${frame.iteration}`;
      link.dataset.iteration = frame.iteration;
      link.removeAttribute("aria-disabled");
    } else {
      link.removeAttribute("href");
      delete link.dataset.iteration;
      link.ariaDisabled = "true";
    }
  }
}

customElements.define("frame-view", FrameView);
