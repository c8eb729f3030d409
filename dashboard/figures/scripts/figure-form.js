// <figure-form>: the preview and the address follow the form, and so do the links to the other kinds of figures.
import { announce } from "../../static/core/dom.js";

const PAUSE_MS = 500;
const SECTIONS = ["figure", "figure-metrics", "figure-columns", "figure-values"];

class FigureForm extends HTMLElement {
  connectedCallback() {
    this.form = this.querySelector("form");
    this.addEventListener("change", ({ target }) => this.ask(target.name));
    // Before the browser follows it, also into another tab.
    for (const kind of ["pointerdown", "click"]) {
      this.addEventListener(kind, ({ target }) => this.lead(target.closest(".tabs a")));
    }
    this.addEventListener("click", (event) => this.pick(event));
    // Loads do not bubble. A picture may have come before this script.
    this.addEventListener("load", ({ target }) => this.uncover(target), true);
    for (const image of this.querySelectorAll("img.preview")) if (image.complete) this.uncover(image);
    this.addEventListener("submit", (event) => {
      // A search for runs loads the page: the server renders the list.
      if (this.changesRuns) return;
      event.preventDefault();
      this.show();
    });
  }

  disconnectedCallback() {
    clearTimeout(this.timer);
  }

  ask(name) {
    clearTimeout(this.timer);
    if (name === "find") {
      this.changesRuns = true;
      this.form.requestSubmit();
      return;
    }
    this.sections = name === "run" ? [...SECTIONS, "figure-runs"] : SECTIONS;
    this.timer = setTimeout(() => this.show(this.sections), PAUSE_MS);
  }

  /** The preview is there: its skeleton goes. */
  uncover(image) {
    image.closest(".drawing")?.classList.add("drawn");
  }

  /** A picture of a grid becomes a column, or is one no longer; the field of iterations says which are. */
  pick(event) {
    const link = event.target.closest("a[data-iteration]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    if (link.ariaCurrent) link.removeAttribute("aria-current");
    else link.setAttribute("aria-current", "true");
    const chosen = [...this.querySelectorAll("a[data-iteration][aria-current]")].map(({ dataset }) => dataset.iteration);
    this.form.elements.iteration.value = chosen.join(", ");
    // The pictures show it already, and stay where they are scrolled to.
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.show(["figure"]), PAUSE_MS);
  }

  /** What is filled in, as an address holds it. */
  get fields() {
    return new URLSearchParams([...new FormData(this.form)].filter(([, value]) => value !== ""));
  }

  /** Let a link to another kind hold what is filled in now. */
  lead(link) {
    if (!link) return;
    const { fields } = this;
    fields.set("kind", new URLSearchParams(link.search).get("kind"));
    link.search = fields;
  }

  show(ids = SECTIONS) {
    clearTimeout(this.timer);
    history.replaceState(history.state, "", `?${this.fields}`);
    announce("refresh", { ids });
  }
}

customElements.define("figure-form", FigureForm);
