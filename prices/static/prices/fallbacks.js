/**
 * The page of all fallback prices: shows while staff type what it would do, saves without leaving the page, and reads back
 * from the stream what screens show. Without this script the page works, with a button for the preview.
 */

import { english } from "../client/format.js";
import { SwarnaClient } from "../client/swarna-client.js";
import { convert } from "../client/units.js";
import { recall, remember } from "./storage.js";

/** @typedef {import("../client/swarna-client.js").Metal} Metal */
/** @typedef {import("../client/swarna-client.js").Quote} Quote */
/** @typedef {import("../client/units.js").Unit} Unit */

const SECOND = 1_000;
/** A pause in typing after which the preview is fetched. */
const PAUSE = 0.3 * SECOND;
const PREVIEW_TIMEOUT = 10 * SECOND;
/** The server answers within a few seconds, or not at all. */
const SAVE_TIMEOUT = 15 * SECOND;
/** Pressed again, Save saves nothing twice: the server knows what this user has saved last. */
const AGAIN = "What you wrote is still here: press Save again. The same is saved only once.";

const { age, amount, dateAndTime, origin } = english;
const page = /** @type {HTMLElement} */ (document.getElementById("fallbacks-page"));
const said = /** @type {HTMLElement} */ (document.getElementById("fallbacks-say"));
const client = new SwarnaClient(`${page.dataset.root}ws/prices/`);
/**
 * @typedef {object} Brought  What the stream brought last of a metal.
 * @property {Quote} quote
 * @property {string} key
 * @property {number} cameAt  By the steady clock.
 * @property {string} since  The time of day when it was published, by the server.
 * @property {boolean} isFirst  True if it came with the first update: screens may have shown it before.
 */

/** @type {Map<string, Brought>} */
const brought = new Map();
/** When the form came from the server, by the steady clock: what the stream brings later is newer. */
let begunAt = 0;
let isSaving = false;
/** @type {ReturnType<typeof setTimeout>|undefined} */
let nextPreview;
/** @type {AbortController|undefined} */
let previewing;

page.addEventListener("input", typed);
page.addEventListener("change", typed);
page.addEventListener("click", copy);
page.addEventListener("submit", submit);
client.addEventListener("prices", ({ detail }) => take(detail.message));
client.addEventListener("connection", refresh);
begin();
client.connect();
setInterval(refresh, SECOND);

function form() {
  return /** @type {HTMLFormElement} */ (document.getElementById("fallbacks"));
}

/** @returns {NodeListOf<HTMLElement>} */
function rows() {
  return form().querySelectorAll("[data-metal]");
}

/** @param {ParentNode} parent @param {string} name @returns {HTMLElement|null} */
function part(parent, name) {
  return parent.querySelector(`[data-part="${name}"]`);
}

/** Prepares a form that has just come from the server. */
function begin() {
  begunAt = performance.now();
  const preview = form().querySelector('[name="_preview"]');
  if (preview instanceof HTMLElement) preview.hidden = true; // it comes by itself
  for (const row of rows()) {
    row.dataset.said = part(row, "state")?.textContent ?? "";
    const unit = unitOf(row);
    const remembered = recall(memoryOf(row));
    if ("fresh" in form().dataset && unit && remembered && [...unit.options].some(({ value }) => value === remembered)) {
      unit.value = remembered;
    }
  }
  refresh();
}

// --- what screens show -----------------------------------------------------------------------------------------------

/** @param {import("../client/swarna-client.js").PriceUpdate} update */
function take({ timestamp }) {
  const isFirst = brought.size === 0;
  const since = timeOfDay(Date.parse(timestamp));
  for (const metal of [...brought.keys()]) if (!(metal in client.prices)) brought.delete(metal);
  for (const [metal, quote] of Object.entries(client.prices)) {
    if (!quote) continue;
    const key = [quote.source, quote.price, quote.timestamp].join();
    const before = brought.get(metal);
    const came = { cameAt: performance.now(), since, isFirst };
    brought.set(metal, before?.key === key ? { ...before, quote } : { quote, key, ...came });
  }
  refresh();
}

function refresh() {
  if (isSaving) return; // what the stream brings now may be what is being saved
  for (const row of rows()) {
    const [state, text] = stateOf(row, brought.get(row.dataset.metal ?? ""));
    row.dataset.state = state;
    write(row, "state", text);
    showPrices(row);
  }
}

