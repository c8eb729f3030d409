// Curves as the service sends them for drawing (docs/api.md, "Curves for drawing"): columns that need no parsing.
import { Curve } from "./curve.js";

const HEAD_BYTES = 16;
const padded = (length) => length + (-length & 7);

/** Read an answer: {last, curves}, the event after which a stream goes on, and each curve by its name. */
export function readBands(buffer) {
  const view = new DataView(buffer);
  const curves = new Map();
  const last = Number(view.getBigUint64(8, true));
  let place = HEAD_BYTES;
  const column = (Kind, count) => {
    const found = new Kind(buffer, place, count);
    place += padded(count * Kind.BYTES_PER_ELEMENT);
    return Array.from(found);
  };
  for (let left = view.getUint32(4, true); left > 0; left -= 1) {
    const [length, count] = [view.getUint32(place, true), view.getUint32(place + 4, true)];
    const total = Number(view.getBigUint64(place + 8, true));
    const name = new TextDecoder().decode(new Uint8Array(buffer, place + HEAD_BYTES, length));
    place += HEAD_BYTES + padded(length);
    const means = column(Float64Array, count);
    const isThinned = count < total;
    const lows = isThinned ? column(Float64Array, count) : [...means];
    const highs = isThinned ? column(Float64Array, count) : [...means];
    curves.set(name, new Curve(column(Uint32Array, count), means, lows, highs, total));
  }
  return { last, curves };
}

/** Fetch curves, in at most `points` stretches each, of a window of iterations; undefined when nothing answers. */
export async function fetchBands(url, names, points, window) {
  const query = new URLSearchParams(names.map((name) => ["name", name]));
  query.set("form", "bands");
  query.set("points", points);
  if (window) query.set("from", window.from);
  if (window) query.set("to", window.to);
  const response = await fetch(`${url}?${query}`).catch(() => undefined);
  return response?.ok ? readBands(await response.arrayBuffer()) : undefined;
}
