// Both losses of a run as data: fetched once, then kept up to date by the stream, with no gap and no double.
import { Series } from "./series.js";

const NAMES = { generator: "loss/generator", discriminator: "loss/discriminator" };
const POINTS = 2000;
const MOST_POINTS = 6000;

export const PLAYERS = Object.keys(NAMES);

export class Losses {
  constructor(url) {
    const names = Object.values(NAMES).map((name) => `name=${encodeURIComponent(name)}`);
    this.url = `${url}?${names.join("&")}&points=${POINTS}`;
    this.waiting = [];
    this.last = 0;
  }

  /** Fetch the curves; what the stream brings meanwhile waits. False when the service does not answer. */
  async load() {
    this.loading = true;
    const response = await fetch(this.url).catch(() => undefined);
    if (response?.ok) {
      const { curves, last_event_id: last } = await response.json();
      const find = (name) => new Series(curves.find((curve) => curve.name === name));
      this.series = Object.fromEntries(PLAYERS.map((player) => [player, find(NAMES[player])]));
      this.last = last;
    }
    this.loading = false;
    for (const update of this.waiting.splice(0)) this.take(update);
    return Boolean(this.series);
  }

  /** Take a message of the stream, unless the fetched curves hold it already. */
  take(update) {
    if (this.loading || !this.series) this.waiting.push(update);
    else if (update.id > this.last) update.events.forEach((event) => this.takeEvent(event));
    // What comes piles up unreduced; now and then the service is asked for a thinner curve with the same spikes.
    if (!this.loading && this.series?.generator.iterations.length > MOST_POINTS) this.load();
  }

  takeEvent(event) {
    for (const player of PLAYERS) {
      if (event.kind === "attempt_started") this.series[player].dropAfter(event.resumed_from);
      else if (event.kind === "metrics_logged" && NAMES[player] in event.values) {
        this.series[player].append(event.iteration, event.values[NAMES[player]]);
      }
    }
  }

  valueAt(player, iteration) {
    return this.series?.[player].valueAt(iteration);
  }

  /** Every finite value of both. */
  finiteValues() {
    return Object.values(this.series).flatMap(({ values }) => values.filter(Number.isFinite));
  }
}
