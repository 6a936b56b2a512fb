/**
 * Keeps the desk up to date: prices come by the stream, all else as a fragment of the page, which is fetched with each
 * update and every few seconds. Without this script the page works, and stands still.
 */

import { english } from "../client/format.js";
import { write } from "../client/dom.js";
import { MARKS, markAtBest, marksOf } from "../client/marks.js";
import { SwarnaClient } from "../client/swarna-client.js";

/** @typedef {import("../client/swarna-client.js").Metal} Metal */
/** @typedef {import("../client/swarna-client.js").Quote} Quote */

const SECOND = 1_000;
const FETCH_EVERY = 5 * SECOND;
/** However often prices change. */
const FETCH_AT_MOST_EVERY = SECOND;
const FETCH_TIMEOUT = 10 * SECOND;
/** The desk is not of now if it could not be fetched for so long. */
const LATE = FETCH_EVERY + FETCH_TIMEOUT;
/** A press that soon after the rows have moved, or the page has come, may be meant for another one. */
const ROWS_SETTLE = 0.7 * SECOND;
const NOTICE = 5 * SECOND;

const { age, amount, timeOfDay } = english;
const desk = /** @type {HTMLElement} */ (document.getElementById("desk"));
const connection = /** @type {HTMLElement} */ (document.getElementById("desk-connection"));
const actions = /** @type {HTMLFormElement} */ (document.getElementById("desk-actions"));
const title = document.title;
const client = new SwarnaClient(`${desk.dataset.root}ws/prices/`);

/** Each section as the server sent it last, by its id: the stream has changed its prices since. @type {Map<string, string>} */
const sent = new Map();
/** The time of the last fragment, by the steady clock and by the server's. */
let fetchedAt = performance.now();
/** When the page came into view: nothing is fetched before. */
let seenAt = fetchedAt;
let isOf = Date.now();
let movedAt = fetchedAt;
let noticedAt = -Infinity;
let isSubmitting = false;
let isFetching = false;
/** True if something has changed since the fragment that is on its way was requested. */
let isWanted = false;
/** @type {ReturnType<typeof setTimeout>|undefined} */
let nextFetch;

for (const section of sections(desk)) sent.set(section.id, section.outerHTML);
client.addEventListener("prices", () => {
  showPrices();
  fetchSoon();
});
client.addEventListener("status", showPrices);
client.addEventListener("connection", refresh);
document.addEventListener("visibilitychange", () => {
  seenAt = performance.now();
  fetchSoon();
});
actions.addEventListener("submit", guard);
client.connect();
setInterval(refresh, SECOND);
fetchSoon();

// --- the fragment ----------------------------------------------------------------------------------------------------

/** Fetches the fragment as soon as it may be, if the page is seen. */
function fetchSoon() {
  isWanted = isFetching;
  if (document.hidden || isFetching) return;
  clearTimeout(nextFetch);
  nextFetch = setTimeout(fetchNow, Math.max(0, fetchedAt + FETCH_AT_MOST_EVERY - performance.now()));
}

async function fetchNow() {
  isFetching = true;
  try {
    const signal = AbortSignal.timeout(FETCH_TIMEOUT);
    const answer = await fetch(desk.dataset.fragment ?? "", { redirect: "manual", signal });
    // The login has ended, or its user is no longer staff: the page leads to the login.
    if (answer.type === "opaqueredirect") location.reload();
    else if (answer.ok) take(await answer.text());
  } catch {
    // The network is away, or the server: the next one comes, and until then the page says how old it is.
  } finally {
    isFetching = false;
    if (isWanted) fetchSoon();
    else if (!document.hidden) nextFetch = setTimeout(fetchNow, FETCH_EVERY);
  }
}

