/**
 * The board at `/`: live prices of the metals that the reader picks. It shows of each price, at any moment, its source, its
 * age, and whether it is kept up to date.
 */

import { Card, write } from "./board-card.js";
import * as format from "./board-format.js";
import { recall, remember } from "./board-memory.js";
import { SwarnaClient } from "./swarna-client.js";
import { convert } from "./units.js";

/** @typedef {import("./swarna-client.js").Metal} Metal */
/** @typedef {import("./swarna-client.js").Move} Move */
/** @typedef {[tone: string, headline: string, text: string]} Notice */

const SECOND = 1_000;
/** A shorter interruption is shown by the indicator and the cards, but not in a notice. */
const SHORT_INTERRUPTION = 5 * SECOND;
/** A longer restart than this is shown as a lost connection. */
const LONG_RESTART = 60 * SECOND;
const MOVES_LISTED = 5;
/** A server that is full, or was sent too much, may accept the board after its rate window. */
const AFTER_REJECTION = 65 * SECOND;
const PICK = "swarna.metals";
/** What the indicator adds where WebSocket is blocked. */
const BY = { websocket: "", sse: " by events", poll: " by polling" };
const EXAMPLE =
  "No source has given these prices yet. They are old examples that came with the installation, not set by staff: " +
  "do not price sales by them.";

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

/** @param {import("./swarna-client.js").Prices} update */
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
  for (const [metal, card] of cards) card.refresh(client.serverTime, client.connected, markAtBest(metal));
  showConnection(client.connection);
  write(page.market, marketText(client.status));
  showNotices(notices());
}

// --- the market ------------------------------------------------------------------------------------------------------

/** @param {typeof client.status} status */
function marketText(status) {
  if (!status?.market) return "";
  const [now, then] = status.market === "open" ? ["Market open", "closes"] : ["Market closed", "opens"];
  if (!status.nextChange) return now;
  return `${now} · ${then} ${format.weekdayAndTime(Date.parse(status.nextChange), client.serverTime)}`;
}

/** @returns {Notice} */
function closedNotice() {
  const nextChange = client.status?.nextChange;
  const until = nextChange ? format.weekdayAndTime(Date.parse(nextChange), client.serverTime) : "trading resumes";
  return ["plain", "Market closed.", `Nothing is traded, so prices stand still until ${until}.`];
}

// --- the connection --------------------------------------------------------------------------------------------------

/** @param {typeof client.connection} connection */
function showConnection(connection) {
  page.connection.dataset.state = connection.state;
  page.reconnect.hidden = !["waiting", "closed"].includes(connection.state);
  write(page.connectiontext, connectionText(connection));
}

/** @param {typeof client.connection} connection */
function connectionText({ state, reason, why }) {
  switch (state) {
    case "open":
      return `Connected${BY[client.transport ?? "websocket"]}`;
    case "waiting": {
      const seconds = Math.max(1, Math.ceil((retryAt - performance.now()) / SECOND));
      return why === "restart" ? `Restarting, back in ${seconds} s` : `Reconnecting in ${seconds} s`;
    }
    case "closed":
      return `Offline: ${reason || "the connection was lost"}`;
    default:
      return "Connecting…";
  }
}

// --- notices: read before a price is used ----------------------------------------------------------------------------

/** @returns {Notice[]}  The most urgent first. */
function notices() {
  const all = [
    interruption(),
    client.status?.feed === "down" ? ["danger", "No prices.", "No source has answered yet."] : null,
    marked("example", "danger", EXAMPLE),
    marked("fallback", "warning", "No live source answers. Staff set these prices: do not price sales by them."),
    marked("simulated", "warning", "A made-up market for trying things out: do not price sales by it."),
    marked("stale", "warning", "The source has not confirmed these prices for a while: do not price sales by them."),
    marketClosed() ? closedNotice() : null,
  ];
  return /** @type {Notice[]} */ (all.filter(Boolean));
}

/** Returns true where prices stand because the market is closed; a simulated market never closes. */
function marketClosed() {
  return client.status?.market === "closed" && client.status.feed !== "simulated";
}

/**
 * The mark of a metal's price that needs no other: `close` until the first price after the opening, else `live`; null
 * until the first status, which comes after the first prices. A price that the server does not have, since it has lost
 * its database, is only the last known.
 * @param {Metal} metal
 */
function markAtBest(metal) {
  const { status } = client;
  if (!status) return null;
  if (status.metals && !(metal in status.metals)) return "unconnected";
  return status.market === "closed" || status.metals?.[metal] === "stale" ? "close" : "live";
}

/** @returns {Notice|null} */
function interruption() {
  const { state, why } = client.connection;
  const mends = state !== "closed";
  if (mends && performance.now() - connectedUntil < SHORT_INTERRUPTION) return null;
  const text = lastUpdate
    ? `These are the last prices, from ${format.timeOfDay(lastUpdate)}: do not price sales by them.`
    : "No prices have come yet.";
  if (mends && performance.now() < restartsUntil) {
    return ["plain", "The server is restarting.", `New prices follow soon. ${text}`];
  }
  if (why === "unauthorized") return ["danger", "Not signed in.", `Sign in, then press Reconnect. ${text}`];
  return ["danger", "Not connected.", text];
}

/** @param {import("./board-card.js").Mark} mark @param {string} tone @param {string} text @returns {Notice|null} */
function marked(mark, tone, text) {
  const concerned = [...picked].filter((metal) => cards.get(metal)?.marks.includes(mark));
  if (!concerned.length) return null;
  const which = concerned.length === metals.length ? "all metals" : format.metalNames(concerned);
  return [tone, `${format.capitalised(mark)}: ${which}.`, text];
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
