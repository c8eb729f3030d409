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

// Late in a run grids differ by little: a difference is drawn four times as large.
export const GAIN = 4;
// Where a pixel became brighter it is orange, where darker blue, the more the brighter; black where it stayed.
const [BRIGHTER, DARKER] = [[255, 150, 30], [50, 140, 255]];

/** Draw the signed difference in brightness of two parts, pixel by pixel; style.css has its legend. */
export function drawDifference(canvas, part, other) {
  const after = readPixels(part, part);
  const before = readPixels(other, part);
  const { data } = after;
  for (let at = 0; at < data.length; at += 4) {
    const change = (data[at] + data[at + 1] + data[at + 2] - before.data[at] - before.data[at + 1] - before.data[at + 2]) / 3;
    const share = Math.min(1, (GAIN * Math.abs(change)) / 255);
    const colour = change > 0 ? BRIGHTER : DARKER;
    for (let channel = 0; channel < 3; channel += 1) data[at + channel] = share * colour[channel];
  }
  prepare(canvas, part).putImageData(after, 0, 0);
}

const scratch = document.createElement("canvas");

/** The pixels of a part, at this size. */
function readPixels(part, { width, height }) {
  Object.assign(scratch, { width, height });
  const context = scratch.getContext("2d", { willReadFrequently: true });
  drawPart(context, part, "copy");
  return context.getImageData(0, 0, width, height);
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
