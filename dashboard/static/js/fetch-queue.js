// A page's queue for images: four at a time, whatever is wanted most first. A browser opens six connections to one
// host, and the page's stream and its other requests need theirs.

const AT_ONCE = 4;

export class FetchQueue {
  constructor() {
    this.waiting = new Map();
    this.running = 0;
  }

  /** Ask for a job by its key; one that waits already only gets its new rank. Lower ranks come first. */
  ask(key, rank, run) {
    this.waiting.set(key, { rank, run });
    this.next();
  }

  /** Forget what waits and is not wanted any more. */
  drop(isStale) {
    for (const key of this.waiting.keys()) if (isStale(key)) this.waiting.delete(key);
  }

  async next() {
    if (this.running >= AT_ONCE || !this.waiting.size) return;
    const [key, { run }] = [...this.waiting].reduce((best, each) => (each[1].rank < best[1].rank ? each : best));
    this.waiting.delete(key);
    this.running += 1;
    await run().catch(() => undefined);
    this.running -= 1;
    this.next();
  }
}

/** The one queue of this page. */
export const queue = new FetchQueue();
