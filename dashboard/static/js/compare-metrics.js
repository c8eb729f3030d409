// <compare-metrics>: the choice of metrics takes effect at once, and the address says what is chosen.
import { writeAddress } from "./address.js";
import { announce } from "./dom.js";

class CompareMetrics extends HTMLElement {
  connectedCallback() {
    this.querySelector("button").hidden = true;
    this.addEventListener("change", () => this.show());
  }

  show() {
    writeAddress({ metric: new FormData(this.querySelector("form")).getAll("metric") });
    announce("refresh", { ids: ["curves", "numbers"] });
  }
}

customElements.define("compare-metrics", CompareMetrics);
