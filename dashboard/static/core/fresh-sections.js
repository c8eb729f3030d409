// <fresh-sections>: refreshes sections that only the server renders (a state, a reason, an attempt): it fetches this page
// anew and replaces the requested sections.
import { announce, listen, stopListening } from "./dom.js";

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
      // The service is unreachable; live-stream shows that, and the next change retries.
    }
    this.last = performance.now();
    this.busy = false;
    if (this.wanted.size) this.ask([]);
  }

  replace(ids, text) {
    // Parsed as a separate document: scripts do not run, and the server has escaped all text.
    const fresh = new DOMParser().parseFromString(text, "text/html");
    for (const id of ids) {
      const [old, young] = [document.getElementById(id), fresh.getElementById(id)];
      if (!old || !young) continue;
      // What the reader has unfolded stays so.
      for (const { id: open } of old.querySelectorAll("details[open][id]")) young.querySelector(`#${open}`)?.setAttribute("open", "");
      // A widget is replaced; of any other section only the content, so that a screen reader announces the change.
      // Copies, because one requested section may lie inside another.
      if (customElements.get(old.localName)) old.replaceWith(document.importNode(young, true));
      else if (!old.isEqualNode(young)) old.replaceChildren(...document.importNode(young, true).childNodes);
    }
    announce("refreshed");
  }
}

customElements.define("fresh-sections", FreshSections);
