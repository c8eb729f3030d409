// <compare-cursors>: the curves of compared runs, whose cursors follow the place; the server draws the curves.
import { listen, stopListening } from "./dom.js";

class CompareCursors extends HTMLElement {
  connectedCallback() {
    listen(this, "compared", ({ at }) => this.draw(at));
  }

  disconnectedCallback() {
    stopListening(this);
  }

  draw(at) {
    for (const cursor of this.querySelectorAll(".cursor")) {
      const x = `${(100 * Math.min(1, at / Number(cursor.dataset.length))).toFixed(2)}%`;
      for (const end of ["x1", "x2"]) cursor.setAttribute(end, x);
    }
  }
}

customElements.define("compare-cursors", CompareCursors);
