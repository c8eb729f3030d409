// StripStore: the thumbnails of one run's grids, for whoever scrubs: the run page, and the compare page with one
// store for each run.
//
//   const store = new StripStore("/runs/ID", () => draw());   called when a strip that was asked for has come
//   store.take(frames);                 the timeline (see frames.js); again whenever it changed
//   store.want(index);                  load the strips around this frame, forget those far away
//   store.draw(canvas, index);          true when the frame's thumbnail was at hand and is drawn now
//   store.find(index);                  {bitmap, x, y, width, height} of its thumbnail, or undefined
//   store.close();                      give all memory back
//
// A strip holds 16 consecutive grids from a multiple of 16 on. The newest one grows with the run: until it is full
// it is fetched anew at most every REFRESH_MS.
import { queue } from "../fetch-queue.js";
import { nameSheet, placeThumbnails, STRIP_FRAMES } from "../strips.js";

// Strips that are fetched ahead of the cursor where it goes, and behind it.
const [AHEAD, BEHIND] = [3, 1];
// A decoded strip is about a megabyte: so many may be kept in a page, shared by its stores.
const PAGE_KEEPS = 96;
const REFRESH_MS = 2000;
const RETRY_MS = 5000;

let stores = 0;
/** Strips to either side of the cursor that a store keeps once they are there. */
const reach = () => Math.max(AHEAD + 1, Math.floor(PAGE_KEEPS / stores / 2));

export class StripStore {
  constructor(runUrl, ready) {
    stores += 1;
    this.runUrl = runUrl;
    this.ready = ready;
    this.frames = [];
    this.strips = new Map();
    this.asked = new Map();
    this.grownAt = -REFRESH_MS;
  }

  take(frames) {
    this.frames = frames;
  }

  want(index) {
    const middle = Math.floor(index / STRIP_FRAMES);
    if (middle === this.middle && this.frames.length === this.count) return;
    const towards = middle < this.middle ? -1 : 1;
    [this.middle, this.count] = [middle, this.frames.length];
    queue.drop((key) => key.startsWith(`${this.runUrl} `) && Math.abs(Number(key.split(" ")[1]) - middle) > AHEAD);
    for (let away = -BEHIND; away <= AHEAD; away += 1) this.ask(middle + towards * away, Math.abs(away));
    for (const place of this.strips.keys()) if (Math.abs(place - middle) > reach()) this.forget(place);
  }

  find(index) {
    const strip = this.strips.get(Math.floor(index / STRIP_FRAMES));
    const at = index % STRIP_FRAMES;
    // A frame that was replaced, or came after the strip was made, is not on it.
    if (!strip || strip.files[at] !== this.frames[index]?.sha256) return undefined;
    return { bitmap: strip.bitmap, ...strip.places[at] };
  }

  draw(canvas, index) {
    const found = this.find(index);
    if (!found) return false;
    const { bitmap, x, y, width, height } = found;
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    canvas.getContext("2d").drawImage(bitmap, x, y, width, height, 0, 0, width, height);
    return true;
  }

  close() {
    if (!this.closed) stores -= 1;
    this.closed = true;
    queue.drop((key) => key.startsWith(`${this.runUrl} `));
    for (const place of this.strips.keys()) this.forget(place);
  }

  ask(place, rank) {
    const members = place < 0 ? [] : this.frames.slice(place * STRIP_FRAMES, (place + 1) * STRIP_FRAMES);
    if (!members.length) return;
    const url = `${this.runUrl}/strips/${nameSheet(members)}.jpg`;
    const [now, last] = [performance.now(), this.asked.get(place)];
    if (last?.url === url && now - last.at < last.rest) return;
    const isGrowing = members.length < STRIP_FRAMES;
    if (isGrowing && now - this.grownAt < REFRESH_MS) return;
    if (isGrowing) this.grownAt = now;
    queue.ask(`${this.runUrl} ${place}`, rank, () => this.load(place, url, members));
  }

  async load(place, url, members) {
    const asked = { url, at: performance.now(), rest: Infinity };
    this.asked.set(place, asked);
    try {
      const response = await fetch(url);
      if (!response.ok) throw new Error(String(response.status));
      const bitmap = await createImageBitmap(await response.blob());
      this.forget(place);
      if (this.closed || Math.abs(place - this.middle) > reach()) return bitmap.close();
      this.asked.set(place, asked);
      this.keep(place, { bitmap, places: placeThumbnails(members).places, files: members.map((one) => one.sha256) });
    } catch {
      asked.rest = RETRY_MS;
    }
    return undefined;
  }

  keep(place, strip) {
    this.strips.set(place, strip);
    this.ready();
  }

  forget(place) {
    this.strips.get(place)?.bitmap.close();
    this.strips.delete(place);
    this.asked.delete(place);
  }
}
