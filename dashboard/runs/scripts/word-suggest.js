// <word-suggest [data-kinds] [data-list]>: around a field of the list's search: suggests fields, metrics, tags and values
// that exist while one types. Arrows choose, Enter or Tab takes, Escape folds; without this script the field is as it was.
// data-kinds: only these kinds of words; data-list: the words are names alone, without comparisons.
import { below } from "../../static/core/address.js";
import { build } from "../../static/core/dom.js";

const MOST_SHOWN = 10;
// The word before the cursor: a minus, then a name, and after : or an operator the beginning of a value.
const WORD = /(?:^|[\s,])-?((?:"[^"]*"?|[^\s,"])*)$/;
const COMPARED = /^("[^"]*"|[^:=<>!~"]+)(:|!=|<=|>=|=|<|>|~)(.*)$/s;
// What follows a name that was taken.
const AFTER = { field: "=", metric: "<" };

/** Words as the service lists them; once a page, or once for the values of each name. */
const asked = new Map();
function ask(of) {
  if (!asked.has(of)) {
    const answer = fetch(below(`/runs/words.json${of ? `?of=${encodeURIComponent(of)}` : ""}`));
    asked.set(of, answer.then((response) => (response.ok ? response.json() : { words: [] })).then(({ words }) => words, () => []));
  }
  return asked.get(of);
}

/** The words that hold this text, those that begin with it first, then those of which a part does. */
function findWords(words, text) {
  const wanted = text.toLowerCase().replaceAll('"', "");
  const rank = ({ word }) => {
    const at = word.toLowerCase().replaceAll('"', "").indexOf(wanted);
    if (at <= 0) return at < 0 ? Infinity : 0;
    return /[./_:]/.test(word[at - 1]) ? 1 : 2;
  };
  const found = words.map((word) => [rank(word), word]).filter(([at]) => at < Infinity);
  return found.sort(([a], [b]) => a - b).map(([, word]) => word);
}

let lists = 0;

class WordSuggest extends HTMLElement {
  connectedCallback() {
    this.input = this.querySelector("input");
    this.input.removeAttribute("list");
    this.list = build("ul", { id: `words-${(lists += 1)}`, className: "words popover", role: "listbox", ariaLabel: "Suggestions", hidden: true });
    this.append(this.list);
    for (const [name, value] of Object.entries({ role: "combobox", "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": this.list.id })) {
      this.input.setAttribute(name, value);
    }
    this.input.addEventListener("input", () => this.suggest());
    this.input.addEventListener("keydown", (event) => this.press(event));
    this.input.addEventListener("blur", () => this.fold());
    // The words are there when the first letter is typed.
    this.input.addEventListener("focus", () => ask(""), { once: true });
    // Before the field loses the focus.
    this.list.addEventListener("pointerdown", (event) => event.preventDefault());
    this.list.addEventListener("click", ({ target }) => this.take(this.options.indexOf(target.closest("li"))));
  }

  get options() {
    return [...this.list.children];
  }

  /** The word before the cursor, and where it begins. */
  read() {
    const before = this.input.value.slice(0, this.input.selectionStart);
    const [, word] = WORD.exec(before) ?? [, ""];
    return { word, start: before.length - word.length };
  }

  async suggest() {
    const { word, start } = this.read();
    const [, name, operator, value] = ("list" in this.dataset ? null : COMPARED.exec(word)) ?? [];
    const kinds = this.dataset.kinds?.split(" ");
    let found = [];
    if (name && !(operator === ":" && name === "tag")) {
      found = findWords(await ask(name), value);
      this.from = start + name.length + operator.length;
    } else if (word) {
      found = findWords((await ask("")).filter(({ kind }) => !kinds || kinds.includes(kind)), word);
      this.from = start;
    }
    // Another letter may have come while the words were fetched.
    if (this.read().word === word && document.activeElement === this.input) this.show(found.slice(0, MOST_SHOWN), word);
  }

  show(found, word) {
    this.found = found.length === 1 && found[0].word === word ? [] : found;
    this.list.replaceChildren(
      ...this.found.map(({ word: text, about }, place) =>
        build("li", { id: `${this.list.id}-${place}`, role: "option", ariaSelected: "false" }, build("code", {}, text), build("span", { className: "quiet" }, about)),
      ),
    );
    this.list.hidden = !this.found.length;
    this.input.setAttribute("aria-expanded", String(!this.list.hidden));
    this.choose(-1);
  }

  fold() {
    this.show([], "");
  }

  choose(place) {
    this.place = place;
    this.options.forEach((option, index) => (option.ariaSelected = String(index === place)));
    if (place < 0) this.input.removeAttribute("aria-activedescendant");
    else this.input.setAttribute("aria-activedescendant", this.options[place].id);
  }

  press(event) {
    if (this.list.hidden) return;
    const count = this.options.length;
    if (event.key === "ArrowDown") this.choose((this.place + 1) % count);
    else if (event.key === "ArrowUp") this.choose((Math.max(this.place, 0) + count - 1) % count);
    else if ((event.key === "Enter" || event.key === "Tab") && this.place >= 0) this.take(this.place);
    else if (event.key === "Escape") this.fold();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** Put a suggestion in the place of what was typed of it. */
  take(place) {
    const chosen = this.found[place];
    if (!chosen) return;
    const { value, selectionStart } = this.input;
    const after = "list" in this.dataset || chosen.word.endsWith(":") ? "" : (AFTER[chosen.kind] ?? "");
    const text = `${value.slice(0, this.from)}${chosen.word}${after}`;
    this.input.value = `${text}${value.slice(selectionStart)}`;
    this.input.setSelectionRange(text.length, text.length);
    this.fold();
    // A key or a field wants a value next.
    if (after || chosen.word.endsWith(":")) this.suggest();
  }
}

customElements.define("word-suggest", WordSuggest);
