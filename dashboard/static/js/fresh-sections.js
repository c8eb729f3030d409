// <fresh-sections>: when something changes that only the server words (a state, a reason, an attempt),
// it fetches this page anew and puts the asked sections in place of the old ones.
import { listen, stopListening } from "./dom.js";

const PAUSE_MS = 700;

class FreshSections extends HTMLElement {
  connectedCallback() {
    this.wanted = new Set();
    listen(this, "refresh", ({ ids }) => this.ask(ids));
  }

  disconnectedCallback() {
    stopListening(this);
    clearTimeout(this.timer);
  }

  ask(ids) {
    for (const id of ids) this.wanted.add(id);
    if (this.timer || this.busy) return;
    const rest = Math.max(0, (this.last ?? 0) + PAUSE_MS - performance.now());
    this.timer = setTimeout(() => this.refresh(), rest);
  }

  async refresh() {
    this.timer = undefined;
    this.busy = true;
    const ids = [...this.wanted];
    this.wanted.clear();
    try {
      const response = await fetch(location.href, { headers: { Accept: "text/html" } });
      if (response.ok) this.replace(ids, await response.text());
    } catch {
      // The service is away; the stream says so, and the next change asks again.
    }
    this.last = performance.now();
    this.busy = false;
    if (this.wanted.size) this.ask([]);
  }

  replace(ids, text) {
    // Our own page as a document of its own: its scripts do not run, and its text was escaped by the server.
    const fresh = new DOMParser().parseFromString(text, "text/html");
    for (const id of ids) {
      const [old, young] = [document.getElementById(id), fresh.getElementById(id)];
      if (!old || !young) continue;
      // A widget begins anew with its attributes; any other section stays, so that a screen reader hears the change.
      // Copies, because one asked section may lie inside another.
      if (customElements.get(old.localName)) old.replaceWith(document.importNode(young, true));
      else if (!old.isEqualNode(young)) old.replaceChildren(...document.importNode(young, true).childNodes);
    }
  }
}

customElements.define("fresh-sections", FreshSections);
