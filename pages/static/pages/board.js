/**
 * The board at `/`: live prices of the rows that the reader chose. The server wrote the page with all that it shows; this
 * script goes on from there. It shows of each price, at any moment, its source, its age, and whether it is kept up to date.
 */

import { ARROWS, each, write, writeTimes } from "../client/dom.js";
import { isOfTheMarket } from "../client/marks.js";
import { nameOf, written } from "../client/rows.js";
import { convert } from "../client/units.js";
import { Card } from "./board-card.js";
import { LivePage } from "./live-page.js";
import { elements, format } from "./page.js";
import { noteShown, remember, takeOlderChoice } from "./reader-choice.js";

/** @typedef {import("../client/rows.js").Row} Row */
/** @typedef {import("../client/swarna-client.js").Metal} Metal */
/** @typedef {import("../client/swarna-client.js").Move} Move */

/**
 * @typedef {object} Board  What the board has beside what each page knows.
 * @property {{[metal in Metal]?: [start: number, closes: number[]]}} sparklines  The market's closes of quarters of an hour in
 *   the last 24 hours of trading, and the beginning of the last quarter.
 * @property {(Move & {at: string})[]} moves  The newest first.
 */

const QUARTER = 15 * 60_000;
const MOVES_LISTED = 5;
const SPARKLINE_POINTS = 96;
/** A device that slept for longer has missed moves, and a part of the sparklines. */
const LONG_GAP = 30 * 60_000;
/** The time over which the pages that come back from such a gap, all at the market's opening, fetch what they missed. */
const RENEWAL_SPREAD = 30_000;
/** So often a page that stays open takes what no message says: the threshold of moves, which staff may change. */
const RENEW_EVERY = 60 * 60_000;
const TIMEOUT = 15_000;

/** @type {import("./live-page.js").State & Board} */
const state = JSON.parse(elements.state.textContent);
const { sparklines } = state;
const cardTemplate = /** @type {HTMLTemplateElement} */ (elements.card);
const live = new LivePage(state, elements, { metals: shownMetals, show, refresh });
const { client } = live;

/** @type {Card[]} */
let cards = [...elements.prices.children].map((element) => new Card(/** @type {HTMLElement} */ (element), format));
let { moves, quotes: drawn } = state;
let publishedAt = Date.parse(state.publishedAt ?? "");
/** @type {Metal[]} */
let subscribed = [];
/** @type {Promise<import("./board-editor.js").Editor>|undefined} */
let editor;

showQuotes();
elements.edit.addEventListener("click", edit);
elements.languages.addEventListener("click", ({ target }) => {
  if (target instanceof HTMLAnchorElement) remember({ lang: target.lang });
});
const older = takeOlderChoice(state.listed);
if (older) choose(older);
else {
  subscribe();
  // Another reader's browser remembers other rows, and prefers another language.
  writeAddress(new URLSearchParams(location.search).get("rows") ?? shownRows());
}
live.start();
setInterval(renew, RENEW_EVERY);

/** @param {import("../client/swarna-client.js").Prices} update */
function show({ changes, message }) {
  const at = message.timestamp;
  if (Date.parse(at) - publishedAt > LONG_GAP) setTimeout(renew, Math.random() * RENEWAL_SPREAD);
  publishedAt = Date.parse(at);
  prolongSparklines(publishedAt);
  showQuotes();
  if (elements.asof) write(elements.asof, format.dateAndTime(publishedAt));
  if (!changes.length) return;
  moves = [...changes.map((change) => ({ ...change, at })).reverse(), ...moves].slice(0, MOVES_LISTED);
  showMoves();
}

function showQuotes() {
  each(cards, (card) => {
    const { metal } = card.row;
    card.show(live.quotes[metal] ?? null, live.currency, live.receipt);
    card.draw(sparklines[metal]?.[1] ?? []);
  });
}

/** Takes moves, their threshold, and sparklines from the page as the server writes it now, which may have read them before the last ones. */
async function renew() {
  try {
    const answer = await fetch(location.href, { signal: AbortSignal.timeout?.(TIMEOUT) });
    const written = new DOMParser().parseFromString(await answer.text(), "text/html");
    /** @type {import("./live-page.js").State & Board} */
    const now = JSON.parse(written.getElementById("state")?.textContent ?? "");
    const until = Date.parse(now.moves[0]?.at ?? now.publishedAt ?? "");
    const later = moves.filter((move) => Date.parse(move.at) > until && !now.moves.some((each) => isSame(each, move)));
    moves = [...later, ...now.moves].slice(0, MOVES_LISTED);
    for (const [name, sparkline] of Object.entries(now.sparklines)) {
      const metal = /** @type {Metal} */ (name);
      if (sparkline[0] >= (sparklines[metal]?.[0] ?? 0)) sparklines[metal] = sparkline;
    }
    const title = written.getElementById("moves-title")?.textContent;
    if (title) write(elements["moves-title"], title);
    showMoves();
    showQuotes();
  } catch {
    // They stay as they were, and new ones come by the stream.
  }
}

/**
 * Returns true if two moves are the same one. Their times may differ: an update of several publications gives all of its
 * moves the time of the last.
 * @param {Move} one @param {Move} other
 */
function isSame(one, other) {
  return one.metal === other.metal && one.oldPrice === other.oldPrice && one.newPrice === other.newPrice;
}

/**
 * Adds the market's new prices of a moment to the sparklines. One that another metal's news bring again is none, nor one that
 * waits for its source: the server has no candle of it.
 * @param {number} at
 */
