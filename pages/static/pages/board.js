/**
 * The board at `/`: live prices of the rows that the reader chose. The server wrote the page with all that it shows; this
 * script goes on from there. It shows of each price, at any moment, its source, its age, and whether it is kept up to date.
 */

import { formats } from "../client/format.js";
import { connectionText, interruptionNotice, markAtBest, marketText, notices } from "../client/marks.js";
import { SwarnaClient } from "../client/swarna-client.js";
import { convert } from "../client/units.js";
import { wordsIn } from "../client/words.js";
import { Card, nameOf, rowOf, write } from "./board-card.js";
import { olderChoice, remember } from "./board-memory.js";

/** @typedef {import("../client/swarna-client.js").Metal} Metal */
/** @typedef {import("../client/swarna-client.js").Move} Move */
/** @typedef {import("../client/swarna-client.js").Quotes} Quotes */
/** @typedef {import("../client/swarna-client.js").Status} Status */
/** @typedef {import("../client/marks.js").Notice} Notice */
/** @typedef {import("./board-card.js").Row} Row */

/**
 * @typedef {object} State  All that the server knew as it wrote the page.
 * @property {string} epoch
 * @property {number} seq  0 before the first publication.
 * @property {string|null} publishedAt
 * @property {string} currency
 * @property {Quotes} quotes
 * @property {Status} status
 * @property {Metal[]} listed  In staff's order.
 * @property {string} usual  The rows of a board for which none were chosen.
 * @property {{[metal in Metal]?: [start: number, closes: number[]]}} lines  The closes of quarters of an hour, and the
 *   beginning of the last one.
 * @property {(Move & {at: string})[]} moves  The newest first.
 */

const SECOND = 1_000;
const QUARTER = 15 * 60 * SECOND;
/** A shorter interruption is shown by the indicator and the cards, but not in a notice. */
const SHORT_INTERRUPTION = 5 * SECOND;
/** A longer restart than this is shown as a lost connection. */
const LONG_RESTART = 60 * SECOND;
const MOVES_LISTED = 5;
const LINE_POINTS = 96;
/** A server that is full, or was sent too much, may accept the board after its rate window. */
const AFTER_REJECTION = 65 * SECOND;

const { lang, dataset: place } = document.documentElement;
const root = place.root ?? "/";
const format = formats(await wordsIn(lang), { locale: place.locale, timeZone: place.timeZone });
const page = /** @type {{card: HTMLTemplateElement, asof: HTMLTimeElement} & Record<string, HTMLElement>} */ (
  Object.fromEntries([...document.querySelectorAll("[id]")].map((element) => [element.id, element]))
);
/** @type {State} */
const state = JSON.parse(page.state.textContent);
const { lines } = state;
// Never give up: a board on a wall has nobody to press a button.
const client = new SwarnaClient(`${root}ws/prices/`, {
  maxReconnectAttempts: Infinity,
  position: state.seq ? { epoch: state.epoch, seq: state.seq } : null,
});

/** @type {Card[]} */
let cards = [...page.prices.children].map((element) => new Card(/** @type {HTMLElement} */ (element), format));
let { moves } = state;
let quotes = state.quotes;
let seq = state.seq;
let lastUpdate = state.publishedAt && Date.parse(state.publishedAt);
/** True while the page is as fresh as the server wrote it: until the stream says how it is, or does not come. */
let isNew = true;
// By the steady clock, since the reader's wall clock may be set back.
let connectedUntil = performance.now();
let restartsUntil = 0;
let retryAt = 0;
/** @type {ReturnType<typeof setTimeout>|undefined} */
let nextTry;
/** @type {Metal[]} */
let subscribed = [];
/** @type {Promise<import("./board-editor.js").Editor>|undefined} */
let editor;

showQuotes();
page.unstarted.remove();
page.reconnect.addEventListener("click", () => client.connect());
page.edit.addEventListener("click", edit);
page.languages.addEventListener("click", ({ target }) => {
  if (target instanceof HTMLAnchorElement) remember({ lang: target.lang });
});
client.addEventListener("prices", ({ detail }) => showPrices(detail));
client.addEventListener("status", refresh);
client.addEventListener("transport", refresh);
client.addEventListener("connection", ({ detail }) => {
  const { state: now, why, delay = 0 } = detail;
  clearTimeout(nextTry);
  if (now === "closed" && why === "refused") nextTry = setTimeout(() => client.connect(), AFTER_REJECTION);
  if (now === "waiting") retryAt = performance.now() + delay;
  if (why === "restart") restartsUntil = retryAt + Math.min(SHORT_INTERRUPTION, LONG_RESTART - delay);
  refresh();
});
const older = olderChoice(state.listed);
if (older) choose(older);
else subscribe();
client.connect();
setInterval(refresh, SECOND);

