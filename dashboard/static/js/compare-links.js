// <compare-links>: links to another axis or view, <a data-changes="view">, and a form that asks for other runs keep
// what was chosen since the page came.
import { build } from "./dom.js";

// What says something of the runs that were compared alone.
const OF_THESE_RUNS = new Set(["run", "left", "right", "at", "cell"]);

class CompareLinks extends HTMLElement {
  connectedCallback() {
    // Before the browser follows one, also into another tab.
    for (const kind of ["pointerdown", "click"]) {
      this.addEventListener(kind, ({ target }) => this.lead(target.closest("a[data-changes]")));
    }
    this.addEventListener("submit", ({ target }) => this.keep(target));
  }

  keep(form) {
    form.querySelectorAll("input[type=hidden]").forEach((input) => input.remove());
    const kept = [...new URLSearchParams(location.search)].filter(([name]) => !OF_THESE_RUNS.has(name));
    form.prepend(...kept.map(([name, value]) => build("input", { type: "hidden", name, value })));
  }

  lead(link) {
    if (!link) return;
    const { changes: name } = link.dataset;
    const [address, wanted] = [new URL(location.href), new URL(link.href).searchParams.get(name)];
    // Places mean something else on another axis.
    if (name === "axis") for (const place of ["at", "zoom"]) address.searchParams.delete(place);
    if (wanted) address.searchParams.set(name, wanted);
    else address.searchParams.delete(name);
    link.href = address.href;
  }
}

customElements.define("compare-links", CompareLinks);
