// A curve as data: stretches of iterations, each with its mean, lowest and highest value; a point is a stretch of one.
import { readValue } from "../format.js";

const NOTHING = { mean: undefined, low: undefined, high: undefined };

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
    const kept = this.count(iteration);
    this.total -= this.iterations.length - kept;
    for (const column of [this.iterations, this.means, this.lows, this.highs]) column.length = kept;
  }

  /** How many stretches end at this iteration or before. */
  count(iteration) {
    let [low, high] = [0, this.iterations.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.iterations[middle] <= iteration) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Where the last stretch that is not after this iteration is; the first one when all are. */
  indexAt(iteration) {
    return Math.max(0, this.count(iteration) - 1);
  }

  /** Mean, lowest and highest value there. */
  at(iteration) {
    if (!this.iterations.length) return NOTHING;
    const index = this.indexAt(iteration);
    return { mean: this.means[index], low: this.lows[index], high: this.highs[index] };
  }
}

/** Means without their noise: each fades to a half within `halfLife` iterations, however unevenly they come. */
export function smooth(curve, halfLife) {
  if (!(halfLife > 0)) return curve.means;
  let [average, before] = [undefined, 0];
  return curve.means.map((mean, index) => {
    const iteration = curve.iterations[index];
    if (Number.isFinite(mean)) {
      const kept = average === undefined ? 0 : 2 ** (-(iteration - before) / halfLife);
      average = kept * (average ?? 0) + (1 - kept) * mean;
      before = iteration;
      return average;
    }
    return mean;
  });
}
