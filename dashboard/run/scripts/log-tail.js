// <log-tail>: appends new log lines; it scrolls along only while its end is in sight.
import { build, listen, stopListening } from "../../static/core/dom.js";
import { showCount } from "../../static/core/format.js";

const MOST_LINES = 500;

class LogTail extends HTMLElement {
  connectedCallback() {
    this.list = this.querySelector("ol");
    const showEnd = () => (this.list.scrollTop = this.list.scrollHeight);
    showEnd();
    this.querySelector("details").addEventListener("toggle", showEnd);
    listen(this, "update", ({ events }) => {
      const lines = events.filter((event) => event.kind === "line_logged");
      if (lines.length) this.append(lines);
    });
  }

  disconnectedCallback() {
    stopListening(this);
  }

  append(lines) {
    const { list } = this;
    const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 24;
    list.append(...lines.map((line) => this.buildLine(line)));
    while (list.childElementCount > MOST_LINES) list.firstElementChild.remove();
    this.querySelector(".nothing-yet")?.remove();
    if (atEnd) list.scrollTop = list.scrollHeight;
  }

  buildLine({ level, text, iteration, at }) {
    const time = build("local-time", {}, build("time", { dateTime: at ?? new Date().toISOString() }));
    time.dataset.show = "clock";
    const words = level === "info" ? [text] : [build("strong", {}, `${level}:`), ` ${text}`];
    return build(
      "li",
      { className: `log-${level}` },
      time,
      build("span", { className: "log-iteration" }, showCount(iteration)),
      build("span", { className: "log-text" }, ...words),
    );
  }
}

customElements.define("log-tail", LogTail);
