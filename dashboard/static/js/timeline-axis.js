// Where an iteration lies on a timeline's slider, and which one lies under it. An axis is {first, last, scale}:
// its ends in iterations, and "linear" or "log". Positions go from 0 to 1.

export const SCALES = { linear: "linear", log: "log" };

// From 1, so that an iteration of 0 has a logarithm too.
const squeeze = (axis, iteration) => (axis.scale === "log" ? Math.log(1 + iteration) : iteration);
const stretch = (axis, squeezed) => (axis.scale === "log" ? Math.exp(squeezed) - 1 : squeezed);
const withinOne = (position) => Math.min(1, Math.max(0, position));

/** Position of an iteration, from 0 to 1; on an axis of one iteration everything lies at its end. */
export function positionOf(axis, iteration) {
  const [low, high] = [squeeze(axis, axis.first), squeeze(axis, axis.last)];
  return high > low ? withinOne((squeeze(axis, iteration) - low) / (high - low)) : 1;
}

/** The iteration at a position, not rounded. */
export function iterationAt(axis, position) {
  const [low, high] = [squeeze(axis, axis.first), squeeze(axis, axis.last)];
  return stretch(axis, low + withinOne(position) * (high - low));
}
