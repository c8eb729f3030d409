// <theme-choice>: changes the theme without a reload, in the cookie that the server reads.
import { announce } from "./dom.js";

const YEAR_SECONDS = 31_536_000;

class ThemeChoice extends HTMLElement {
  connectedCallback() {
    this.addEventListener("submit", (event) => {
      event.preventDefault();
      this.choose(event.submitter.value);
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => announce("theme"));
  }

  choose(theme) {
    document.documentElement.dataset.theme = theme;
    document.cookie = `ganvas_theme=${theme}; path=/; max-age=${YEAR_SECONDS}; samesite=lax`;
    for (const button of this.querySelectorAll("button")) button.ariaPressed = String(button.value === theme);
    announce("theme");
  }
}

customElements.define("theme-choice", ThemeChoice);
