// <local-time data-show="age|moment|clock"><time>: the reader's time zone; ages are updated while the page is open.
import { showAge, showClock, showMoment } from "./format.js";

const TICK_MS = 5000;
const SHOW = { age: showAge, moment: showMoment, clock: showClock };
const ageing = new Set();

class LocalTime extends HTMLElement {
  connectedCallback() {
    const time = this.querySelector("time");
    const moment = new Date(time.dateTime);
    if (Number.isNaN(moment.valueOf())) return;
    time.title = `${showMoment(moment)} (${moment.toISOString()})`;
    this.draw = () => {
      const text = SHOW[this.dataset.show](moment);
      if (time.textContent !== text) time.textContent = text;
    };
    this.draw();
    if (this.dataset.show === "age") ageing.add(this);
  }

  disconnectedCallback() {
    ageing.delete(this);
  }
}

setInterval(() => ageing.forEach((element) => element.draw()), TICK_MS);
customElements.define("local-time", LocalTime);
