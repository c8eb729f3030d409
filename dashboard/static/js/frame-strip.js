// <frame-strip data-run-url>: frames from the first to the newest, evenly spread; the selected one is marked.
import { build, listen, pickFromLinks, stopListening } from "./dom.js";
import { showCount } from "./format.js";
import { evenlySpaced, nearestFrame } from "./frames.js";
import { buildThumbnail } from "./thumbnail.js";

const MOST = 20;

class FrameStrip extends HTMLElement {
  connectedCallback() {
    listen(this, "frames", (detail) => this.draw(detail));
    pickFromLinks(this);
  }

  disconnectedCallback() {
    stopListening(this);
  }

  draw({ frames, index }) {
    const chosen = evenlySpaced(frames.length, MOST).map((at) => frames[at]);
    const key = chosen.map((frame) => frame.url).join();
    if (key !== this.key) this.rebuild(chosen);
    this.key = key;
    const selected = chosen[nearestFrame(chosen, frames[index].iteration)].iteration;
    for (const link of this.querySelectorAll("a")) {
      if (Number(link.dataset.iteration) !== selected) link.removeAttribute("aria-current");
      else if (!link.ariaCurrent) this.mark(link);
    }
  }

  mark(link) {
    link.ariaCurrent = "true";
    const [left, right] = [link.offsetLeft, link.offsetLeft + link.offsetWidth];
    if (left < this.scrollLeft || right > this.scrollLeft + this.clientWidth) {
      this.scrollLeft = left - this.clientWidth / 2;
    }
  }

  rebuild(chosen) {
    const kept = new Map([...this.querySelectorAll("li")].map((item) => [item.dataset.key, item]));
    const items = chosen.map((frame) => kept.get(frame.url + frame.iteration) ?? this.buildItem(frame));
    const list = this.querySelector("ol") ?? this.appendChild(build("ol"));
    list.replaceChildren(...items);
  }

  buildItem(frame) {
    const number = build("span", {}, build("span", { className: "unseen" }, "Iteration "), showCount(frame.iteration));
    const href = `${this.dataset.runUrl}?iteration=${frame.iteration}`;
    const link = build("a", { href }, buildThumbnail(frame), number);
    link.dataset.iteration = frame.iteration;
    const item = build("li", {}, link);
    item.dataset.key = frame.url + frame.iteration;
    return item;
  }
}

customElements.define("frame-strip", FrameStrip);
