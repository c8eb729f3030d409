// <compare-metrics>: the choice of metrics takes effect at once, and the address says what is chosen.
import { announce } from "./dom.js";

class CompareMetrics extends HTMLElement {
  connectedCallback() {
    this.querySelector("button").hidden = true;
    this.addEventListener("change", () => this.show());
  }

  show() {
    const address = new URL(location.href);
    address.searchParams.delete("metric");
    for (const name of new FormData(this.querySelector("form")).getAll("metric")) address.searchParams.append("metric", name);
    history.replaceState(history.state, "", address);
    announce("refresh", { ids: ["curves", "numbers"] });
  }
}

customElements.define("compare-metrics", CompareMetrics);
