// <spec-form>: the form, the YAML and the networks' blocks say the same as one types. The text is the truth: each edit is
// sent with it to the service, which sets it in the text and answers with what all three say, with every problem at its
// field and with the time that the run takes. Without this script the form is posted and checked as a whole.
import { below } from "../../static/core/address.js";
import { build, buildIcon, buildIconButton } from "../../static/core/dom.js";
import { showCount } from "../../static/core/format.js";

const TYPING_MS = 150;
const MOST_UNDONE = 200;
const PLAYERS = ["generator", "discriminator"];
// Squares that a list of features is often turned into.
const SIDES = [7, 4, 2, 1];
const LAYER = /^(generator|discriminator)\.layers(?:\.(\d+))?(?:\.|$)/;

const read = (data, path) => path.split(".").reduce((value, key) => value?.[key], data);
const showShape = (shape) => shape?.join("×") ?? "";
const begin = (text) => (text.split(" ")[0].includes("_") ? text : text[0].toUpperCase() + text.slice(1));

const isShown = (field, layer) => field.is_required || field.name === "kind" || String(layer[field.name]) !== String(field.default);

class SpecForm extends HTMLElement {
  connectedCallback() {
    this.form = this.querySelector("form");
    this.yaml = this.form.elements.yaml;
    ({ kinds: this.kinds, new: this.fresh } = JSON.parse(this.dataset.layers));
    this.layers = {};
    this.pending = {};
    this.undone = [];
    this.shown = this.yaml.value;
    this.controller = new AbortController();
    const { signal } = this.controller;
    this.form.addEventListener("input", ({ target }) => this.type(target), { signal });
    this.form.addEventListener("change", ({ target }) => this.pair(target), { signal });
    this.form.addEventListener("keydown", (event) => this.press(event), { signal });
    this.form.addEventListener("focusin", ({ target }) => this.reach(target), { signal });
    this.querySelector("#field-yaml-help").textContent = "It follows the form, and the form follows it.";
    this.undoing = build("button", { type: "button", className: "undo plain", disabled: true, onclick: () => this.undo() }, "Undo");
    this.querySelector(".form-end").append(this.undoing);
    for (const player of PLAYERS) this.buildTools(player);
    this.review = JSON.parse(this.dataset.check);
    this.showNetworks(this.review);
  }

  disconnectedCallback() {
    this.controller.abort();
    this.asking?.abort();
    clearTimeout(this.timer);
  }

  /** Take what was typed in the YAML, in a field, or in a field of a layer. */
  type(target) {
    if (target === this.yaml) this.ask("yaml", TYPING_MS);
    else if (target.dataset.part) this.typeLayer(target);
    else if (this.form.elements[`was.${target.name}`]) this.set(target.name, target.value);
  }

  set(path, value) {
    if (path === "name") this.isNamed = true;
    this.pending[path] = value;
    this.ask(path);
  }

  /** Choose the other player's loss too, where it does not go with the one that was chosen. */
  pair(changed) {
    const player = PLAYERS.find((name) => changed.name === `losses.${name}`);
    if (!player) return;
    const other = PLAYERS.find((name) => name !== player);
    const partner = this.form.elements[`losses.${other}`];
    const allowed = changed.selectedOptions[0].dataset.with?.split(" ");
    const note = this.querySelector(".pair-note");
    note.textContent = "";
    if (!allowed || allowed.includes(partner.value)) return;
    const first = partner.querySelector("[selected]")?.value;
    partner.value = allowed.includes(first) ? first : allowed[0];
    note.textContent = `The loss of the ${other} is now ${partner.selectedOptions[0].text}: the two belong together.`;
    this.set(partner.name, partner.value);
  }

