// Keys that mean something to a whole page, and where they already mean something else.
const OWN_KEYS = "input, select, textarea, button, summary, [tabindex]";

/** Whether a key belongs to what has the focus, or to the browser. */
export function isTyping(event) {
  return event.ctrlKey || event.metaKey || event.altKey || Boolean(event.target.closest?.(OWN_KEYS));
}
