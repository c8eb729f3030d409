// <compare-steps>: links to other places on the axis, and a field for one; they take effect without loading a page.
import { announce, listen, stopListening } from "../../static/core/dom.js";
import { countUntil, writePlace } from "../../charts/scripts/axis.js";

class CompareSteps extends HTMLElement {
  connectedCallback() {
    listen(this, "compared", (detail) => this.draw(detail));
    this.addEventListener("click", (event) => this.step(event));
    this.addEventListener("submit", (event) => {
      event.preventDefault();
      announce("place", { at: Number(event.target.elements.at.value) });
    });
  }

  disconnectedCallback() {
    stopListening(this);
  }

  draw({ at, places, common }) {
    const input = this.querySelector("[name=at]");
    if (input !== document.activeElement) input.value = writePlace(at);
    const [index, [first], last] = [countUntil(places, at) - 1, places, places.at(-1)];
    this.drawStep("first", at === first ? undefined : first);
    this.drawStep("previous", places[index] < at ? places[index] : places[index - 1]);
    this.drawStep("next", places[index + 1]);
    this.drawStep("common", at === common ? undefined : common);
    this.drawStep("newest", at < last ? last : undefined);
  }

  drawStep(name, place) {
    const link = this.querySelector(`[data-step="${name}"]`);
    if (place === undefined) {
      link.removeAttribute("href");
      link.ariaDisabled = "true";
      return;
    }
    const address = new URL(location.href);
    // Without a place the page follows the last one that all runs have.
    if (name === "common") address.searchParams.delete("at");
    else address.searchParams.set("at", writePlace(place));
    link.href = address.pathname + address.search;
    link.removeAttribute("aria-disabled");
    link.dataset.place = place;
  }

  step(event) {
    const link = event.target.closest("a[data-step]");
    if (!link?.href || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    announce("place", { at: link.dataset.step === "common" ? undefined : Number(link.dataset.place) });
  }
}

customElements.define("compare-steps", CompareSteps);