/** @param {string} html */
function take(html) {
  const fragment = new DOMParser().parseFromString(html, "text/html");
  const fresh = [...sections(fragment)];
  const there = [...sections(desk)];
  if (fresh.map(({ id }) => id).join() !== there.map(({ id }) => id).join()) {
    location.reload(); // parts have come or gone, with a permission or another version
    return;
  }
  fetchedAt = performance.now();
  isOf = client.serverTime;
  const rows = rowsOf(desk);
  fresh.forEach((section, number) => {
    // A button that is being pressed stays where it is; its section comes with the next fragment.
    if (sent.get(section.id) === section.outerHTML || there[number].querySelector(":active")) return;
    sent.set(section.id, section.outerHTML);
    const focused = document.activeElement;
    const hadFocus = focused !== null && there[number].contains(focused);
    there[number].replaceWith(section);
    if (hadFocus && focused.id) document.getElementById(focused.id)?.focus({ preventScroll: true });
  });
  if (rowsOf(desk) !== rows) movedAt = performance.now();
  showPrices();
}

/** @param {ParentNode} parent @returns {NodeListOf<HTMLElement>} */
function sections(parent) {
  return parent.querySelectorAll("[data-section]");
}

/** The buttons of the desk in their order. @param {ParentNode} parent */
function rowsOf(parent) {
  return [...parent.querySelectorAll("button")].map(({ id }) => id).join();
}

/** Lets no press through that may be meant for another row, nor a second one. @param {SubmitEvent} event */
function guard(event) {
  if (isSubmitting) {
    event.preventDefault();
  } else if (performance.now() - movedAt < ROWS_SETTLE) {
    event.preventDefault();
    noticedAt = performance.now();
    refresh();
  } else {
    isSubmitting = true;
  }
}

// --- prices, and what depends on the time ----------------------------------------------------------------------------

function showPrices() {
  if (client.connected && client.status) {
    for (const card of cards()) {
      const quote = client.prices[/** @type {Metal} */ (card.dataset.metal)];
      if (quote) show(card, quote, client.position?.seq);
    }
  }
  refresh();
}

/** @param {HTMLElement} card @param {Quote} quote @param {number} [seq] */
function show(card, quote, seq) {
  const mark = marksOf(quote)[0] ?? markAtBest(client.status, /** @type {Metal} */ (card.dataset.metal));
  if (!mark) return; // without a status nobody knows: the server's words stand
  card.dataset.mark = mark;
  put(card, "mark", MARKS[mark]);
  put(card, "price", amount(quote.price));
  put(card, "source", quote.source);
  const time = part(card, "age");
  if (time instanceof HTMLTimeElement) time.dateTime = quote.timestamp;
  if (seq) part(card, "why")?.setAttribute("href", `${desk.dataset.root}why/${seq}/#${card.dataset.metal}`);
}

function refresh() {
  for (const card of cards()) {
    const time = part(card, "age");
    // Until the server's clock is known the server's own words stand: this device's may be wrong.
    if (time instanceof HTMLTimeElement && client.isTimed) write(time, age(Date.parse(time.dateTime), client.serverTime));
  }
  const isLate = performance.now() - Math.max(fetchedAt, seenAt) > LATE && !document.hidden;
  desk.toggleAttribute("data-late", isLate);
  write(connection, connectionText(isLate)); // screen readers speak each change
  const waiting = desk.querySelectorAll(".desk-waiting .desk-row[id]").length;
  document.title = waiting ? `(${waiting}) ${title}` : title;
}

/** @param {boolean} isLate */
function connectionText(isLate) {
  if (isLate) return `Not connected: this is of ${timeOfDay(isOf)}. Nothing here is of now.`;
  if (performance.now() - noticedAt < NOTICE) return "The rows have just changed: look again, and press again.";
  const { state, attempt } = client.connection;
  if (state === "open") return "Live";
  if (state === "connecting" && attempt === 0) return "Connecting…";
  return "Prices come every few seconds: the stream is not connected.";
}

/** @returns {NodeListOf<HTMLElement>} */
function cards() {
  return desk.querySelectorAll("[data-metal]");
}

/** @param {HTMLElement} card @param {string} name */
function part(card, name) {
  return card.querySelector(`[data-part="${name}"]`);
}

/** @param {HTMLElement} card @param {string} name @param {string} text */
function put(card, name, text) {
  const element = part(card, name);
  if (element) write(element, text);
}
