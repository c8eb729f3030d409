// <compare-links>: links to another axis or view, <a data-changes="view">, keep what was chosen since the page came.

class CompareLinks extends HTMLElement {
  connectedCallback() {
    // Before the browser follows one, also into another tab.
    for (const kind of ["pointerdown", "click"]) {
      this.addEventListener(kind, ({ target }) => this.lead(target.closest("a[data-changes]")));
    }
  }

  lead(link) {
    if (!link) return;
    const { changes: name } = link.dataset;
    const [address, wanted] = [new URL(location.href), new URL(link.href).searchParams.get(name)];
    // Places mean something else on another axis.
    if (name === "axis") for (const place of ["at", "zoom"]) address.searchParams.delete(place);
    if (wanted) address.searchParams.set(name, wanted);
    else address.searchParams.delete(name);
    link.href = address.href;
  }
}

customElements.define("compare-links", CompareLinks);
