// <theme-choice>: changes the theme without a reload, in the cookie that the server reads. On paper the page is light: what
// scripts have drawn is drawn anew.
import { rootPath } from "./address.js";
import { announce } from "./dom.js";

const YEAR_SECONDS = 31_536_000;

class ThemeChoice extends HTMLElement {
  connectedCallback() {
    this.addEventListener("submit", (event) => {
      event.preventDefault();
      this.choose(event.submitter.value);
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => announce("theme"));
    matchMedia("print").addEventListener("change", ({ matches }) => this.print(matches));
    addEventListener("beforeprint", () => this.print(true));
    addEventListener("afterprint", () => this.print(false));
  }

  /** The page goes to paper, or is back. */
  print(isPaper) {
    if (isPaper === Boolean(this.onScreen)) return;
    const { dataset } = document.documentElement;
    if (isPaper) this.onScreen = dataset.theme;
    dataset.theme = isPaper ? "light" : this.onScreen;
    if (!isPaper) this.onScreen = undefined;
    announce("theme");
  }

  choose(theme) {
    document.documentElement.dataset.theme = theme;
    document.cookie = `ganvas_theme=${theme}; path=${rootPath() || "/"}; max-age=${YEAR_SECONDS}; samesite=lax`;
    for (const button of this.querySelectorAll("button")) button.ariaPressed = String(button.value === theme);
    announce("theme");
  }
}

customElements.define("theme-choice", ThemeChoice);
