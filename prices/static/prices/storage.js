/** Keeps what staff picked for the next visit, unless the browser forbids it or has no room left. */

/** The text remembered under a name, or null. @param {string} name */
export function recall(name) {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}

/** @param {string} name @param {string} text */
export function remember(name, text) {
  try {
    localStorage.setItem(name, text);
  } catch {
    // The choice holds until the page is left.
  }
}
