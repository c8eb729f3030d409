// Curves as data, fetched from the service and then kept up to date by the stream, with no gap and no double.
import { readValue } from "../../static/core/format.js";
import { countUntil, iterationsOf, positionsOf } from "./axis.js";

/** One curve as stretches of iterations, each with its mean, lowest and highest value; a point is a stretch of one. */
class Curve {
  /** Columns of one length, in rising order of iteration; `total` points are stored. The first `loaded` ones were
   *  fetched, of a window of iterations if there is one; later ones came by the stream. */
  constructor(name, iterations = [], means = [], lows = [...means], highs = [...means], total = means.length) {
    Object.assign(this, { name, iterations, means, lows, highs, total, loaded: means.length, window: undefined });
  }

  /** Whether a stretch may stand for more than one point. */
  get isThinned() {
    return this.iterations.length < this.total;
  }

  /** Append a point; an iteration that is already there is ignored. */
  append(iteration, value) {
    if (this.iterations.length && iteration <= this.iterations.at(-1)) return;
    this.iterations.push(iteration);
    for (const column of [this.means, this.lows, this.highs]) column.push(readValue(value));
    this.total += 1;
  }

  /** Drop what a lost attempt reported after the checkpoint from which the next one resumes. */
  dropAfter(iteration) {
    const kept = countUntil(this.iterations, iteration);
    this.total -= this.iterations.length - kept;
    this.loaded = Math.min(this.loaded, kept);
    for (const column of [this.iterations, this.means, this.lows, this.highs]) column.length = kept;
  }
}

/** An exponential moving average over unevenly spaced places; a value's weight halves within `halfLife` places. */
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

// The binary form in which the service sends curves for drawing (docs/reference/api.md, "Curves for drawing").
const HEAD_BYTES = 16;
const padded = (length) => length + (-length & 7);

/** Read an answer: {last, curves}, the id of its last event, and each curve by its name. */
function readBands(buffer) {
  const view = new DataView(buffer);
  const curves = new Map();
  const last = Number(view.getBigUint64(8, true));
  let place = HEAD_BYTES;
  const column = (Kind, count) => {
    const values = new Kind(buffer, place, count);
    place += padded(count * Kind.BYTES_PER_ELEMENT);
    return Array.from(values);
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
    curves.set(name, new Curve(name, column(Uint32Array, count), means, lows, highs, total));
  }
  return { last, curves };
}

/** Fetch curves of a window of iterations, in at most `points` stretches each; undefined when the request fails. */
async function fetchBands(url, names, points, window) {
  const query = new URLSearchParams(names.map((name) => ["name", name]));
  query.set("form", "bands");
  query.set("points", points);
  if (window) query.set("from", window.from);
  if (window) query.set("to", window.to);
  const response = await fetch(`${url}?${query}`).catch(() => undefined);
  return response?.ok ? readBands(await response.arrayBuffer()) : undefined;
}

// Points of the stream are appended unreduced; after so many the reduced curve is fetched anew.
const MOST_APPENDED = 4000;

/** The curves of one run. */
class Source {
  /** url: of the run's metrics. points: how many stretches a curve may have. */
  constructor(url, points) {
    Object.assign(this, { url, points, waiting: [], last: 0, appended: 0, names: [], curves: new Map() });
  }

  /** Fetch these metrics in this window (null: all); messages of the stream wait meanwhile. False when it failed. */
  async load(names = this.names, window = this.window) {
    const asked = Symbol("asked");
    Object.assign(this, { asked, names, window });
    const fetched = names.length ? await fetchBands(this.url, names, this.points, window) : { last: 0, curves: new Map() };
    // Superseded by a later call.
    if (this.asked !== asked) return this.isLoaded;
    this.asked = undefined;
    if (fetched) {
      this.curves = new Map(names.map((name) => [name, fetched.curves.get(name) ?? new Curve(name)]));
      for (const curve of this.curves.values()) curve.window = window ?? undefined;
      Object.assign(this, { last: fetched.last, appended: 0, isLoaded: true });
    }
    for (const update of this.waiting.splice(0)) this.take(update);
    return this.isLoaded;
  }

  curve(name) {
    return this.curves.get(name) ?? new Curve(name);
  }

  /** Take a message of the stream, unless the fetched curves hold it. */
  take(update) {
    if (this.asked || !this.isLoaded) this.waiting.push(update);
    else if (update.id > this.last) for (const event of update.events) this.takeEvent(event);
    if (!this.asked && this.appended > MOST_APPENDED) this.load();
  }

