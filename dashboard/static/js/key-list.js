// What keys do, in the order in which the help lists them. A key of a part is shown where that part is on the page.
export const KEYS = [
  { keys: ["?"], does: "this help" },
  { keys: ["/"], does: "to the search", where: "#search-runs" },
  { keys: ["←", "→"], does: "the grid before, the grid after", where: "frame-player" },
  { keys: ["Home", "End"], does: "the first grid, the newest grid", where: "frame-player" },
  { keys: ["Space"], does: "play, pause", where: "frame-player" },
  { keys: ["Shift", "click"], does: "choose all runs in between", where: "chosen-runs" },
  { keys: ["Tab"], does: "to the next control; the first one leads past the header" },
  { keys: ["Esc"], does: "close this" },
];
