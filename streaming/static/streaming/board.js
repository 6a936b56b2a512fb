/**
 * The board at `/`: live prices of the metals that the reader picks. It shows of each price, at any moment, its source, its
 * age, and whether it is kept up to date.
 */

import * as format from "../client/format.js";
import { connectionText, interruptionNotice, markAtBest, marketText, notices } from "../client/marks.js";
import { SwarnaClient } from "../client/swarna-client.js";
import { convert } from "../client/units.js";
import { Card, write } from "./board-card.js";
import { recall, remember } from "./board-memory.js";

/** @typedef {import("../client/swarna-client.js").Metal} Metal */
/** @typedef {import("../client/swarna-client.js").Move} Move */
/** @typedef {import("../client/marks.js").Notice} Notice */

const SECOND = 1_000;
/** A shorter interruption is shown by the indicator and the cards, but not in a notice. */
const SHORT_INTERRUPTION = 5 * SECOND;
/** A longer restart than this is shown as a lost connection. */
const LONG_RESTART = 60 * SECOND;
const MOVES_LISTED = 5;
/** A server that is full, or was sent too much, may accept the board after its rate window. */
const AFTER_REJECTION = 65 * SECOND;
const PICK = "swarna.metals";

const page = /** @type {{card: HTMLTemplateElement} & Record<string, HTMLElement>} */ (
  Object.fromEntries([...document.querySelectorAll("[id]")].map((element) => [element.id, element]))
);
/** @type {Record<Metal, string>}  The listed metals' ISO 4217 codes, in staff's order. */
const symbols = JSON.parse(page.symbols.textContent);
const metals = /** @type {Metal[]} */ (Object.keys(symbols));
const cards = new Map(metals.map((metal) => [metal, new Card(metal, symbols[metal], page.card, showMoves)]));
const picked = new Set(rememberedPick());
// Never give up: a board on a wall has nobody to press a button.
const client = new SwarnaClient("/ws/prices/", { maxReconnectAttempts: Infinity });

/** @type {[change: Move, publishedAt: number][]}  The newest first. */
const moves = [];
/** @type {number|null} */
let lastUpdate = null;
// By the steady clock, since the reader's wall clock may be set back.
let connectedUntil = performance.now();
let restartsUntil = 0;
let retryAt = 0;
/** @type {ReturnType<typeof setTimeout>|undefined} */
let nextTry;

page.prices.replaceChildren(...[...cards.values()].map((card) => card.element));
page.picker.append(...metals.map(pickerOption));
showPicked();
for (const card of cards.values()) card.show(null);
page.reconnect.addEventListener("click", () => client.connect());
client.addEventListener("prices", ({ detail }) => showPrices(detail));
client.addEventListener("status", refresh);
client.addEventListener("transport", refresh);
client.addEventListener("connection", ({ detail }) => {
  const { state, why, delay = 0 } = detail;
  clearTimeout(nextTry);
  if (state === "closed" && why === "refused") nextTry = setTimeout(() => client.connect(), AFTER_REJECTION);
  if (state === "waiting") retryAt = performance.now() + delay;
  if (why === "restart") restartsUntil = retryAt + Math.min(SHORT_INTERRUPTION, LONG_RESTART - delay);
  refresh();
});
client.subscribe([...picked]);
client.connect();
setInterval(refresh, SECOND);

/** @param {import("../client/swarna-client.js").Prices} update */
function showPrices({ data, changes, message }) {
  const publishedAt = Date.parse(message.timestamp);
  lastUpdate = publishedAt;
  for (const [metal, card] of cards) card.show(data[metal] ?? null, message.currency, client.position?.seq);
  if (changes.length) {
    for (const change of changes) moves.unshift([change, publishedAt]);
    moves.length = Math.min(moves.length, MOVES_LISTED);
    showMoves();
  }
  refresh();
}

/** Shows anew what depends on the time or the connection. */
function refresh() {
  if (client.connected) connectedUntil = performance.now();
  for (const [metal, card] of cards) {
    card.refresh(client.serverTime, client.connected, markAtBest(client.status, metal));
  }
  showConnection(client.connection);
  write(page.market, marketText(client.status, client.serverTime));
  showNotices(
    notices({
      status: client.status,
      quotes: [...picked].map((metal) => [metal, cards.get(metal)?.quote ?? null]),
      areAll: picked.size === metals.length,
      now: client.serverTime,
      interruption: interruption(),
    }),
  );
}

// --- the connection --------------------------------------------------------------------------------------------------

/** @param {typeof client.connection} connection */
function showConnection(connection) {
  page.connection.dataset.state = connection.state;
  page.reconnect.hidden = !["waiting", "closed"].includes(connection.state);
  write(page.connectiontext, connectionText(connection, client.transport, retryAt - performance.now()));
}

// --- notices: read before a price is used ----------------------------------------------------------------------------

/** @returns {Notice|null} */
function interruption() {
  const now = performance.now();
  if (client.connection.state !== "closed" && now - connectedUntil < SHORT_INTERRUPTION) return null;
  return interruptionNotice(client.connection, lastUpdate, now < restartsUntil);
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
  page.moves.replaceChildren(...moves.map(([change, at]) => moveItem(change, at)));
  page.nomoves.hidden = moves.length > 0;
}

/** @param {Move} move @param {number} at */
function moveItem({ metal, oldPrice, newPrice, changePercent, direction }, at) {
  const arrow = element("span", "arrow", direction === "down" ? "▼" : "▲");
  arrow.ariaHidden = "true";
  const shown = (/** @type {number} */ price) => format.amount(convert(price, cards.get(metal)?.measure));
  const time = element("time", "", format.timeOfDay(at));
  time.dateTime = new Date(at).toISOString();
  const item = element(
    "li",
    "move",
    time,
    element("span", "move-metal", format.capitalised(metal)),
    element("span", "move-percent", arrow, ` ${format.percent(changePercent)}`),
    element("span", "move-prices", `${shown(oldPrice)} → ${shown(newPrice)}`),
  );
  item.dataset.direction = direction;
  return item;
}

// --- the picked metals -----------------------------------------------------------------------------------------------

/** @param {Metal} metal */
function pickerOption(metal) {
  const box = element("input", "");
  box.type = "checkbox";
  box.name = metal;
  box.checked = picked.has(metal);
  box.addEventListener("change", () => pick(metal, box.checked));
  return element("label", "option", box, format.capitalised(metal));
}

/** @param {Metal} metal @param {boolean} wanted */
function pick(metal, wanted) {
  if (wanted) {
    picked.add(metal);
    client.subscribe([metal]);
  } else {
    picked.delete(metal);
    client.unsubscribe([metal]);
    // Picked again, it waits for a new price rather than show an old one.
    cards.get(metal)?.show(null);
  }
  showPicked();
  remember(PICK, [...picked].join(" "));
  refresh();
}

function showPicked() {
  for (const [metal, card] of cards) card.element.hidden = !picked.has(metal);
  page.nometals.hidden = picked.size > 0;
}

/** The metals picked last time that are still listed; all if there are none. */
function rememberedPick() {
  const remembered = /** @type {Metal[]} */ ((recall(PICK) ?? "").split(" ")).filter((metal) => metals.includes(metal));
  return remembered.length ? remembered : metals;
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
