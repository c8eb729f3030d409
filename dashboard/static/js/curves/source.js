// Curves of one run, fetched and then kept up to date by the stream, with no gap and no double.
import { fetchBands } from "./bands.js";
import { Curve } from "./curve.js";

// What comes piles up unreduced; now and then the service is asked for fewer stretches with the same spikes.
const MOST_APPENDED = 4000;

export class Source {
  /** url: of the run's metrics. points: how many stretches a curve may have. */
  constructor(url, points) {
    Object.assign(this, { url, points, waiting: [], last: 0, appended: 0, names: [], curves: new Map() });
  }

  /** Fetch these metrics in this window (null: all); what the stream brings meanwhile waits. False without an answer. */
  async load(names = this.names, window = this.window) {
    const asked = Symbol("asked");
    Object.assign(this, { asked, names, window });
    const found = names.length ? await fetchBands(this.url, names, this.points, window) : { last: 0, curves: new Map() };
    // Something else was asked for meanwhile: that answer counts.
    if (this.asked !== asked) return this.isLoaded;
    this.asked = undefined;
    if (found) {
      this.curves = new Map(names.map((name) => [name, found.curves.get(name) ?? new Curve()]));
      Object.assign(this, { last: found.last, appended: 0, isLoaded: true });
    }
    for (const update of this.waiting.splice(0)) this.take(update);
    return this.isLoaded;
  }

  curve(name) {
    return this.curves.get(name) ?? new Curve();
  }

  /** Take a message of the stream, unless the fetched curves hold it already. */
  take(update) {
    if (this.asked || !this.isLoaded) this.waiting.push(update);
    else if (update.id > this.last) for (const event of update.events) this.takeEvent(event);
    if (!this.asked && this.appended > MOST_APPENDED) this.load();
  }

  takeEvent(event) {
    if (event.kind === "attempt_started") {
      const isThinned = [...this.curves.values()].some((curve) => curve.isThinned);
      for (const curve of this.curves.values()) curve.dropAfter(event.resumed_from);
      // The stretch that the checkpoint cuts through is gone whole: the service has its beginning.
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
