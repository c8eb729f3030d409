// A timeline as data: sample grids (frames) in order of iteration, each iteration once; and the cells of a grid.
import { below } from "../../static/core/address.js";

/** The index of the iteration, or where it would be inserted. */
function indexOf(frames, iteration) {
  let low = 0;
  let high = frames.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (frames[middle].iteration < iteration) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Insert a frame; one of the same iteration is replaced. True when it is new. */
export function addFrame(frames, frame) {
  const at = indexOf(frames, frame.iteration);
  const known = frames[at]?.iteration === frame.iteration;
  frames.splice(at, known ? 1 : 0, frame);
  return !known;
}

/** Drop what a lost attempt drew after the checkpoint from which the next one resumes. */
export function dropFramesAfter(frames, iteration) {
  frames.length = indexOf(frames, iteration + 1);
}

/** Index of the frame nearest to this iteration. */
export function nearestFrame(frames, iteration) {
  const right = Math.min(indexOf(frames, iteration), frames.length - 1);
  const left = Math.max(0, right - 1);
  return iteration - frames[left].iteration < frames[right].iteration - iteration ? left : right;
}

/** At most `most` evenly spaced indices from the first to the last: fewer, down to half, where all steps are then equal. */
export function spread(count, most) {
  let shown = Math.min(count, most);
  if (count > most) for (let fewer = most; fewer > most / 2; fewer--) if ((count - 1) % (fewer - 1) === 0) { shown = fewer; break; }
  if (shown === count) return Array.from({ length: count }, (_, index) => index);
  return [...new Set(Array.from({ length: shown }, (_, step) => Math.round((step * (count - 1)) / (shown - 1))))];
}

/** A frame from its event; `created` in milliseconds. */
export function frameOf(event, at) {
  const { iteration, rows, columns, cell_width, cell_height, latents_sha256 } = event;
  const { sha256 } = event.file;
  const layout = { rows, columns, cell_width, cell_height, latents_sha256 };
  return { iteration, sha256, url: below(`/artifacts/${sha256}`), created: Date.parse(at) || Date.now(), ...layout };
}

/** The indices of those rising places that keep this distance, the last one among them (dashboard/timeline/view.py). */
export function spaceOut(places, gap) {
  const kept = [];
  for (const [at, place] of places.entries()) if (!kept.length || place - places[kept.at(-1)] >= gap) kept.push(at);
  // The newest one takes the place of the frame that it would cover.
  if (kept.length) kept[kept.length - 1] = places.length - 1;
  return kept;
}

// The axis that strip, slider and curves share, {from, to, isLog}; a place on it goes from 0 to 1. A logarithmic one
// begins at 1, as that of a chart does.
const squeeze = ({ isLog }, iteration) => (isLog ? Math.log(Math.max(1, iteration)) : iteration);

/** The place of an iteration; one outside the axis stands at its end. */
export function placeOn(axis, iteration) {
  const [low, high] = [squeeze(axis, axis.from), squeeze(axis, axis.to)];
  return high > low ? Math.min(1, Math.max(0, (squeeze(axis, iteration) - low) / (high - low))) : 1;
}

/** The iteration at a place, not rounded. */
export function iterationOn(axis, place) {
  const [low, high] = [squeeze(axis, axis.from), squeeze(axis, axis.to)];
  const squeezed = low + Math.min(1, Math.max(0, place)) * (high - low);
  return axis.isLog ? Math.exp(squeezed) : squeezed;
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));
const HASH_BYTES = 32;

/** Hashes as hexadecimal text, from the bytes of all of them in base64. */
function readHashes(base64) {
  const digits = Array.from(atob(base64), (byte) => HEX[byte.charCodeAt(0)]);
  return Array.from({ length: digits.length / HASH_BYTES }, (_, at) => digits.slice(at * HASH_BYTES, (at + 1) * HASH_BYTES).join(""));
}

/** The frames of a whole timeline, which the service sends in columns (dashboard/timeline/view.py). */
export function readTimeline({ iterations, files, created, layouts }) {
  const frames = [];
  const hashes = readHashes(files);
  for (const { count, ...layout } of layouts) {
    for (const end = frames.length + count; frames.length < end; ) {
      const at = frames.length;
      const sha256 = hashes[at];
      frames.push({ iteration: iterations[at], sha256, url: below(`/artifacts/${sha256}`), created: 1000 * created[at], ...layout });
    }
  }
  return frames;
}

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
