// A chart's rows as what a plot draws.
import { placingOf } from "./placings.js";
import { readStroke } from "./table.js";

/** What each row's line is: its curve, how that is placed, and how it is drawn. */
export function linesOf(rows, sources) {
  return rows.map((row) => ({ row, curve: sources.curve(row), placing: placingOf(row), ...readStroke(row) }));
}

/** How far the axis goes: as far as the server knew, or as the curves have come since. */
export function lengthOf(lines, known) {
  const ends = lines.map(({ curve, placing }) => placing.placeOf(curve.iterations.at(-1) ?? 0));
  return Math.ceil(Math.max(known, ...ends));
}
