// A mouse wheel over a picture goes through its timeline.

const NOTCH = 100;
const LINE = 33;

/** Call step(count) for every notch of the wheel over the element, ten at once with Shift. At an end of the timeline,
 *  where step says false, the page scrolls as usual. */
export function listenToWheel(element, step) {
  let turned = 0;
  const turn = (event) => {
    if (event.ctrlKey || event.metaKey) return;
    const delta = event.deltaY || event.deltaX;
    turned += event.deltaMode === WheelEvent.DOM_DELTA_LINE ? delta * LINE : delta;
    const notches = Math.trunc(turned / NOTCH);
    turned -= notches * NOTCH;
    if (step(notches * (event.shiftKey ? 10 : 1), Math.sign(delta))) event.preventDefault();
  };
  element.addEventListener("wheel", turn, { passive: false });
}
