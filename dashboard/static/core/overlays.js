// <details class="overlay">: what lies over the page once it is unfolded. Escape, a click elsewhere, and the focus going
// elsewhere fold it again. Listens on the document, because the server renders some of them anew.
const OPEN = "details.overlay[open]";

/** Fold what does not hold this node. */
function foldOthers(node) {
  for (const details of document.querySelectorAll(OPEN)) if (!details.contains(node)) details.open = false;
}

document.addEventListener("click", ({ target }) => foldOthers(target));
document.addEventListener("focusin", ({ target }) => foldOthers(target));
document.addEventListener("keydown", ({ key, target }) => {
  if (key !== "Escape") return;
  // A metric's sentence goes too.
  target.closest?.("dfn")?.blur();
  for (const details of document.querySelectorAll(OPEN)) {
    if (details.contains(target)) details.querySelector("summary").focus();
    details.open = false;
  }
});