function prolongSparklines(at) {
  for (const [metal, sparkline] of Object.entries(sparklines)) {
    const quote = live.quotes[/** @type {Metal} */ (metal)];
    const before = drawn[/** @type {Metal} */ (metal)];
    const isNew = quote?.timestamp !== before?.timestamp || quote?.price !== before?.price;
    const start = at - (at % QUARTER);
    if (!quote || !isNew || quote.stale || !isOfTheMarket(quote) || start < sparkline[0]) continue;
    if (start > sparkline[0]) sparkline[1].push(quote.price);
    else sparkline[1][sparkline[1].length - 1] = quote.price;
    sparkline[0] = start;
    if (sparkline[1].length > SPARKLINE_POINTS) sparkline[1].shift();
  }
  drawn = live.quotes;
}

function refresh() {
  for (const card of cards) card.refresh(live);
  writeTimes(elements.moves, live, format.weekdayAndTime);
}

// --- significant moves -----------------------------------------------------------------------------------------------

function showMoves() {
  elements.moves.replaceChildren(...moves.map(moveItem));
  elements.nomoves.hidden = moves.length > 0;
}

/** @param {Move & {at: string}} move */
function moveItem({ metal, oldPrice, newPrice, changePercent, direction, at }) {
  const arrow = element("span", "arrow", ARROWS[direction]);
  arrow.setAttribute("aria-hidden", "true");
  const row = cards.find((card) => card.row.metal === metal)?.row;
  const shown = (/** @type {number} */ price) => format.amount(convert(price, row));
  const time = element("time", "", format.weekdayAndTime(Date.parse(at), live.now ?? Infinity));
  time.dateTime = at;
  const item = element(
    "li",
    "move",
    time,
    element("span", "move-metal", format.metal(metal)),
    element("span", "move-percent", arrow, ` ${format.percent(changePercent)}`),
    element("span", "move-prices", `${shown(oldPrice)} → ${shown(newPrice)}`),
  );
  item.dataset.direction = direction;
  return item;
}

// --- the rows --------------------------------------------------------------------------------------------------------

/** The metals of the rows, each once, in their order. */
function shownMetals() {
  return [...new Set(cards.map(({ row }) => row.metal))];
}

/** Shows other rows, remembers them, and writes them in the address. @param {readonly Row[]} rows */
function choose(rows) {
  const known = new Map(cards.map((card) => [nameOf(card.row), card]));
  const chosen = new Map(rows.map((row) => [nameOf(row), row]));
  cards = [...chosen].map(([name, row]) => known.get(name) ?? Card.of(row, cardTemplate, format));
  elements.prices.replaceChildren(...cards.map((card) => card.element));
  remember({ rows: shownRows() });
  writeAddress(shownRows());
  for (const link of elements.languages.querySelectorAll("a")) link.href = addressOf(shownRows(), link.lang);
  subscribe();
  showQuotes();
  showMoves();
  live.refresh();
}

/** Writes the rows and the page's language into the address, so that it shows others what it shows here. @param {string} rows */
function writeAddress(rows) {
  noteShown(shownRows());
  const { searchParams } = new URL(location.href);
  const language = searchParams.get("lang") ?? document.documentElement.lang;
  for (const name of ["rows", "lang"]) searchParams.delete(name);
  const others = searchParams.toString();
  history.replaceState(null, "", `${addressOf(rows, language)}${others && `&${others}`}${location.hash}`);
}

/** The board's address of some rows in a language. Colons and commas stay, for people to read. @param {string} rows @param {string} language */
function addressOf(rows, language) {
  const readable = encodeURIComponent(rows).replaceAll("%3A", ":").replaceAll("%2C", ",");
  return `?rows=${readable}&lang=${encodeURIComponent(language)}`;
}

function shownRows() {
  return written(cards.map(({ row }) => row));
}

/** Has the stream bring the prices of the rows, and no others. */
function subscribe() {
  const wanted = shownMetals();
  const added = wanted.filter((metal) => !subscribed.includes(metal));
  const dropped = subscribed.filter((metal) => !wanted.includes(metal));
  if (added.length) client.subscribe(added);
  if (dropped.length) client.unsubscribe(dropped);
  // Chosen again, they wait for a new price rather than show an old one.
  const kept = Object.entries(live.quotes).filter(([metal]) => !dropped.includes(/** @type {Metal} */ (metal)));
  live.quotes = Object.fromEntries(kept);
  subscribed = wanted;
}

/** Opens or closes the editor of the rows. */
async function edit() {
  const isOpen = elements.edit.getAttribute("aria-expanded") === "true";
  elements.edit.setAttribute("aria-expanded", String(!isOpen));
  elements.editor.hidden = isOpen;
  if (isOpen) return;
  editor ??= import("./board-editor.js").then(makeEditor);
  try {
    (await editor).focus();
  } catch {
    // Pressed again, it is tried again: the reader was offline, or the server has another version by now.
    editor = undefined;
    const failed = element("p", "empty", format._("The choice of rows could not be loaded: load the page again."));
    failed.role = "alert";
    elements.editor.replaceChildren(failed);
  }
}

/** @param {typeof import("./board-editor.js")} module */
function makeEditor({ Editor }) {
  elements.editor.replaceChildren();
  return new Editor(elements.editor, {
    rows: cards.map(({ row }) => row),
    listed: state.listed,
    currency: state.currency,
    format,
    chosen: choose,
  });
}

/**
 * @template {keyof HTMLElementTagNameMap} Name
 * @param {Name} name
 * @param {string} className
 * @param {(Node|string)[]} children
 */
function element(name, className, ...children) {
  const made = document.createElement(name);
  if (className) made.className = className;
  made.append(...children);
  return made;
}
