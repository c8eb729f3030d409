// The thumbnails of a run's grids. The server packs many grids into one image, a sheet: 16 consecutive thumbnails, or the
// corners that a film strip shows. Layout and address of a sheet are the same as the server's.
//
//   const store = new ThumbnailStore("/runs/ID", () => draw());   called when a wanted sheet has come
//   store.take(frames);          the timeline (see frames.js); again whenever it has changed
//   store.want(index);           load the sheets around this frame and drop those far away; after a jump first a glimpse,
//                                which comes sooner: a sheet of only the frames beside it
//   store.draw(canvas, index);   true when the frame's thumbnail was at hand and is drawn now
//   store.find(index);           {bitmap, x, y, width, height} of its thumbnail, or undefined
//   store.close();               free all memory
//
// A sheet begins at a multiple of 16. The newest one grows with the run: until it is full it is fetched anew at most
// every REFRESH_MS.

const SHEET_FRAMES = 16;
const SHEET_COLUMNS = 4;
const CORNER_COLUMNS = 20;
const THUMBNAIL_SIDE = 128;
const LARGEST_CELL = 96;
const CORNER_CELLS = 2;
const VERSION = 1;
const PRIME = 2 ** 44 - 17;

/** A digest of these frames' files, in order. */
export function digestOf(frames) {
  const digest = frames.reduce((sum, { sha256 }) => (sum * 31 + parseInt(sha256.slice(0, 12), 16)) % PRIME, VERSION);
  return digest.toString(16);
}

/** The part of a sheet's address that names its members. */
export function nameSheet(frames) {
  return `${frames[0].iteration}-${frames.at(-1).iteration}-${frames.length}-${digestOf(frames)}`;
}

/** The layout of a sheet of these frames' thumbnails: {places: [{x, y, width, height}], width, height}. */
export function placeThumbnails(frames) {
  return layOut(frames.map(thumbnailSize), SHEET_COLUMNS, 8);
}

/** The layout of a sheet of these frames' corners. */
export function placeCorners(frames) {
  return layOut(frames.map(cornerSize), CORNER_COLUMNS, 1);
}

function thumbnailSize({ rows, columns, cell_width: width, cell_height: height }) {
  const scale = Math.min(1, THUMBNAIL_SIDE / Math.max(columns * width, rows * height));
  const shrink = (side) => Math.max(1, Math.trunc(side * scale));
  return { width: columns * shrink(width), height: rows * shrink(height) };
}

function cornerSize({ rows, columns, cell_width: width, cell_height: height }) {
  const factor = Math.ceil(Math.max(width, height) / LARGEST_CELL);
  const shrink = (side, count) => Math.min(count, CORNER_CELLS) * Math.max(1, Math.floor(side / factor));
  return { width: shrink(width, columns), height: shrink(height, rows) };
}

function layOut(sizes, mostColumns, multiple) {
  const tile = (name) => Math.ceil(Math.max(...sizes.map((size) => size[name])) / multiple) * multiple;
  const [width, height] = [tile("width"), tile("height")];
  const columns = Math.min(mostColumns, sizes.length);
  const places = sizes.map((size, at) => ({ ...size, x: (at % columns) * width, y: Math.floor(at / columns) * height }));
  return { places, width: columns * width, height: Math.ceil(sizes.length / columns) * height };
}

// A browser opens six connections to one host; the page's stream and its other requests need the rest.
const AT_ONCE = 4;

/** Fetches AT_ONCE images at a time, the lowest rank first. */
class FetchQueue {
  constructor() {
    this.waiting = new Map();
    this.running = 0;
  }

  /** Queue a fetch by its key; one that waits already gets the new rank. */
  ask(key, rank, run) {
    this.waiting.set(key, { rank, run });
    this.next();
  }

  /** Remove waiting fetches that are stale. */
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

// One queue for all stores of the page.
const queue = new FetchQueue();

// A sheet takes the server some 40 ms and weighs 200 kB; one of two frames comes in a fifth of the time.
const GLIMPSE_FRAMES = 2;
// Sheets that are fetched ahead in the direction of movement, and behind.
const [AHEAD, BEHIND] = [3, 1];
// A decoded sheet takes about a megabyte: the most that a page keeps, shared by its stores.
const MOST_KEPT = 96;
const REFRESH_MS = 2000;
const RETRY_MS = 5000;

let stores = 0;
/** How many sheets to either side a store keeps. */
const reach = () => Math.max(AHEAD + 1, Math.floor(MOST_KEPT / stores / 2));

/** Fetch and decode a sheet of these consecutive frames; `first` is the index of the first one. */
async function fetchSheet(url, members, first) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(String(response.status));
  const bitmap = await createImageBitmap(await response.blob());
  return { bitmap, first, places: placeThumbnails(members).places, files: members.map(({ sha256 }) => sha256) };
}

