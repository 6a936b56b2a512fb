/** The widget maker: what the form makes follows each change at once, and can be copied. The form works without this, too. */

import "../client/element.js";
import { offerCopies } from "./copy.js";

const form = /** @type {HTMLFormElement} */ (document.getElementById("maker"));
const made = /** @type {HTMLElement} */ (document.getElementById("made"));
let newest = new AbortController();

// The page has no use for the button that shows what is chosen.
form.dataset.started = "";
form.addEventListener("change", () => make(null));
form.addEventListener("submit", (event) => {
  event.preventDefault();
  make(event.submitter);
});

/** Shows what the form chooses, as the server makes it. @param {HTMLElement|null} pressed  The button that submits the form. */
async function make(pressed) {
  newest.abort();
  newest = new AbortController();
  const { signal } = newest;
  const choices = /** @type {[string, string][]} */ ([...new FormData(form, pressed)]);
  const address = `${location.pathname}?${new URLSearchParams(choices)}`;
  try {
    const response = await fetch(address, { signal });
    if (!response.ok) throw new Error(`HTTP ${response.status}`);
    show(new DOMParser().parseFromString(await response.text(), "text/html"));
  } catch {
    // The browser says best what is wrong, unless this is only no longer wanted.
    if (!signal.aborted) location.assign(address);
  }
}

/** @param {Document} page */
function show(page) {
  const focused = document.activeElement?.id;
  for (const element of [form, made]) {
    const its = page.getElementById(element.id);
    if (its) element.replaceChildren(...document.adoptNode(its).childNodes);
    if (its?.dataset.query) history.replaceState(null, "", `?${its.dataset.query}`);
  }
  offerCopies(made);
  // Where the button is gone or at rest, the one that is always there has the focus.
  const control = document.getElementById(focused ?? "");
  (control?.matches(":enabled") ? control : document.getElementById("add"))?.focus();
}
