// Grids in full size, decoded ahead of need; the few that were wanted last are kept.

const KEPT = 6;
const AROUND = [1, 2, -1];

export class WholeGrids {
  constructor() {
    this.images = new Map();
  }

  /** The decoded image of a frame, or undefined. */
  find(frame) {
    const kept = this.images.get(frame.url);
    return kept?.ready ? kept.image : undefined;
  }

  /** Fetch and decode a frame's image; true once it can be drawn, false when it cannot. */
  async load(frame) {
    const { url } = frame;
    let kept = this.images.get(url);
    if (!kept) {
      const image = new Image();
      image.src = url;
      kept = { image, ready: false, loaded: image.decode().then(() => true, () => false) };
    }
    // The one that was wanted last is the last to go.
    this.images.delete(url);
    this.images.set(url, kept);
    for (const oldest of this.images.keys()) {
      if (this.images.size <= KEPT) break;
      this.images.delete(oldest);
    }
    kept.ready = await kept.loaded;
    if (!kept.ready) this.images.delete(url);
    return kept.ready;
  }

  /** Fetch the frames beside this one: whoever goes on step by step sees whole grids all the way. */
  loadAround(frames, index) {
    for (const step of AROUND) if (frames[index + step]) this.load(frames[index + step]);
  }
}
