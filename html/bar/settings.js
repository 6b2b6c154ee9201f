// Settings in the fragment of the URL of the page (after the #), so that a link includes them.

/** Names of the settings and their defaults. The fragment has only settings that differ. */
export const DEFAULTS = {
  url: "/",
  protocols: "",
  kind: "text",
  message: "Hello, world!",
  reconnect: "",
  second: "",
  code: "1000",
  reason: "",
  every: "1000",
  count: "1000",
  size: "100",
  stats: "",
};

/** Maximum length of a value in a link. Longer URLs do not pass everywhere. */
const MAX_LENGTH = 8000;

/** Returns the settings of a fragment, or `null` if it has none, as the fragment of a link inside the page. */
export function readSettings(hash) {
  const parameters = new URLSearchParams(hash.slice(1));
  const names = Object.keys(DEFAULTS);
  if (hash.length > 1 && !(hash.includes("=") && names.some((name) => parameters.has(name)))) {
    return null;
  }
  return Object.fromEntries(names.map((name) => [name, parameters.get(name) ?? DEFAULTS[name]]));
}

/** Shortest time between two writes, in milliseconds. Browsers refuse to write the URL too often. */
const WRITE_INTERVAL = 300;

export class SettingsWriter {
  constructor() {
    this.timer = 0;
  }

  /** Writes settings a moment later. Further ones until then replace them. */
  save(settings) {
    this.latest = settings;
    this.timer ||= setTimeout(() => this.write(this.latest), WRITE_INTERVAL);
  }

  /** Leaves out what was saved and is not written yet. */
  cancel() {
    clearTimeout(this.timer);
    this.timer = 0;
  }

  /** Writes settings into the fragment. Returns the names of those that are too long for a link. */
  write(settings) {
    this.cancel();
    const parameters = new URLSearchParams();
    const omitted = [];
    for (const [name, value] of Object.entries(settings)) {
      if (value === DEFAULTS[name]) {
        continue;
      }
      if (value.length <= MAX_LENGTH) {
        parameters.set(name, value);
      } else {
        omitted.push(name);
      }
    }
    // These characters need no escape in a fragment.
    const text = parameters.toString().replaceAll("%2F", "/").replaceAll("%3A", ":").replaceAll("%3F", "?");
    history.replaceState(null, "", text ? `#${text}` : location.pathname + location.search);
    return omitted;
  }
}
