/** What a reader picked, for the next visit. A browser may forbid it, or have no room left: then it is forgotten. */

/** What was remembered under this name; null where there is nothing. */
export function recall(name) {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}

export function remember(name, text) {
  try {
    localStorage.setItem(name, text);
  } catch {
    // The choice holds until the page is left.
  }
}
