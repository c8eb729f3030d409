// The state of a view in the page's address, so that it can be shared; and the addresses of the service's own paths.

/** The prefix below which a proxy shows the service, or "". */
export const rootPath = () => document.documentElement.dataset.root ?? "";

/** The address of a path of the service, such as /jobs/ID. */
export const below = (path) => (path.startsWith("/") ? rootPath() + path : path);

/** A parameter of the address, or null. */
export const readAddress = (name) => new URLSearchParams(location.search).get(name);

/** Set parameters, {name: value or list}; undefined or "" removes one. */
export function writeAddress(changes) {
  const address = new URL(location.href);
  for (const [name, value] of Object.entries(changes)) {
    address.searchParams.delete(name);
    for (const each of [value ?? []].flat()) if (each !== "") address.searchParams.append(name, each);
  }
  if (address.href !== location.href) history.replaceState(history.state, "", address);
}

// Browsers limit how often an address may change: it is written when a slider rests.
const REST_MS = 250;

/** Writes once nothing has changed for REST_MS. One for each slider; `cancel` drops what waits. */
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
