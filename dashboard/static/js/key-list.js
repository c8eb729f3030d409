// What keys do, in the order in which the help lists them. A key of a part is shown where that part is on the page.
export const KEYS = [
  { keys: ["?"], does: "this help" },
  { keys: ["/"], does: "to the search", where: "#search-runs" },
  { keys: ["←", "→"], does: "the grid before, the grid after", where: "frame-player, compare-player" },
  { keys: ["Home", "End"], does: "the first grid, the newest grid", where: "frame-player, compare-player" },
  { keys: ["PgUp", "PgDn"], does: "with the focus on the slider: ten grids on, ten back; ↑ and ↓ one", where: "frame-player, compare-player" },
  { keys: ["Space"], does: "play, pause", where: "frame-player, compare-player" },
  { keys: ["wheel"], does: "over the grid: from grid to grid, with Shift by ten", where: "grid-view" },
  { keys: ["d"], does: "the difference from the grid before", where: "look-choice" },
  { keys: ["f", "b"], does: "flicker with the grid before, turn to it by hand", where: "look-choice" },
  { keys: ["↑", "↓", "←", "→", "Enter"], does: "with the focus on the grid: choose a cell, follow it", where: "cell-cursor" },
  { keys: ["↑", "↓", "←", "→", "Enter"], does: "with the focus on a grid: choose a cell, keep it outlined", where: "compare-cell" },
  { keys: ["Shift", "click"], does: "choose all runs in between", where: "chosen-runs" },
  { keys: ["Tab"], does: "to the next control; the first one leads past the header" },
  { keys: ["Esc"], does: "close this" },
];
