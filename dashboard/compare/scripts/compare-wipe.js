// <compare-wipe>: two runs' grids over each other; pointer and slider move the split between them.
import { RestingAddress } from "../../static/core/address.js";

const address = new RestingAddress();

class CompareWipe extends HTMLElement {
  connectedCallback() {
    const find = (selector) => this.querySelector(selector);
    [this.layers, this.shape, this.line] = [find(".wipe-layers"), find("clipPath rect"), find(".wipe-line line")];
    this.form = find("form");
    this.input = this.form.elements.split;
    find("button").hidden = true;
    this.input.addEventListener("input", () => this.draw(Number(this.input.value)));
    this.layers.addEventListener("pointerdown", (event) => this.drag(event));
    this.layers.addEventListener("pointermove", (event) => this.layers.hasPointerCapture(event.pointerId) && this.follow(event));
    this.addEventListener("change", ({ target }) => target.localName === "select" && this.change());
    this.draw(Number(this.input.value));
  }

  disconnectedCallback() {
    address.cancel();
  }

  /** Other runs were chosen: load the page with them, at the present place. */
  change() {
    const address = new URL(location.href);
    for (const side of ["left", "right"]) address.searchParams.set(side, this.form.elements[side].value);
    location.assign(address);
  }

  drag(event) {
    this.layers.setPointerCapture(event.pointerId);
    this.follow(event);
  }

  follow({ clientX }) {
    const { left, width } = this.layers.getBoundingClientRect();
    const split = Math.round(Math.min(100, Math.max(0, (100 * (clientX - left)) / width)));
    this.input.value = split;
    this.draw(split);
  }

  draw(split) {
    this.shape.setAttribute("width", split / 100);
    for (const end of ["x1", "x2"]) this.line.setAttribute(end, `${split}%`);
    this.input.setAttribute("aria-valuetext", `${split} per cent`);
    address.write({ split: split === 50 ? undefined : split });
  }
}

customElements.define("compare-wipe", CompareWipe);
