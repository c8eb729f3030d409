// A cell of a grid, {row, column} counted from 1: found under the pointer or by arrow keys, and covered by an element.
const MOVES = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

/** The nearest cell within a grid of this size. */
export function nearestCell({ row, column }, { rows, columns }) {
  const inside = (value, count) => Math.min(Math.max(value, 1), count);
  return { row: inside(row, rows), column: inside(column, columns) };
}

/** The cell under the pointer; the element covers the grid. */
export function cellUnder(element, { clientX, clientY }, grid) {
  const { left, top, width, height } = element.getBoundingClientRect();
  const row = 1 + Math.floor(((clientY - top) / height) * grid.rows);
  const column = 1 + Math.floor(((clientX - left) / width) * grid.columns);
  return nearestCell({ row, column }, grid);
}

/** The neighbour of a cell in the direction of an arrow key; undefined for other keys. */
export function cellBeside({ row, column }, key) {
  const move = MOVES[key];
  return move && { row: row + move[0], column: column + move[1] };
}

/** Put a node over a cell. */
export function coverCell(node, { row, column }, { rows, columns }) {
  const percent = (part, whole) => `${(100 * part) / whole}%`;
  node.style.top = percent(row - 1, rows);
  node.style.left = percent(column - 1, columns);
  node.style.height = percent(1, rows);
  node.style.width = percent(1, columns);
}
