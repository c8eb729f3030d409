// A curve as data: stretches of iterations, each with its mean, lowest and highest value; a point is a stretch of one.
import { readValue } from "../format.js";
import { countUntil } from "../places.js";

export class Curve {
  /** Columns of one length, in rising order of iteration; `total` points are stored. */
  constructor(iterations = [], means = [], lows = [...means], highs = [...means], total = means.length) {
    Object.assign(this, { iterations, means, lows, highs, total });
  }

  /** Whether stretches stand for more points than one. */
  get isThinned() {
    return this.iterations.length < this.total;
  }

  /** Take one more point; one of an iteration that is already there is the same point again. */
  append(iteration, value) {
    if (this.iterations.length && iteration <= this.iterations.at(-1)) return;
    this.iterations.push(iteration);
    for (const column of [this.means, this.lows, this.highs]) column.push(readValue(value));
    this.total += 1;
  }

  /** Forget what a lost attempt reported after the checkpoint from which the next one goes on. */
  dropAfter(iteration) {
    const kept = countUntil(this.iterations, iteration);
    this.total -= this.iterations.length - kept;
    for (const column of [this.iterations, this.means, this.lows, this.highs]) column.length = kept;
  }
}

/** Values without their noise: each fades to a half within `halfLife` places, however unevenly they stand. */
export function smooth(places, values, halfLife) {
  if (!(halfLife > 0)) return values;
  let [average, before] = [undefined, 0];
  return values.map((value, index) => {
    if (!Number.isFinite(value)) return value;
    const kept = average === undefined ? 0 : 2 ** (-(places[index] - before) / halfLife);
    average = kept * (average ?? 0) + (1 - kept) * value;
    before = places[index];
    return average;
  });
}
