// <figure-form>: the preview follows the form, and the address says what is shown. Without it a button does the same.
import { announce } from "./dom.js";

const PAUSE_MS = 500;
const FRESH = ["figure", "figure-metrics"];

class FigureForm extends HTMLElement {
  connectedCallback() {
    this.form = this.querySelector("form");
    this.addEventListener("change", ({ target }) => this.ask(target.name));
    this.addEventListener("submit", (event) => {
      // Whoever looks for a run or chooses one wants the list anew, which the server draws.
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
    this.fresh = name === "run" ? [...FRESH, "figure-runs"] : FRESH;
    this.timer = setTimeout(() => this.show(this.fresh), PAUSE_MS);
  }

  show(ids = FRESH) {
    clearTimeout(this.timer);
    const fields = new URLSearchParams([...new FormData(this.form)].filter(([, value]) => value !== ""));
    history.replaceState(history.state, "", `/figures?${fields}`);
    announce("refresh", { ids });
  }
}

customElements.define("figure-form", FigureForm);
