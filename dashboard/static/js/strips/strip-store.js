// StripStore: the thumbnails of one run's grids, for whoever scrubs: the run page, and the compare page with one
// store for each run.
//
//   const store = new StripStore("/runs/ID", () => draw());   called when a strip that was asked for has come
//   store.take(frames);                 the timeline (see frames.js); again whenever it changed
//   store.want(index);                  load the strips around this frame, forget those far away; after a jump first
//                                       a glimpse, which comes sooner: the few frames around it
//   store.draw(canvas, index);          true when the frame's thumbnail was at hand and is drawn now
//   store.find(index);                  {bitmap, x, y, width, height} of its thumbnail, or undefined
//   store.close();                      give all memory back
//
// A strip holds 16 consecutive grids from a multiple of 16 on. The newest one grows with the run: until it is full
// it is fetched anew at most every REFRESH_MS.
import { queue } from "../fetch-queue.js";
import { nameSheet, placeThumbnails, STRIP_FRAMES } from "../strips.js";

// A strip takes some 40 ms to be made and is a fifth of a megabyte; two of its frames are there in a fifth of the time.
const GLIMPSE_FRAMES = 2;
// Strips that are fetched ahead of the cursor where it goes, and behind it.
const [AHEAD, BEHIND] = [3, 1];
// A decoded strip is about a megabyte: so many may be kept in a page, shared by its stores.
const PAGE_KEEPS = 96;
const REFRESH_MS = 2000;
const RETRY_MS = 5000;

let stores = 0;
/** Strips to either side of the cursor that a store keeps once they are there. */
const reach = () => Math.max(AHEAD + 1, Math.floor(PAGE_KEEPS / stores / 2));

/** Fetch and decode the thumbnails of these consecutive frames, of which this is the first one's index. */
async function fetchStrip(url, members, first) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(String(response.status));
  const bitmap = await createImageBitmap(await response.blob());
  return { bitmap, first, places: placeThumbnails(members).places, files: members.map(({ sha256 }) => sha256) };
}

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
    const isJump = Math.abs(middle - this.middle) > AHEAD && !this.strips.has(middle);
    this.towards = middle < this.middle ? -1 : 1;
    [this.middle, this.count] = [middle, this.frames.length];
    queue.drop((key) => key.startsWith(`${this.runUrl} `) && Math.abs(Number(key.split(" ")[1]) - middle) > AHEAD);
    for (const place of this.strips.keys()) if (Math.abs(place - middle) > reach()) this.forget(place);
    if (isJump) this.loadGlimpse(index).then(() => this.askMiddle());
    else this.askMiddle();
  }

  find(index) {
    const { sha256 } = this.frames[index] ?? {};
    for (const strip of [this.strips.get(Math.floor(index / STRIP_FRAMES)), this.glimpse]) {
      const at = index - strip?.first;
      // A frame that was replaced, or came after the strip was made, is not on it.
      if (sha256 && strip?.files[at] === sha256) return { bitmap: strip.bitmap, ...strip.places[at] };
    }
    return undefined;
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
    this.keepGlimpse(undefined);
  }

  /** The strip at the cursor comes first and alone; those around it when it is there. */
  askMiddle() {
    if (!this.ask(this.middle, 0)) this.askAround();
  }

  askAround() {
    for (let away = 1; away <= AHEAD; away += 1) this.ask(this.middle + this.towards * away, away);
    for (let away = 1; away <= BEHIND; away += 1) this.ask(this.middle - this.towards * away, away);
  }

  /** Ask for a strip, unless it is there, on its way, or not to be had yet; says whether it was asked for. */
  ask(place, rank) {
    const members = place < 0 ? [] : this.frames.slice(place * STRIP_FRAMES, (place + 1) * STRIP_FRAMES);
    if (this.closed || !members.length) return false;
    const url = this.nameStrip(members);
    const [now, last] = [performance.now(), this.asked.get(place)];
    if (last?.url === url && now - last.at < last.rest) return false;
    const isGrowing = members.length < STRIP_FRAMES;
    if (isGrowing && now - this.grownAt < REFRESH_MS) return false;
    if (isGrowing) this.grownAt = now;
    queue.ask(`${this.runUrl} ${place}`, rank, () => this.load(place, url, members));
    return true;
  }

  nameStrip(members) {
    return `${this.runUrl}/strips/${nameSheet(members)}.jpg`;
  }

  /** Fetch the few frames around this one, past the queue. */
  async loadGlimpse(index) {
    const first = index - (index % GLIMPSE_FRAMES);
    const members = this.frames.slice(first, first + GLIMPSE_FRAMES);
    const glimpse = await fetchStrip(this.nameStrip(members), members, first).catch(() => undefined);
    if (glimpse && !this.closed && Math.floor(index / STRIP_FRAMES) === this.middle) this.keepGlimpse(glimpse);
    else glimpse?.bitmap.close();
  }

  keepGlimpse(glimpse) {
    this.glimpse?.bitmap.close();
    this.glimpse = glimpse;
    if (glimpse) this.ready();
  }

  async load(place, url, members) {
    const asked = { url, at: performance.now(), rest: Infinity };
    this.asked.set(place, asked);
    try {
      const strip = await fetchStrip(url, members, place * STRIP_FRAMES);
      this.forget(place);
      if (this.closed || Math.abs(place - this.middle) > reach()) return strip.bitmap.close();
      this.asked.set(place, asked);
      this.keep(place, strip);
    } catch {
      asked.rest = RETRY_MS;
    }
    if (place === this.middle) this.askAround();
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