/** @param {import("../client/swarna-client.js").Prices} update */
function showPrices({ data, changes, message }) {
  lastUpdate = Date.parse(message.timestamp);
  quotes = data;
  seq = client.position?.seq ?? seq;
  state.currency = message.currency;
  prolongLines(lastUpdate);
  showQuotes();
  if (page.asof) write(page.asof, format.dateAndTime(lastUpdate));
  if (changes.length) {
    const at = message.timestamp;
    moves = [...changes.map((change) => ({ ...change, at })).reverse(), ...moves].slice(0, MOVES_LISTED);
    showMoves();
  }
  refresh();
}

function showQuotes() {
  for (const card of cards) {
    const { metal } = card.row;
    card.show(quotes[metal] ?? null, state.currency, seq ? `${root}why/${seq}/` : null);
    card.draw(lines[metal]?.[1] ?? []);
  }
}

/** Adds the prices of a moment to the lines of the day. @param {number} at */
function prolongLines(at) {
  for (const [metal, line] of Object.entries(lines)) {
    const quote = quotes[/** @type {Metal} */ (metal)];
    const start = at - (at % QUARTER);
    if (!quote || start < line[0]) continue;
    if (start > line[0]) line[1].push(quote.price);
    else line[1][line[1].length - 1] = quote.price;
    line[0] = start;
    if (line[1].length > LINE_POINTS) line[1].shift();
  }
}

/** Shows anew what depends on the time or the connection. */
function refresh() {
  const { connected } = client;
  if (connected) connectedUntil = performance.now();
  const isLate = performance.now() - connectedUntil >= SHORT_INTERRUPTION;
  if (client.status || isLate || ["waiting", "closed"].includes(client.connection.state)) isNew = false;
  const status = client.status ?? (isNew ? state.status : null);
  const time = client.isTimed ? client.serverTime : null;
  for (const card of cards) {
    const { metal } = card.row;
    // The page's status says nothing of a metal that had no price then.
    const isTold = client.status || metal in state.status.metals;
    card.refresh(time, connected || isNew, isTold ? markAtBest(status, metal) : null);
  }
  showConnection(client.connection);
  write(page.market, marketText(status, client.serverTime, format));
  const metals = shownMetals();
  showNotices(
    notices(
      {
        status,
        quotes: metals.map((metal) => [metal, quotes[metal] ?? null]),
        areAll: metals.length === state.listed.length,
        now: client.serverTime,
        interruption: isNew ? null : interruption(),
      },
      format,
    ),
  );
}

// --- the connection --------------------------------------------------------------------------------------------------

/** @param {typeof client.connection} connection */
function showConnection(connection) {
  page.connection.dataset.state = connection.state;
  page.reconnect.hidden = !["waiting", "closed"].includes(connection.state);
  write(page.connectiontext, connectionText(connection, client.transport, retryAt - performance.now(), format));
}

/** @returns {Notice|null} */
function interruption() {
  const now = performance.now();
  if (client.connection.state !== "closed" && now - connectedUntil < SHORT_INTERRUPTION) return null;
  return interruptionNotice(client.connection, lastUpdate || null, now < restartsUntil, format);
}

/** Screen readers speak each change of the notices, so they change only when their text does. @param {Notice[]} wanted */
function showNotices(wanted) {
  const said = JSON.stringify(wanted);
  if (page.notices.dataset.said === said) return;
  page.notices.dataset.said = said;
  page.notices.replaceChildren(...wanted.map(noticeItem));
}

/** @param {Notice} notice */
function noticeItem([tone, headline, text]) {
  const item = element("p", "notice", element("strong", "", headline), ` ${text}`);
  item.dataset.tone = tone;
  return item;
}

// --- significant moves -----------------------------------------------------------------------------------------------

function showMoves() {
  page.moves.replaceChildren(...moves.map(moveItem));
  page.nomoves.hidden = moves.length > 0;
}

/** @param {Move & {at: string}} move */
function moveItem({ metal, oldPrice, newPrice, changePercent, direction, at }) {
  const arrow = element("span", "arrow", direction === "down" ? "▼" : "▲");
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
  refresh();
}

/** Has the stream bring the prices of the rows, and no others. */
function subscribe() {
  const wanted = shownMetals();
  const added = wanted.filter((metal) => !subscribed.includes(metal));
  const dropped = subscribed.filter((metal) => !wanted.includes(metal));
  if (added.length) client.subscribe(added);
  if (dropped.length) client.unsubscribe(dropped);
  // Chosen again, they wait for a new price rather than show an old one.
  quotes = Object.fromEntries(Object.entries(quotes).filter(([metal]) => !dropped.includes(/** @type {Metal} */ (metal))));
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
