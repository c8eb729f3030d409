// <figure-form>: the preview and the address follow the form.
import { announce } from "../../static/core/dom.js";

const PAUSE_MS = 500;
const SECTIONS = ["figure", "figure-metrics"];

class FigureForm extends HTMLElement {
  connectedCallback() {
    this.form = this.querySelector("form");
    this.addEventListener("change", ({ target }) => this.ask(target.name));
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

  show(ids = SECTIONS) {
    clearTimeout(this.timer);
    const fields = new URLSearchParams([...new FormData(this.form)].filter(([, value]) => value !== ""));
    history.replaceState(history.state, "", `/figures?${fields}`);
    announce("refresh", { ids });
  }
}

customElements.define("figure-form", FigureForm);
