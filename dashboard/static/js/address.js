// The page's address says how the page is looked at, so that a view can be sent to somebody.

/** What the address says under this name, or null. */
export const readAddress = (name) => new URLSearchParams(location.search).get(name);

/** Let the address say something else, {name: value or list}; what is undefined or empty it does not name. */
export function writeAddress(changes) {
  const address = new URL(location.href);
  for (const [name, value] of Object.entries(changes)) {
    address.searchParams.delete(name);
    for (const each of [value ?? []].flat()) if (each !== "") address.searchParams.append(name, each);
  }
  if (address.href !== location.href) history.replaceState(history.state, "", address);
}

// A browser counts changes of an address: one when a slider rests.
const REST_MS = 250;

/** The same for what moves: it is written once it has rested. One writer for each slider; `cancel` for its end. */
export class RestingAddress {
  constructor(written = () => undefined) {
    this.written = written;
  }

  write(changes) {
    clearTimeout(this.rest);
    this.rest = setTimeout(() => this.written(writeAddress(changes)), REST_MS);
  }

  cancel() {
    clearTimeout(this.rest);
  }
}