  /** Ask the service soon; `source` names what was edited, so that one undo takes back all that was typed there. */
  ask(source, delay = 0) {
    this.source = source;
    this.asking?.abort();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.send(), delay);
  }

  async send() {
    const asking = (this.asking = new AbortController());
    const [text, changes] = [this.yaml.value, { ...this.pending }];
    const body = JSON.stringify({ text, changes, made_from: this.dataset.madeFrom ?? null });
    const request = { method: "POST", body, headers: { "Content-Type": "application/json" }, signal: asking.signal };
    const response = await fetch(below("/specs/validate"), request).catch(() => undefined);
    const review = response?.ok ? await response.json().catch(() => undefined) : undefined;
    if (asking.signal.aborted || this.dragged) return;
    if (review) this.show(review, changes);
    else this.note("The spec could not be checked just now; it is checked when it is queued.");
  }

  show(review, sent) {
    // What cannot be set in the text stays in its field, and is said again until it can.
    const isKept = (path) => review.refused.includes(path);
    this.pending = Object.fromEntries(Object.entries(sent).filter(([path]) => isKept(path)));
    this.review = review;
    if (this.source === "yaml" && review.data && review.data.name !== this.form.elements.name.value) this.isNamed = true;
    if (review.text !== this.shown && this.source !== "undo" && this.source !== this.told) {
      this.undone = [...this.undone, this.shown].slice(-MOST_UNDONE);
    }
    this.told = this.source;
    this.shown = review.text;
    if (this.yaml.value !== review.text) this.yaml.value = review.text;
    if (review.data) this.showFields(review.data, isKept);
    this.showProblems(review.problems);
    this.showNetworks(review);
    this.querySelector(".estimate").textContent = review.estimate?.text ?? "";
    const count = review.problems.length;
    const first = review.problems[0]?.field || "YAML";
    this.note(count === 0 ? "" : count === 1 ? `One field is wrong: ${first}.` : `${count} fields are wrong, first ${first}.`);
    this.undoing.disabled = !this.undone.length;
    if (!review.name || review.name === this.form.elements.name.value || this.isNamed) return;
    this.pending.name = review.name;
    this.ask(this.source);
  }

  note(text) {
    const note = this.querySelector(".check-note");
    if (note.textContent !== text) note.textContent = text;
  }

  /** Let the fields say what the spec says; the one that is being typed in stays as it is. */
  showFields(data, isKept) {
    for (const was of this.querySelectorAll('[name^="was."]')) {
      const path = was.name.slice(4);
      const value = read(data, path);
      const control = this.form.elements[path];
      if (value === undefined || isKept(path) || (value !== null && typeof value === "object")) continue;
      const text = value === null ? "" : String(value);
      if (control.tagName === "SELECT" && ![...control.options].some((option) => option.value === text)) {
        control.prepend(build("option", { value: text }, text.replaceAll("_", " ")));
      }
      if (control !== document.activeElement) control.value = text;
      was.value = control.value;
    }
  }

  showProblems(problems) {
    const others = [];
    const own = {};
    for (const { field, given, message } of problems) {
      if (this.form.elements[`was.${field}`]) (own[field] ??= []).push(message);
      else if (!LAYER.test(field)) others.push(`${field ? `${field}: ` : ""}${message}${given ? ` (given: ${given})` : ""}.`);
    }
    for (const was of this.querySelectorAll('[name^="was."]')) {
      const path = was.name.slice(4);
      this.mark(this.form.elements[path], own[path] ? begin(own[path].join("; ")) : "", was.parentNode);
    }
    this.mark(this.yaml, others.join(" "), this.querySelector(".form-yaml"));
  }

  /** Say what is wrong with a control, below it; "" when nothing is. */
  mark(control, text, parent) {
    const id = `${control.id}-problem`;
    const place = this.querySelector(`#${CSS.escape(id)}`) ?? (text && parent.appendChild(build("p", { id, className: "problem" })));
    if (!place) return;
    place.textContent = text;
    const others = (control.getAttribute("aria-describedby") ?? "").split(" ").filter((each) => each && each !== id);
    const described = [...(text ? [id] : []), ...others].join(" ");
    control.setAttribute("aria-describedby", described);
    control.setAttribute("aria-invalid", String(Boolean(text)));
  }

  // The networks as blocks.

  root(player) {
    return this.querySelector(`[data-player="${player}"] .network`);
  }

  buildTools(player) {
    const names = Object.keys(this.fresh).map((name) => build("option", { value: name }, name.replaceAll("_", " ")));
    const choice = build("select", { ariaLabel: `Layer to add to the ${player}` }, ...names);
    const onclick = () => this.add(player, choice.value);
    const add = build("button", { type: "button", className: "add", onclick }, buildIcon("add"), build("span"));
    this.root(player).append(build("div", { className: "block-tools" }, choice, add));
    this.reach(undefined, player);
  }

  /** New layers come after the block that was used last. */
  reach(target, player = target?.closest(".player")?.dataset.player) {
    if (!player) return;
    const block = target?.closest(".block");
    this.current ??= {};
    if (block) this.current[player] = Number(block.dataset.index);
    const after = this.current[player];
    const isLast = after === undefined || after >= (this.layers[player]?.length ?? 0) - 1;
    this.root(player).querySelector(".add span").textContent = isLast ? "Add at the end" : `Add after ${after}`;
  }

  showNetworks(review) {
    for (const player of PLAYERS) {
      const root = this.root(player);
      const network = review.networks.find((each) => each.player === player);
      root.querySelector(".blocks").inert = !network;
      if (!network) continue;
      const before = this.layers[player]?.map(({ layer }) => layer).join();
      this.layers[player] = network.layers.map(({ layer }) => layer);
      root.querySelector(".weights").textContent = `${showCount(network.parameters)} weights`;
      root.querySelector(".preset").replaceChildren(...(network.preset ? ["Preset ", build("code", {}, network.preset)] : []));
      root.querySelector(".given").textContent = network.given ? `${showShape(network.given)} in` : "";
      const list = root.querySelector(".blocks");
      if (before !== this.layers[player].map(({ layer }) => layer).join()) this.buildBlocks(player, list);
      const told = this.findLayerProblems(review.problems, player);
      root.querySelector(".network-problem").textContent = told.get(undefined) ?? "";
      network.layers.forEach((layer, index) => this.showBlock(list.children[index], layer, told.get(index)));
      this.reach(undefined, player);
    }
  }

  /** The problems of a player's layers, by the layer's place; undefined stands for the list as a whole. */
  findLayerProblems(problems, player) {
    const told = new Map();
    for (const { field, message } of problems) {
      const [, whose, place] = LAYER.exec(field) ?? [];
      if (whose !== player) continue;
      const index = place === undefined ? undefined : Number(place);
      const part = field.split(".")[3];
      told.set(index, `${told.has(index) ? `${told.get(index)}; ` : ""}${part ? `${part} ` : ""}${message}`);
    }
    return told;
  }

  buildBlocks(player, list) {
    const focused = list.querySelector(":focus");
    const [index, act] = [focused?.closest(".block")?.dataset.index, focused?.dataset.act];
    list.replaceChildren(...this.layers[player].map((layer, place) => this.buildBlock(player, layer, place)));
    const place = this.moved?.player === player ? this.moved.place : index;
    this.moved = undefined;
    if (!act || place === undefined) return;
    const block = list.children[Math.min(place, list.children.length - 1)];
    // At an end of the list the other direction is the one that is left.
    (block?.querySelector(`[data-act="${act}"]:enabled`) ?? block?.querySelector("[data-act=up]:enabled, [data-act=down]:enabled"))?.focus();
  }

  buildBlock(player, layer, place) {
    const name = layer.layer?.replaceAll("_", " ") ?? "layer";
    const action = (act, icon, words, handle, disabled = false) => {
      const button = Object.assign(buildIconButton(icon, `${words} layer ${place}, ${name}`, handle), { disabled });
      button.dataset.act = act;
      return button;
    };
    const fields = this.kinds[layer.layer]?.fields ?? [];
    const parts = fields.map((field) => this.buildField(player, place, field));
    const body = build("div", { className: "block-body" }, build("strong", {}, name), ...parts);
    const more = action("more", "more", "More fields of", () => (more.ariaExpanded = String(block.classList.toggle("open"))));
    more.ariaExpanded = "false";
    const hasMore = fields.some((field) => !isShown(field, layer));
    const grip = build("span", { className: "grip", title: "Drag to move" }, buildIcon("grip"));
    const actions = build(
      "div",
      { className: "block-actions" },
      hasMore ? more : "",
      action("up", "up", "Move up", () => this.move(player, place, place - 1), place === 0),
      action("down", "down", "Move down", () => this.move(player, place, place + 1), place === this.layers[player].length - 1),
      action("copy", "copy", "Duplicate", () => this.splice(player, place + 1, 0, { ...this.layers[player][place] })),
      action("delete", "delete", "Delete", () => this.splice(player, place, 1)),
    );
    const facts = build("span", { className: "block-facts figure" }, build("span", { className: "shape" }), " ", build("span", { className: "quiet count" }));
    const block = build("li", { className: "block" }, grip, body, actions, facts, build("p", { className: "problem" }));
    block.dataset.index = place;
    grip.addEventListener("pointerdown", (event) => this.drag(event, player, block));
    return block;
  }

  buildField(player, place, field) {
    const bounds = field.kind === "integer" ? { type: "number", min: field.minimum ?? "", max: field.maximum ?? "", step: 1 } : { type: "text" };
    const control =
      field.kind === "choice"
        ? build("select", {}, ...field.choices.map((choice) => build("option", { value: choice }, choice.replaceAll("_", " "))))
        : build("input", field.kind === "boolean" ? { type: "checkbox" } : { ...bounds, autocomplete: "off", inputMode: field.kind === "number" ? "decimal" : "" });
    Object.assign(control.dataset, { part: field.name, kind: field.kind, player, place });
    const label = build("label", { className: `part of-${field.kind}` }, build("span", {}, field.name.replaceAll("_", " ")), " ", control);
    if (field.name === "kind") label.firstChild.className = "unseen";
    return label;
  }

  showBlock(block, { layer, shape, parameters, problem }, told) {
    if (!block) return;
    block.querySelector(".shape").textContent = showShape(shape);
    block.querySelector(".count").textContent = parameters ? showCount(parameters) : "";
    const wrong = told || problem;
    block.querySelector(":scope > .problem").textContent = wrong ? begin(wrong) : "";
    block.classList.toggle("wrong", Boolean(wrong));
    for (const control of block.querySelectorAll("[data-part]")) {
      const field = this.kinds[layer.layer].fields.find(({ name }) => name === control.dataset.part);
      const value = layer[field.name];
      control.parentNode.classList.toggle("beside", !isShown(field, layer));
      if (control === document.activeElement && field.kind !== "boolean") continue;
      if (field.kind === "boolean") control.checked = value !== false;
      else control.value = Array.isArray(value) ? value.join("×") : (value ?? "");
    }
  }

  typeLayer({ dataset: { part, kind, player, place }, value, checked }) {
    const layers = this.layers[player].map((layer, index) => (index === Number(place) ? { ...layer, [part]: this.parse(kind, value, checked) } : layer));
    this.setLayers(player, layers, `${player}.${place}.${part}`);
  }

  /** What was typed as a number, where it is one; the service says what is wrong with anything else. */
  parse(kind, value, checked) {
    if (kind === "boolean") return checked;
    if (kind === "shape") return value.split(/[×x*, ]+/).filter(Boolean).map((part) => this.parse("number", part));
    if (kind === "choice" || value.trim() === "") return value.trim() || null;
    return Number.isFinite(Number(value)) ? Number(value) : value;
  }

  setLayers(player, layers, source) {
    // The next edit builds on this one, also before the service has answered.
    this.layers[player] = layers;
    this.pending[`${player}.layers`] = layers;
    this.ask(source);
  }

  splice(player, place, count, ...added) {
    const layers = this.layers[player].toSpliced(place, count, ...added);
    this.rebuild(player, layers, Math.min(place, layers.length - 1));
  }

  move(player, from, to) {
    const layers = [...this.layers[player]];
    layers.splice(to, 0, ...layers.splice(from, 1));
    this.rebuild(player, layers, to);
  }

  /** Show the blocks in their new order at once; shapes and weights follow with the answer. */
  rebuild(player, layers, place) {
    this.edits = (this.edits ?? 0) + 1;
    this.moved = { player, place };
    this.setLayers(player, layers, `edit ${this.edits}`);
    const list = this.root(player).querySelector(".blocks");
    this.buildBlocks(player, list);
    layers.forEach((layer, index) => this.showBlock(list.children[index], { layer }));
    this.current[player] = place;
    this.reach(undefined, player);
  }

  add(player, name) {
    const [layer, list] = [this.fresh[name], this.root(player).querySelector(".blocks")];
    const place = Math.min((this.current?.[player] ?? Infinity) + 1, this.layers[player].length);
    const shape = list.children[place - 1]?.querySelector(".shape").textContent;
    const size = shape ? shape.split("×").reduce((product, part) => product * Number(part), 1) : 0;
    const side = SIDES.find((each) => size % (each * each) === 0);
    this.splice(player, place, 0, layer.shape && size ? { ...layer, shape: [size / (side * side), side, side] } : layer);
    list.children[place]?.querySelector(".part:not(.beside) > :is(input, select), [data-act]")?.focus();
  }

  press(event) {
    if (event.target.dataset.part && event.key === "Enter") event.preventDefault();
    if (event.key !== "z" || !(event.ctrlKey || event.metaKey) || event.shiftKey || !event.target.closest(".network")) return;
    event.preventDefault();
    this.undo();
  }

  undo() {
    const text = this.undone.pop();
    if (text === undefined) return;
    this.pending = {};
    this.yaml.value = text;
    this.ask("undo");
  }

  /** Move a block with the pointer, also with a finger. */
  drag(event, player, block) {
    event.preventDefault();
    const list = block.parentNode;
    const from = Number(block.dataset.index);
    this.dragged = block;
    block.classList.add("dragged");
    const listening = new AbortController();
    const { signal } = listening;
    const end = (keeps) => {
      listening.abort();
      block.classList.remove("dragged");
      this.dragged = undefined;
      const to = [...list.children].indexOf(block);
      if (keeps && to !== from) this.move(player, from, to);
      else {
        this.layers[player] = [];
        this.showNetworks(this.review);
      }
    };
    document.addEventListener("pointermove", ({ clientY }) => {
      const others = [...list.children].filter((each) => each !== block);
      const next = others.find((each) => clientY < each.getBoundingClientRect().top + each.offsetHeight / 2) ?? null;
      if (block.nextElementSibling !== next) list.insertBefore(block, next);
    }, { signal });
    document.addEventListener("pointerup", () => end(true), { signal });
    document.addEventListener("pointercancel", () => end(false), { signal });
    document.addEventListener("keydown", ({ key }) => key === "Escape" && end(false), { signal });
  }
}

customElements.define("spec-form", SpecForm);
