// <compare-caption data-run>: the iteration of the grid that a compared run shows, its distance from the place, and its
// latents.
import { listen, setField, stopListening } from "../../static/core/dom.js";
import { showCount } from "../../static/core/format.js";

class CompareCaption extends HTMLElement {
  connectedCallback() {
    listen(this, "compared", ({ shown }) => this.take(shown[this.dataset.run]));
  }

  disconnectedCallback() {
    stopListening(this);
  }

  take(seen) {
    if (!seen) return;
    const { frames, index, note, letter } = seen;
    const frame = frames[index];
    setField(this, "iteration-word", frame ? "Iteration" : "");
    setField(this, "iteration", frame ? showCount(frame.iteration) : "");
    setField(this, "note", note);
    setField(this, "latents", letter ? `Latents ${letter}` : "");
  }
}

customElements.define("compare-caption", CompareCaption);