/**
 * The state of a fallback, and in words.
 * @param {HTMLElement} row
 * @param {Brought|undefined} known
 * @returns {[state: string, text: string]}
 */
function stateOf({ dataset: { price, asOf, since, expired, example, said = "" } }, known) {
  if (client.connected && known) {
    const { source, price: shown, timestamp } = known.quote;
    if (source === "fallback" && shown === Number(price) && timestamp === asOf) {
      return ["screens", `On screens since ${(known.isFirst && since) || known.since}`];
    }
    const isNewer = known.cameAt >= begunAt;
    if (isNewer && source === "fallback") return ["changed", "Somebody has changed it: reload this page"];
    if (isNewer && expired) return ["expired", said];
    if (isNewer) return ["reserve", example ? "Never shown in place of a source’s price" : "In reserve"];
  }
  if (since) return ["published", `Published at ${since}; the stream has yet to bring it here`];
  return [expired ? "expired" : "reserve", said];
}

/** @param {HTMLElement} row */
function showPrices(row) {
  const known = brought.get(row.dataset.metal ?? "");
  const button = row.querySelector("[data-copy]");
  if (known && client.connected) {
    const { quote } = known;
    const marks = quote.stale && quote.source !== "fallback" ? ", stale" : "";
    const quotedAt = Date.parse(quote.timestamp);
    // Until the server's clock is known there is no age: this device's may be wrong.
    const when = client.isTimed ? age(quotedAt, client.serverTime) : `of ${dateAndTime(quotedAt)}`;
    write(row, "shown", `${amount(quote.price)} ${origin(quote)}, ${when}${marks}`);
    if (quote.source !== "fallback" && quote.source !== "simulated") {
      row.dataset.live = String(quote.price);
      write(row, "live", amount(quote.price));
    }
  }
  if (button instanceof HTMLElement) button.hidden = !row.dataset.live;
}

/** @param {ParentNode} parent @param {string} name @param {string} text */
function write(parent, name, text) {
  const element = part(parent, name);
  if (element && element.textContent !== text) element.textContent = text;
}

/** The time of day where the shop is, which the rest of the page shows too. @param {number} time */
function timeOfDay(time) {
  return new Intl.DateTimeFormat("en-GB", { timeStyle: "medium", timeZone: form().dataset.timeZone }).format(time);
}

// --- what is typed ---------------------------------------------------------------------------------------------------

/** @param {HTMLElement} row @returns {HTMLSelectElement|null} */
function unitOf(row) {
  return row.querySelector("select");
}

/** @param {HTMLElement} row */
function memoryOf(row) {
  return `swarna.fallbacks.${row.dataset.metal}`;
}

/** @param {Event} event */
function copy(event) {
  const button = event.target instanceof Element ? event.target.closest("[data-copy]") : null;
  const row = /** @type {HTMLElement|null|undefined} */ (button?.closest("[data-metal]"));
  const input = row?.querySelector('input[name$="-price"]');
  if (!row?.dataset.live || !(input instanceof HTMLInputElement)) return;
  input.value = convert(row.dataset.live, { unit: /** @type {Unit} */ (unitOf(row)?.value ?? "gram") });
  input.dispatchEvent(new Event("input", { bubbles: true }));
}

/** @param {Event} event */
function typed({ target }) {
  if (!(target instanceof HTMLInputElement || target instanceof HTMLSelectElement) || target.name === "reason") return;
  const row = /** @type {HTMLElement|null} */ (target.closest("[data-metal]"));
  const confirm = row?.querySelector('input[name$="-confirm"]');
  // Another price has yet to be checked.
  if (confirm instanceof HTMLInputElement && target !== confirm) confirm.checked = false;
  if (row && target === unitOf(row)) remember(memoryOf(row), target.value);
  clearTimeout(nextPreview);
  previewing?.abort();
  for (const each of rows()) part(each, "feedback")?.setAttribute("aria-busy", "true");
  nextPreview = setTimeout(preview, PAUSE);
}

