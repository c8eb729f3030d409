// Pictures on a canvas. A part is {bitmap, x, y, width, height}: an image, or a cut-out of a strip.

/** Draw one part. */
export function drawPicture(canvas, part) {
  drawPart(prepare(canvas, part), part, "copy");
}

// Late in a run grids differ by little: what is drawn is four times as bright as it is.
const DOUBLINGS = 2;
export const GAIN = 2 ** DOUBLINGS;

/** Draw how much each pixel of one part differs from that of another. */
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
