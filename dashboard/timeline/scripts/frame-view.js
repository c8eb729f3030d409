// <frame-view data-run-url>: the selected grid, its caption, and the steps to other grids.
import { announce, build, findField, listen, pickFromLinks, setField, stopListening } from "../../static/core/dom.js";
import { showCount } from "../../static/core/format.js";

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
  }

  disconnectedCallback() {
    stopListening(this);
  }

  draw({ frames, index, unseen }) {
    const frame = frames[index];
    const last = frames.length - 1;
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
    this.drawStep("newest", index < last && frames[last], unseen ? `Newest (${showCount(unseen)} new)` : "Newest");
  }

  drawStep(name, frame, text) {
    const link = this.querySelector(`[data-step="${name}"]`);
    if (text) link.textContent = text;
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
