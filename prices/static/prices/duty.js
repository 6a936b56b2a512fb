/** Shows what a duty change would do while it is typed. Without this script a button does. */

const AFTER_TYPING = 400;
const PREVIEW_TIMEOUT = 5000;

const form = /** @type {HTMLFormElement} */ (document.getElementById("duty"));
const look = /** @type {HTMLElement} */ (document.getElementById("duty-look"));
/** @type {ReturnType<typeof setTimeout>|undefined} */
let soon;
/** @type {AbortController|undefined} */
let latest;

look.hidden = true;
form.addEventListener("input", ({ target }) => {
  if (target instanceof Element && target.closest("#duty-preview")) return;
  clearTimeout(soon);
  soon = setTimeout(preview, AFTER_TYPING);
  disableSave();
});
// Typed before this script came, or restored by the browser.
const inputs = [...form.elements].filter((element) => element instanceof HTMLInputElement);
if (inputs.some(({ value, defaultValue }) => value !== defaultValue)) {
  disableSave();
  preview();
}

/** Disables Save, as the prices beside it are of other input. The preview of this input brings a new one. */
function disableSave() {
  for (const save of form.querySelectorAll('button[name="_save"]')) save.setAttribute("disabled", "");
}

async function preview() {
  latest?.abort();
  const mine = new AbortController();
  latest = mine;
  const timeout = setTimeout(() => mine.abort(), PREVIEW_TIMEOUT);
  const fields = new URLSearchParams();
  for (const [name, value] of new FormData(form)) fields.append(name, String(value));
  fields.delete("confirm"); // it was of other prices
  try {
    const answer = await fetch(form.action, { method: "POST", body: fields, signal: mine.signal });
    if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
    const html = await answer.text();
    if (mine === latest) show(html);
  } catch {
    // The network is away, or the server: the button is still there.
    if (mine === latest) look.hidden = false;
  } finally {
    clearTimeout(timeout);
  }
}

/** @param {string} html */
function show(html) {
  const page = new DOMParser().parseFromString(html, "text/html");
  if (!page.getElementById("duty")) location.reload(); // the login has ended
  for (const part of page.querySelectorAll("[data-fresh]")) {
    // The elements stay, whose changes screen readers speak.
    document.getElementById(part.id)?.replaceChildren(...part.childNodes);
  }
}
