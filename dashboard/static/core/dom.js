// Building nodes by calls, so that no text is parsed as HTML, and the events through which widgets speak.

const SVG = "http://www.w3.org/2000/svg";

/** Build an element: properties are set as properties, children are nodes or text. */
export function build(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

/** Build an SVG element from its attributes. */
export function buildSvg(tag, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

/** A picture of icons.html, for a button that has a name of its own. */
export const buildIcon = (name) => buildSvg("svg", { class: "icon", "aria-hidden": "true" }, buildSvg("use", { href: `#icon-${name}` }));

/** A button that shows a picture alone: its name is what screen readers say and a pointer shows. */
export const buildIconButton = (icon, name, onclick) =>
  build("button", { type: "button", className: "icon-button", ariaLabel: name, title: name, onclick }, buildIcon(icon));

/** Let a button show another picture and say what it does now. */
export function setIconButton(button, icon, name) {
  if (button.ariaLabel === name) return;
  Object.assign(button, { ariaLabel: name, title: name });
  button.replaceChildren(buildIcon(icon));
}

/** Build a choice between [value, text] pairs: [the select, the label that holds it]. */
export function buildChoice(name, options, chosen) {
  const nodes = options.map(([value, text]) => build("option", { value, selected: value === chosen }, text));
  const select = build("select", {}, ...nodes);
  return [select, build("label", {}, name, select)];
}

/** The part of a widget that shows this field. */
export function findField(root, field) {
  return root.querySelector(`[data-field="${CSS.escape(field)}"]`);
}

/** Show a metric's newest value where it is shown; its name may be that of another field. */
export function setMetric(root, name, text, exact) {
  const node = root.querySelector(`.newest[data-field="${CSS.escape(name)}"]`);
  if (node) Object.assign(node, { textContent: text, title: exact });
}

/** Set the text of the part that shows this field, if there is one. */
export function setField(root, field, text, exact) {
  const node = findField(root, field);
  if (!node) return;
  if (node.textContent !== text) node.textContent = text;
  if (exact !== undefined) node.title = exact;
}

/** Dispatch ganvas:NAME on the document. */
export function announce(name, detail = {}) {
  document.dispatchEvent(new CustomEvent(`ganvas:${name}`, { detail }));
}

/** Listen for ganvas:NAME until stopListening. */
export function listen(element, name, handle) {
  element.listeners ??= new AbortController();
  const { signal } = element.listeners;
  document.addEventListener(`ganvas:${name}`, (event) => handle(event.detail), { signal });
}

/** Stop listening; for disconnectedCallback. */
export function stopListening(element) {
  element.listeners?.abort();
  element.listeners = undefined;
}

/** Let links to iterations inside the element select a grid in place; with a modifier key they open as links do. */
export function pickFromLinks(element) {
  element.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-iteration]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    announce("pick", { iteration: Number(link.dataset.iteration) });
  });
}
