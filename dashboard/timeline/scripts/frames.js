// A timeline as data: sample grids (frames) in order of iteration, each iteration once.
import { below } from "../../static/core/address.js";

/** The index of the iteration, or where it would be inserted. */
function indexOf(frames, iteration) {
  let low = 0;
  let high = frames.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (frames[middle].iteration < iteration) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Insert a frame; one of the same iteration is replaced. True when it is new. */
export function addFrame(frames, frame) {
  const at = indexOf(frames, frame.iteration);
  const known = frames[at]?.iteration === frame.iteration;
  frames.splice(at, known ? 1 : 0, frame);
  return !known;
}

/** Drop what a lost attempt drew after the checkpoint from which the next one resumes. */
export function dropFramesAfter(frames, iteration) {
  frames.length = indexOf(frames, iteration + 1);
}

/** Index of the frame nearest to this iteration. */
export function nearestFrame(frames, iteration) {
  const right = Math.min(indexOf(frames, iteration), frames.length - 1);
  const left = Math.max(0, right - 1);
  return iteration - frames[left].iteration < frames[right].iteration - iteration ? left : right;
}

/** At most `most` evenly spaced indices from the first to the last. */
export function evenlySpaced(count, most) {
  if (count <= most) return Array.from({ length: count }, (_, index) => index);
  return [...new Set(Array.from({ length: most }, (_, step) => Math.round((step * (count - 1)) / (most - 1))))];
}

/** A frame from its event; `created` in milliseconds. */
export function frameOf(event, at) {
  const { iteration, rows, columns, cell_width, cell_height, latents_sha256 } = event;
  const { sha256 } = event.file;
  const layout = { rows, columns, cell_width, cell_height, latents_sha256 };
  return { iteration, sha256, url: below(`/artifacts/${sha256}`), created: Date.parse(at) || Date.now(), ...layout };
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));
const HASH_BYTES = 32;

/** Hashes as hexadecimal text, from the bytes of all of them in base64. */
function readHashes(base64) {
  const digits = Array.from(atob(base64), (byte) => HEX[byte.charCodeAt(0)]);
  return Array.from({ length: digits.length / HASH_BYTES }, (_, at) => digits.slice(at * HASH_BYTES, (at + 1) * HASH_BYTES).join(""));
}

/** The frames of a whole timeline, which the service sends in columns (dashboard/timeline/view.py). */
export function readTimeline({ iterations, files, created, layouts }) {
  const frames = [];
  const hashes = readHashes(files);
  for (const { count, ...layout } of layouts) {
    for (const end = frames.length + count; frames.length < end; ) {
      const at = frames.length;
      const sha256 = hashes[at];
      frames.push({ iteration: iterations[at], sha256, url: below(`/artifacts/${sha256}`), created: 1000 * created[at], ...layout });
    }
  }
  return frames;
}
