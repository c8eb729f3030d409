// The ways to look at a grid: itself, its difference from the one before, or one of the two in turn.
import { showCount } from "./format.js";
import { GAIN } from "./pictures.js";

/** Indices of the frames of which a picture is made: one, or two for a difference. */
export function partsOf(look, index, flipped) {
  if (look === "difference" && index) return [index, index - 1];
  return [flipped && index ? index - 1 : index];
}

/** Say what a picture has to do with the frame before. */
export function describeLook(look, before, flipped) {
  if (look === "grid") return "";
  if (!before) return "No grid comes before this one";
  const words = { difference: `${GAIN} × difference from`, flicker: flipped ? "Shown:" : "In turn with" };
  return `${words[look]} iteration ${showCount(before.iteration)}`;
}
