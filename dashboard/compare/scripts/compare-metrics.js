// <compare-metrics>: a choice of metrics takes effect at once and is written to the address.
import { writeAddress } from "../../static/core/address.js";
import { announce } from "../../static/core/dom.js";

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
