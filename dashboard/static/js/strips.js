// Where grids lie on the sheets that the server makes of many; dashboard/images/selection.py and layout.py say the same.

export const STRIP_FRAMES = 16;
const STRIP_COLUMNS = 4;
const CELL_COLUMNS = 20;
const THUMBNAIL_SIDE = 128;
const LARGEST_CELL = 96;
const CORNER_CELLS = 2;
const VERSION = 1;
const PRIME = 2 ** 44 - 17;

/** A digest of these frames' files in their order. */
export function digestOf(frames) {
  const digest = frames.reduce((sum, { sha256 }) => (sum * 31 + parseInt(sha256.slice(0, 12), 16)) % PRIME, VERSION);
  return digest.toString(16);
}

/** The part of a sheet's address that names its members. */
export function nameSheet(frames) {
  return `${frames[0].iteration}-${frames.at(-1).iteration}-${frames.length}-${digestOf(frames)}`;
}

/** Where the thumbnails of these consecutive frames lie: {places: [{x, y, width, height}], width, height}. */
export function placeThumbnails(frames) {
  return layOut(frames.map(thumbnailSize), STRIP_COLUMNS, 8);
}

/** Where the corners of these frames lie. */
export function placeCorners(frames) {
  return layOut(frames.map(cornerSize), CELL_COLUMNS, 1);
}

function thumbnailSize({ rows, columns, cell_width: width, cell_height: height }) {
  const scale = Math.min(1, THUMBNAIL_SIDE / Math.max(columns * width, rows * height));
  const shrink = (side) => Math.max(1, Math.trunc(side * scale));
  return { width: columns * shrink(width), height: rows * shrink(height) };
}

function cornerSize({ rows, columns, cell_width: width, cell_height: height }) {
  const factor = Math.ceil(Math.max(width, height) / LARGEST_CELL);
  const shrink = (side, count) => Math.min(count, CORNER_CELLS) * Math.max(1, Math.floor(side / factor));
  return { width: shrink(width, columns), height: shrink(height, rows) };
}

function layOut(sizes, mostColumns, multiple) {
  const tile = (name) => Math.ceil(Math.max(...sizes.map((size) => size[name])) / multiple) * multiple;
  const [width, height] = [tile("width"), tile("height")];
  const columns = Math.min(mostColumns, sizes.length);
  const places = sizes.map((size, at) => ({ ...size, x: (at % columns) * width, y: Math.floor(at / columns) * height }));
  return { places, width: columns * width, height: Math.ceil(sizes.length / columns) * height };
}