async function preview() {
  const mine = new AbortController();
  previewing = mine;
  let isLate = false;
  const timeout = setTimeout(() => {
    isLate = true;
    mine.abort();
  }, PREVIEW_TIMEOUT);
  /** @type {Document|null} */
  let answered = null;
  try {
    const answer = await post("_preview", mine.signal);
    if (answer.ok && isHere(answer)) answered = parsed(await answer.text());
  } catch {
    // Without an answer there is no preview, as the page then says. Save makes the same checks.
  }
  clearTimeout(timeout);
  if (isLate || !mine.signal.aborted) showPreview(answered);
}

/** @param {Document|null} answered  Null: there is no preview. */
function showPreview(answered) {
  const focused = document.activeElement?.id;
  for (const row of rows()) {
    const feedback = part(row, "feedback");
    const fresh = answered?.querySelector(`[data-metal="${row.dataset.metal}"] [data-part="feedback"]`);
    const input = row.querySelector('input[name$="-price"]');
    if (fresh) feedback?.replaceChildren(...fresh.childNodes);
    else if (input instanceof HTMLInputElement && input.value) feedback?.replaceChildren("No preview: the server does not answer.");
    feedback?.removeAttribute("aria-busy");
  }
  const until = answered?.querySelector("[data-until]");
  if (until) form().querySelector("[data-until]")?.replaceChildren(...until.childNodes);
  if (focused && document.activeElement?.id !== focused) document.getElementById(focused)?.focus({ preventScroll: true });
}

// --- Save ------------------------------------------------------------------------------------------------------------

/** @param {SubmitEvent} event */
async function submit(event) {
  event.preventDefault();
  if (isSaving) return;
  isSaving = true;
  clearTimeout(nextPreview);
  previewing?.abort();
  const button = form().querySelector('[name="_save"]');
  if (button) button.textContent = "Saving…";
  say("");
  try {
    const answer = await post("_save", AbortSignal.timeout(SAVE_TIMEOUT));
    if (!isHere(answer)) sayToSignIn(answer.url);
    else if (answer.status === 403) sayToSignIn(location.href);
    else if (!answer.ok) say(`The server could not save now (${answer.status}). ${AGAIN}`);
    else show(parsed(await answer.text()), answer.redirected);
  } catch {
    say(`No answer came: the network may be away. ${AGAIN}`);
  }
  isSaving = false;
  refresh();
  const there = form().querySelector('[name="_save"]');
  if (there) there.textContent = "Save";
}

/** @param {string} button @param {AbortSignal} signal */
function post(button, signal) {
  const body = new FormData(form());
  body.set(button, "1");
  // As it is now: who signed in again, in another tab, has another.
  const [, token] = /(?:^|; )csrftoken=([^;]+)/.exec(document.cookie) ?? [];
  if (token) body.set("csrfmiddlewaretoken", token);
  return fetch(location.pathname, { method: "POST", body, signal });
}

/** False for an answer of the login, to which a user is led who is signed out. @param {Response} answer */
function isHere(answer) {
  return new URL(answer.url).pathname === location.pathname;
}

/** @param {string} html */
function parsed(html) {
  return new DOMParser().parseFromString(html, "text/html");
}

/** Shows the page that Save was answered with. @param {Document} answered @param {boolean} isSaved */
function show(answered, isSaved) {
  for (const id of ["fallbacks-messages", "fallbacks"]) {
    const fresh = answered.getElementById(id);
    if (fresh) document.getElementById(id)?.replaceWith(fresh);
  }
  begin();
  const place = isSaved ? "#fallbacks-messages" : ".errorlist";
  const first = document.querySelector(place);
  first?.scrollIntoView({ block: "center" });
  const near = isSaved ? first : (first?.closest("[data-metal], div") ?? form()).querySelector("input:not([type=hidden])");
  if (near instanceof HTMLElement) near.focus({ preventScroll: true });
}

/** @param {string} address  Of the page to sign in at. */
function sayToSignIn(address) {
  const link = document.createElement("a");
  Object.assign(link, { href: address, target: "_blank", rel: "noopener", textContent: "Sign in in another tab" });
  said.replaceChildren("You are signed out, or may not change this any more. ", link, `. ${AGAIN}`);
  said.scrollIntoView({ block: "center" });
}

/** @param {string} text */
function say(text) {
  said.textContent = text;
  if (text) said.scrollIntoView({ block: "center" });
}
