// Where a run's iterations lie on the axis of its charts: {placeOf(iteration), iterationAt(place)}.
// On an axis that counts, an iteration is always as many places (a row's data-scale; 1 without it). Time passes
// unevenly: there, who knows when grids were drawn says so (setClock). dashboard/views/compare_tracks.py says the same.
import { countUntil } from "../places.js";

const clocks = new Map();

/** Say when iterations of the run with these metrics were done, as rising columns; in between time passes evenly. */
export function setClock(url, iterations, seconds) {
  clocks.set(url, {
    placeOf: (iteration) => between(iterations, seconds, iteration),
    iterationAt: (place) => between(seconds, iterations, place),
  });
}

/** How a row's curve is placed; undefined while that is not known. */
export function placingOf({ dataset: { scale = "1", url } }) {
  if (scale === "") return clocks.get(url);
  const factor = Number(scale);
  return { placeOf: (iteration) => iteration * factor, iterationAt: (place) => place / factor };
}

/** A window of places as whole iterations, which hold all of it. */
export function iterationsOf({ iterationAt }, { from, to }) {
  return { from: Math.max(0, Math.floor(iterationAt(from))), to: Math.ceil(iterationAt(to)) };
}

function between(known, others, wanted) {
  const right = Math.min(Math.max(1, countUntil(known, wanted)), known.length - 1);
  const [first, last, low, high] = [known[right - 1], known[right], others[right - 1], others[right]];
  const share = last > first ? Math.min(1, (wanted - first) / (last - first)) : 1;
  return low + share * (high - low);
}
