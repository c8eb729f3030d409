// <copy-text>: adds a button that copies the text of the <pre> inside.
import { build } from "../../static/core/dom.js";

const SAID_MS = 2000;

class CopyText extends HTMLElement {
  connectedCallback() {
    this.pre = this.querySelector("pre");
    this.button = build("button", { type: "button", onclick: () => this.copy() }, "Copy");
    this.said = build("span", { className: "quiet", role: "status" });
    this.querySelector("[data-field=copy]").replaceChildren(this.said, this.button);
  }

  async copy() {
    // Without https there may be no clipboard API: select the text and copy that.
    const done = await navigator.clipboard?.writeText(this.pre.textContent).then(() => true, () => false);
    this.say(done || this.copySelected() ? "Copied" : "Press Ctrl-C to copy");
  }

  copySelected() {
    const range = document.createRange();
    range.selectNodeContents(this.pre);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    return document.execCommand("copy");
  }

  say(text) {
    this.said.textContent = text;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => (this.said.textContent = ""), SAID_MS);
  }
}

customElements.define("copy-text", CopyText);
