/**
 * The board at `/`: live prices of the rows that the reader chose. The server wrote the page with all that it shows; this
 * script goes on from there. It shows of each price, at any moment, its source, its age, and whether it is kept up to date.
 */

import { ARROWS, each, write } from "../client/lines.js";
import { convert } from "../client/units.js";
import { Card, nameOf, rowOf } from "./board-card.js";
import { olderChoice, remember } from "./board-memory.js";
import { LivePage } from "./live.js";
import { format } from "./page.js";

/** @typedef {import("../client/swarna-client.js").Metal} Metal */
/** @typedef {import("../client/swarna-client.js").Move} Move */
/** @typedef {import("./board-card.js").Row} Row */

/**
 * @typedef {object} Board  What the board has beside what each page knows.
 * @property {string} usual  The rows of a board for which none were chosen.
 * @property {{[metal in Metal]?: [start: number, closes: number[]]}} lines  The closes of quarters of an hour, and the
 *   beginning of the last one.
 * @property {(Move & {at: string})[]} moves  The newest first.
 */

const QUARTER = 15 * 60_000;
const MOVES_LISTED = 5;
const LINE_POINTS = 96;
/** A device that slept for longer has missed moves, and a part of the lines of the day. */
const LONG_GAP = 30 * 60_000;
/** The time over which the pages that come back from such a gap, all at the market's opening, fetch what they missed. */
const RENEWAL_SPREAD = 30_000;

const page = /** @type {{card: HTMLTemplateElement, asof: HTMLTimeElement} & Record<string, HTMLElement>} */ (
  Object.fromEntries([...document.querySelectorAll("[id]")].map((element) => [element.id, element]))
);
/** @type {import("./live.js").State & Board} */
const state = JSON.parse(page.state.textContent);
const { lines } = state;
const live = new LivePage(state, page, { metals: shownMetals, show, refresh });
const { client } = live;

/** @type {Card[]} */
let cards = [...page.prices.children].map((element) => new Card(/** @type {HTMLElement} */ (element), format));
let { moves } = state;
let publishedAt = Date.parse(state.publishedAt ?? "");
/** @type {Metal[]} */
let subscribed = [];
/** @type {Promise<import("./board-editor.js").Editor>|undefined} */
let editor;

showQuotes();
page.edit.addEventListener("click", edit);
page.languages.addEventListener("click", ({ target }) => {
  if (target instanceof HTMLAnchorElement) remember({ lang: target.lang });
});
const older = olderChoice(state.listed);
if (older) choose(older);
else subscribe();
live.start();

/** @param {import("../client/swarna-client.js").Prices} update */
function show({ changes, message }) {
  const at = message.timestamp;
  if (Date.parse(at) - publishedAt > LONG_GAP) setTimeout(renew, Math.random() * RENEWAL_SPREAD);
  publishedAt = Date.parse(at);
  prolongLines(publishedAt);
  showQuotes();
  if (page.asof) write(page.asof, format.dateAndTime(publishedAt));
  if (!changes.length) return;
  moves = [...changes.map((change) => ({ ...change, at })).reverse(), ...moves].slice(0, MOVES_LISTED);
  showMoves();
}

function showQuotes() {
  each(cards, (card) => {
    const { metal } = card.row;
    card.show(live.quotes[metal] ?? null, live.currency, live.receipt);
    card.draw(lines[metal]?.[1] ?? []);
  });
}

/** Takes the moves and the lines of the day from the page as the server writes it now. */
async function renew() {
  try {
    const answer = await fetch(location.href);
    const written = new DOMParser().parseFromString(await answer.text(), "text/html");
    /** @type {Board} */
    const now = JSON.parse(written.getElementById("state")?.textContent ?? "");
    moves = now.moves;
    Object.assign(lines, now.lines);
    showMoves();
    showQuotes();
  } catch {
    // They stay as they were, and new ones come by the stream.
  }
}

/** Adds the prices of a moment to the lines of the day. @param {number} at */
function prolongLines(at) {
  for (const [metal, line] of Object.entries(lines)) {
    const quote = live.quotes[/** @type {Metal} */ (metal)];
    const start = at - (at % QUARTER);
    if (!quote || start < line[0]) continue;
    if (start > line[0]) line[1].push(quote.price);
    else line[1][line[1].length - 1] = quote.price;
    line[0] = start;
    if (line[1].length > LINE_POINTS) line[1].shift();
  }
}

/** @type {import("./live.js").Page["refresh"]} */
function refresh(now, isCurrent, atBest) {
  for (const card of cards) card.refresh(now, isCurrent, atBest(card.row.metal));
}

// --- significant moves -----------------------------------------------------------------------------------------------

function showMoves() {
  page.moves.replaceChildren(...moves.map(moveItem));
  page.nomoves.hidden = moves.length > 0;
}

/** @param {Move & {at: string}} move */
function moveItem({ metal, oldPrice, newPrice, changePercent, direction, at }) {
  const arrow = element("span", "arrow", ARROWS[direction]);
  arrow.ariaHidden = "true";
  const row = cards.find((card) => card.row.metal === metal)?.row;
  const shown = (/** @type {number} */ price) => format.amount(convert(price, row));
  const time = element("time", "", format.weekdayAndTime(Date.parse(at), client.serverTime));
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
  cards = [...chosen].map(([name, row]) => known.get(name) ?? Card.of(row, page.card, format));
  page.prices.replaceChildren(...cards.map((card) => card.element));
  const names = [...chosen.keys()].join(",");
  remember({ rows: names });
  const address = new URL(location.href);
  address.searchParams.delete("rows");
  const others = address.searchParams.toString();
  history.replaceState(null, "", `?rows=${names}${others && `&${others}`}`);
  subscribe();
  showQuotes();
  showMoves();
  live.refresh();
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
  const isOpen = page.edit.ariaExpanded === "true";
  page.edit.ariaExpanded = String(!isOpen);
  page.editor.hidden = isOpen;
  editor ??= import("./board-editor.js").then(
    ({ Editor }) =>
      new Editor(page.editor, {
        rows: cards.map(({ row }) => row),
        usual: state.usual.split(",").map(rowOf).filter(({ metal }) => state.listed.includes(metal)),
        listed: state.listed,
        format,
        chosen: choose,
      }),
  );
  if (!isOpen) (await editor).focus();
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
