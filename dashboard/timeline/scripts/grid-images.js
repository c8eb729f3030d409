// Grids as pictures: whole images, decoded ahead of need, and parts drawn on a canvas.

const KEPT = 6;
const AROUND = [1, 2, -1];

/** Grids in full size; the KEPT that were wanted last are kept. */
export class WholeGrids {
  constructor() {
    this.images = new Map();
  }

  /** The decoded image of a frame, or undefined. */
  find(frame) {
    const kept = this.images.get(frame.url);
    return kept?.ready ? kept.image : undefined;
  }

  /** Fetch and decode a frame's image; true once it can be drawn, false when it cannot be. */
  async load(frame) {
    const { url } = frame;
    let kept = this.images.get(url);
    if (!kept) {
      const image = new Image();
      image.src = url;
      kept = { image, ready: false, loaded: image.decode().then(() => true, () => false) };
    }
    // Move it to the end: the front is dropped first.
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

  /** Fetch the frames beside this one, so that single steps show whole grids at once. */
  loadAround(frames, index) {
    for (const step of AROUND) if (frames[index + step]) this.load(frames[index + step]);
  }
}

// A part is {bitmap, x, y, width, height}: an image, or a cut-out of a sheet of thumbnails.

/** Draw one part. */
export function drawPicture(canvas, part) {
  drawPart(prepare(canvas, part), part, "copy");
}

// Late in a run grids differ by little: a difference is drawn four times as bright.
const DOUBLINGS = 2;
export const GAIN = 2 ** DOUBLINGS;

/** Draw the difference of two parts, pixel by pixel. */
export function drawDifference(canvas, part, other) {
  const context = prepare(canvas, part);
  drawPart(context, other, "copy");
  drawPart(context, part, "difference");
  context.globalCompositeOperation = "lighter";
  for (let doubling = 0; doubling < DOUBLINGS; doubling += 1) context.drawImage(canvas, 0, 0);
}

function prepare(canvas, { width, height }) {
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  return canvas.getContext("2d");
}

function drawPart(context, { bitmap, x, y, width, height }, operation) {
  context.globalCompositeOperation = operation;
  context.imageSmoothingEnabled = false;
  context.drawImage(bitmap, x, y, width, height, 0, 0, context.canvas.width, context.canvas.height);
}

/** A whole image as a part. */
export function partOf(image) {
  return { bitmap: image, x: 0, y: 0, width: image.naturalWidth, height: image.naturalHeight };
}
