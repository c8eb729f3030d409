// The first 2 × 2 cells of a grid, enlarged; the same as the server's `thumbnail_of`.
import { buildSvg } from "./dom.js";

const CELLS = 2;

/** Draw another grid in a thumbnail that is already there. */
export function updateThumbnail(svg, sample) {
  const columns = Math.min(sample.columns, CELLS);
  const rows = Math.min(sample.rows, CELLS);
  const image = svg.querySelector("image");
  if (image.getAttribute("href") === sample.url) return;
  svg.setAttribute("viewBox", `0 0 ${columns * sample.cell_width} ${rows * sample.cell_height}`);
  image.setAttribute("width", sample.columns * sample.cell_width);
  image.setAttribute("height", sample.rows * sample.cell_height);
  image.setAttribute("href", sample.url);
}

/** Build a thumbnail of this grid. */
export function buildThumbnail(sample) {
  const svg = buildSvg("svg", { class: "thumb", width: 56, height: 56, "aria-hidden": "true" }, buildSvg("image"));
  updateThumbnail(svg, sample);
  return svg;
}
