// Values that the browser keeps for this page, as JSON in the local storage.

/** Returns a stored value, or `fallback` if there is none or the browser has no local storage. */
export function load(key, fallback) {
  try {
    return JSON.parse(localStorage.getItem(key)) ?? fallback;
  } catch {
    return fallback;
  }
}

/** Stores a value. Returns whether the browser keeps it. */
export function store(key, value) {
  try {
    localStorage.setItem(key, JSON.stringify(value));
    return true;
  } catch {
    return false;
  }
}

/** Calls `listener` when another tab has changed a value. */
export function onChange(key, listener) {
  addEventListener("storage", (event) => {
    if (event.key === key || event.key === null) {
      listener();
    }
  });
}
