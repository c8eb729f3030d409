// The curves that a chart's rows name, of one run or of several: one source for each run's metrics.
import { iterationsOf, placingOf } from "./placings.js";
import { Source } from "./source.js";

export class Sources {
  /** url: of the metrics of rows that name none of their own. */
  constructor(url, points) {
    Object.assign(this, { url, points, byUrl: new Map() });
  }

  of(row) {
    const url = row.dataset.url ?? this.url;
    if (!this.byUrl.has(url)) this.byUrl.set(url, new Source(url, this.points));
    return this.byUrl.get(url);
  }

  /** Fetch what these rows name, in this window of places; false when a service does not answer. */
  async load(rows, window) {
    const wanted = Map.groupBy(rows, (row) => this.of(row));
    const names = (some) => some.map((row) => row.dataset.metric);
    const cut = ([row]) => (window ? iterationsOf(placingOf(row), window) : null);
    const loaded = await Promise.all([...wanted].map(([source, some]) => source.load(names(some), cut(some))));
    return loaded.every(Boolean);
  }

  /** Fetch anew what is drawn of the runs with these metrics. */
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

/** Run once, when the element is nearly in sight; returns what stops waiting for that. */
export function whenSeen(element, run) {
  const see = (entries) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    watcher.disconnect();
    run();
  };
  const watcher = new IntersectionObserver(see, { rootMargin: "300px" });
  watcher.observe(element);
  return () => watcher.disconnect();
}
