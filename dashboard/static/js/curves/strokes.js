// What lies behind the lines: the range of each stretch as a band, and the noise that smoothing takes away.
const BAND = { plain: 0.2, smoothed: 0.12 };
const NOISE = 0.4;

/** Draw the bands of all lines, and their unsmoothed means where they are smoothed. */
export function drawBehind(u, lines) {
  const { ctx, bbox } = u;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  for (const line of lines) {
    if (line.curve.isThinned) drawBand(u, line);
    if (line.isSmoothed) drawNoise(u, line);
  }
  ctx.restore();
}

/** Runs of stretches that are finite, as [first, end); a gap is where a value is no finite number. */
function* pieces({ means }) {
  let start = 0;
  for (let index = 0; index <= means.length; index += 1) {
    if (index < means.length && Number.isFinite(means[index])) continue;
    if (index > start) yield [start, index];
    start = index + 1;
  }
}

function drawBand(u, { curve, stroke, isSmoothed, x }) {
  const { ctx } = u;
  ctx.fillStyle = stroke;
  ctx.globalAlpha = isSmoothed ? BAND.smoothed : BAND.plain;
  for (const [start, end] of pieces(curve)) {
    ctx.beginPath();
    for (let i = start; i < end; i += 1) ctx.lineTo(u.valToPos(x[i], "x", true), u.valToPos(curve.highs[i], "y", true));
    for (let i = end - 1; i >= start; i -= 1) ctx.lineTo(u.valToPos(x[i], "x", true), u.valToPos(curve.lows[i], "y", true));
    ctx.fill();
  }
}

function drawNoise(u, { curve, stroke, x }) {
  const { ctx } = u;
  ctx.strokeStyle = stroke;
  ctx.globalAlpha = NOISE;
  ctx.lineWidth = devicePixelRatio;
  ctx.setLineDash([]);
  for (const [start, end] of pieces(curve)) {
    ctx.beginPath();
    for (let i = start; i < end; i += 1) ctx.lineTo(u.valToPos(x[i], "x", true), u.valToPos(curve.means[i], "y", true));
    ctx.stroke();
  }
}
