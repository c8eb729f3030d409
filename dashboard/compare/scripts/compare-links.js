// <compare-links>: links to another axis or view, <a data-changes="view">, and the form that chooses other runs keep the
// page's present settings; a choice of metrics, <form data-instant>, takes effect at once and is written to the address.
import { writeAddress } from "../../static/core/address.js";
import { announce, build } from "../../static/core/dom.js";

// Parameters that only make sense for the present runs.
const OF_THESE_RUNS = new Set(["run", "left", "right", "at", "cell"]);

class CompareLinks extends HTMLElement {
  connectedCallback() {
    // Before the browser follows it, also into another tab.
    for (const kind of ["pointerdown", "click"]) {
      this.addEventListener(kind, ({ target }) => this.lead(target.closest("a[data-changes]")));
    }
    this.addEventListener("submit", ({ target }) => this.keep(target));
    const instant = this.querySelector("form[data-instant]");
    if (!instant) return;
    instant.querySelector("button").hidden = true;
    instant.addEventListener("change", () => this.choose(instant));
  }

  choose(form) {
    writeAddress({ metric: new FormData(form).getAll("metric") });
    announce("refresh", { ids: ["curves", "numbers"] });
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
    // Places differ on another axis.
    if (name === "axis") for (const place of ["at", "zoom"]) address.searchParams.delete(place);
    if (wanted) address.searchParams.set(name, wanted);
    else address.searchParams.delete(name);
    link.href = address.href;
  }
}

customElements.define("compare-links", CompareLinks);