export class ThumbnailStore {
  constructor(runUrl, ready) {
    stores += 1;
    this.runUrl = runUrl;
    this.ready = ready;
    this.frames = [];
    this.sheets = new Map();
    this.asked = new Map();
    this.grownAt = -REFRESH_MS;
  }

  take(frames) {
    this.frames = frames;
  }

  want(index) {
    const middle = Math.floor(index / SHEET_FRAMES);
    if (middle === this.middle && this.frames.length === this.count) return;
    const isJump = Math.abs(middle - this.middle) > AHEAD && !this.sheets.has(middle);
    this.towards = middle < this.middle ? -1 : 1;
    [this.middle, this.count] = [middle, this.frames.length];
    queue.drop((key) => key.startsWith(`${this.runUrl} `) && Math.abs(Number(key.split(" ")[1]) - middle) > AHEAD);
    for (const place of this.sheets.keys()) if (Math.abs(place - middle) > reach()) this.forget(place);
    if (isJump) this.loadGlimpse(index).then(() => this.askMiddle());
    else this.askMiddle();
  }

  find(index) {
    const { sha256 } = this.frames[index] ?? {};
    for (const sheet of [this.sheets.get(Math.floor(index / SHEET_FRAMES)), this.glimpse]) {
      const at = index - sheet?.first;
      // A frame that was replaced, or came after the sheet was made, is not on it.
      if (sha256 && sheet?.files[at] === sha256) return { bitmap: sheet.bitmap, ...sheet.places[at] };
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
    for (const place of this.sheets.keys()) this.forget(place);
    this.keepGlimpse(undefined);
  }

  /** Ask for the sheet of the wanted frame alone; those around it follow when it is there. */
  askMiddle() {
    if (!this.ask(this.middle, 0)) this.askAround();
  }

  askAround() {
    for (let away = 1; away <= AHEAD; away += 1) this.ask(this.middle + this.towards * away, away);
    for (let away = 1; away <= BEHIND; away += 1) this.ask(this.middle - this.towards * away, away);
  }

  /** Ask for a sheet, unless it is there, on its way or was refused just now; says whether it was asked for. */
  ask(place, rank) {
    const members = place < 0 ? [] : this.frames.slice(place * SHEET_FRAMES, (place + 1) * SHEET_FRAMES);
    if (this.closed || !members.length) return false;
    const url = this.addressOf(members);
    const [now, last] = [performance.now(), this.asked.get(place)];
    if (last?.url === url && now - last.at < last.rest) return false;
    const isGrowing = members.length < SHEET_FRAMES;
    if (isGrowing && now - this.grownAt < REFRESH_MS) return false;
    if (isGrowing) this.grownAt = now;
    queue.ask(`${this.runUrl} ${place}`, rank, () => this.load(place, url, members));
    return true;
  }

  addressOf(members) {
    return `${this.runUrl}/strips/${nameSheet(members)}.jpg`;
  }

  /** Fetch a sheet of only the frames beside this one, past the queue. */
  async loadGlimpse(index) {
    const first = index - (index % GLIMPSE_FRAMES);
    const members = this.frames.slice(first, first + GLIMPSE_FRAMES);
    const glimpse = await fetchSheet(this.addressOf(members), members, first).catch(() => undefined);
    if (glimpse && !this.closed && Math.floor(index / SHEET_FRAMES) === this.middle) this.keepGlimpse(glimpse);
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
      const sheet = await fetchSheet(url, members, place * SHEET_FRAMES);
      this.forget(place);
      if (this.closed || Math.abs(place - this.middle) > reach()) return sheet.bitmap.close();
      this.asked.set(place, asked);
      this.keep(place, sheet);
    } catch {
      asked.rest = RETRY_MS;
    }
    if (place === this.middle) this.askAround();
    return undefined;
  }

  keep(place, sheet) {
    this.sheets.set(place, sheet);
    this.ready();
  }

  forget(place) {
    this.sheets.get(place)?.bitmap.close();
    this.sheets.delete(place);
    this.asked.delete(place);
  }
}
