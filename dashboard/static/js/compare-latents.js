// Whether the same cell shows the same latents in runs side by side; dashboard/views/compare_grids.py says the same.

/** A letter for each frame's fixed latents, the same one where cells may be compared; "" where there is no frame. */
export function nameLatents(frames) {
  const keys = frames.map((frame) => frame && `${frame.latents_sha256} ${frame.rows} ${frame.columns}`);
  const known = [...new Set(keys.filter(Boolean))];
  return keys.map((key) => (key ? String.fromCharCode(65 + known.indexOf(key)) : ""));
}

/** Say so, of {letter, number} of each run. */
export function describeLatents(runs) {
  const shown = runs.filter(({ letter }) => letter);
  if (shown.length < 2) return "";
  const groups = Map.groupBy(shown, ({ letter }) => letter);
  if (groups.size === 1) return "Same fixed latents: a cell shows the same latents in every run.";
  const parts = [...groups].sort(([a], [b]) => (a < b ? -1 : 1)).map(([letter, members]) => `${letter}: ${members.map(({ number }) => number).join(", ")}`);
  return `Different fixed latents (${parts.join("; ")}): a cell shows the same latents only in runs of one letter. Between letters, compare what is drawn as a whole, not cell by cell.`;
}
