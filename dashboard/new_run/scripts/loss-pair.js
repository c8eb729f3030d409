// <loss-pair>: when one player's loss is chosen and the other's does not fit, the other one changes too, with a message.
// Without it the service refuses such a pair.
const PLAYERS = ["generator", "discriminator"];

class LossPair extends HTMLElement {
  connectedCallback() {
    this.form = this.closest("form");
    this.controller = new AbortController();
    this.form.addEventListener("change", ({ target }) => this.follow(target), { signal: this.controller.signal });
  }

  disconnectedCallback() {
    this.controller.abort();
  }

  follow(changed) {
    const player = PLAYERS.find((name) => changed.name === `losses.${name}`);
    if (!player) return;
    const other = PLAYERS.find((name) => name !== player);
    const fields = this.form.elements;
    const partner = fields[`losses.${other}`];
    const allowed = changed.selectedOptions[0].dataset.with?.split(" ");
    this.textContent = "";
    if (!allowed || allowed.includes(partner.value)) return;
    const was = fields[`was.losses.${other}`].value;
    partner.value = allowed.includes(was) ? was : allowed[0];
    this.textContent = `The loss of the ${other} is now ${partner.selectedOptions[0].text}: the two belong together.`;
  }
}

customElements.define("loss-pair", LossPair);