  takeEvent(event) {
    if (event.kind === "attempt_started") {
      const isThinned = [...this.curves.values()].some((curve) => curve.isThinned);
      for (const curve of this.curves.values()) curve.dropAfter(event.resumed_from);
      // The stretch in which the checkpoint lies is dropped whole; the service has its beginning.
      if (isThinned) this.load();
    } else if (event.kind === "metrics_logged" && event.iteration <= (this.window?.to ?? Infinity)) {
      for (const [name, curve] of this.curves) {
        if (!(name in event.values)) continue;
        curve.append(event.iteration, event.values[name]);
        this.appended += 1;
      }
    }
  }
}

/** The curves that a chart's rows name, of one run or of several: one source for each run's metrics. */
export class Sources {
  /** url: of the metrics of rows that name none of their own. */
  constructor(url, points) {
    Object.assign(this, { url, points, byUrl: new Map() });
  }

  /** The address of the metrics of a row's run. */
  urlOf(row) {
    return row.dataset.url ?? this.url;
  }

  of(row) {
    const url = this.urlOf(row);
    if (!this.byUrl.has(url)) this.byUrl.set(url, new Source(url, this.points));
    return this.byUrl.get(url);
  }

  /** Fetch what these rows name, in this window of places; false when a request failed. */
  async load(rows, window) {
    const wanted = Map.groupBy(rows, (row) => this.of(row));
    const names = (some) => some.map((row) => row.dataset.metric);
    const cut = ([row]) => (window ? iterationsOf(positionsOf(row), window) : null);
    const loaded = await Promise.all([...wanted].map(([source, some]) => source.load(names(some), cut(some))));
    return loaded.every(Boolean);
  }

  /** Fetch the drawn curves of these runs anew. */
  async reload(urls) {
    await Promise.all([...this.byUrl].filter(([url]) => urls.includes(url)).map(([, source]) => source.load()));
  }

  curve(row) {
    return this.of(row).curve(row.dataset.metric);
  }

  take(update) {
    for (const source of this.byUrl.values()) source.take(update);
  }
}

// The exact values of curves at one iteration. A drawn curve may be thinned, or only of the window of a zoom: what it does
// not hold is fetched once the cursor rests.
//
//   const values = new ExactValues(() => show());      called when wanted values have come
//   values.find(line, at);     {iteration, value} of the line's last point up to an iteration, or of its newest (Infinity);
//                              null where there is none, undefined while it is not known
//   values.want(wanted);       fetch what find() does not know of these, [{line, at}]
//   values.forget();           a lost attempt's points were dropped, or the curves may be others
const REST_MS = 120;
const MOST_KEPT = 2000;
// The largest iteration that the service takes.
const LAST = 1_000_000_000;
// A curve of at most so many points keeps its last one: that is the point in question.
const LEAST_POINTS = 5;

// The newest point is another one after each point that comes.
const keyOf = ({ url, curve }, at) => `${url} ${curve.name} ${at === Infinity ? `newest of ${curve.total}` : at}`;

/** The last point up to an iteration that a drawn curve itself holds; undefined where it may hold another one or none. */
function findDrawn({ iterations, means, window, loaded, isThinned }, at) {
  if (window && (at < window.from || at > window.to)) return undefined;
  const index = countUntil(iterations, at) - 1;
  // What came by the stream is as it was logged.
  if (index >= 0 && (!isThinned || index >= loaded)) return { iteration: iterations[index], value: means[index] };
  return isThinned || window?.from > 0 ? undefined : null;
}

export class ExactValues {
  constructor(ready) {
    Object.assign(this, { ready, known: new Map() });
  }

  find(line, at) {
    const drawn = findDrawn(line.curve, at);
    return drawn === undefined ? this.known.get(keyOf(line, at)) : drawn;
  }

  want(wanted) {
    clearTimeout(this.rest);
    const missing = wanted.filter(({ line, at }) => this.find(line, at) === undefined);
    if (missing.length) this.rest = setTimeout(() => this.fetch(missing), REST_MS);
  }

  forget() {
    this.known.clear();
  }

  close() {
    clearTimeout(this.rest);
  }

  async fetch(missing) {
    if (this.known.size > MOST_KEPT) this.forget();
    const { known } = this;
    const requests = Map.groupBy(missing, ({ line, at }) => `${line.url} ${at}`).values();
    await Promise.all([...requests].map((some) => this.read(some, known)));
    this.ready();
  }

  async read(some, known) {
    const [{ line: { url }, at }] = some;
    const query = new URLSearchParams(some.map(({ line }) => ["name", line.curve.name]));
    query.set("points", LEAST_POINTS);
    if (at < LAST) query.set("to", at);
    const response = await fetch(`${url}?${query}`).catch(() => undefined);
    if (!response?.ok) return;
    const curves = new Map((await response.json()).curves.map((curve) => [curve.name, curve]));
    for (const { line } of some) {
      const { iterations = [], values = [] } = curves.get(line.curve.name) ?? {};
      const point = { iteration: iterations.at(-1), value: readValue(values.at(-1)) };
      known.set(keyOf(line, at), iterations.length ? point : null);
    }
  }
}
