/**
 * What pages say of a price, of the market and of their connection: labels, and notices that are to be read before a price is
 * used. Pure, and the same on a board, a metal's page, a screen and in a widget: they never disagree about one price.
 */

import * as format from "./format.js";

/** @typedef {import("./swarna-client.js").Connection} Connection */
/** @typedef {import("./swarna-client.js").Metal} Metal */
/** @typedef {import("./swarna-client.js").Quote} Quote */
/** @typedef {import("./swarna-client.js").Status} Status */
/** @typedef {import("./swarna-client.js").Transport} Transport */
/** @typedef {keyof typeof MARKS} Mark */
/** @typedef {"plain"|"warning"|"danger"} Tone */
/** @typedef {[tone: Tone, headline: string, text: string]} Notice */

/** Labels of a price, the most serious first; a card carries those that apply. */
export const MARKS = {
  unconnected: "Last known",
  example: "Example",
  fallback: "Fallback",
  simulated: "Simulated",
  stale: "Stale",
  close: "Last close",
  live: "Live",
};

const SECOND = 1_000;
/** What the indicator adds where WebSocket is blocked. @type {Record<Transport, string>} */
const BY = { websocket: "", sse: " by events", poll: " by polling" };

/** @type {[mark: Mark, tone: Tone, text: string][]} */
const WARNINGS = [
  [
    "example",
    "danger",
    "No source has given these prices yet. They are old examples that came with the installation, not set by staff: " +
      "do not price sales by them.",
  ],
  ["fallback", "warning", "No live source answers. Staff set these prices: do not price sales by them."],
  ["simulated", "warning", "A made-up market for trying things out: do not price sales by it."],
  ["stale", "warning", "The source has not confirmed these prices for a while: do not price sales by them."],
];

// --- one price -------------------------------------------------------------------------------------------------------

/** The marks that a quote itself calls for: `example`, `fallback`, `simulated`, `stale`. @param {Quote|null} quote @returns {Mark[]} */
export function marksOf(quote) {
  if (!quote) return [];
  const { source, stale, example } = quote;
  // A fallback price is old by nature: to call it stale too would say nothing.
  if (source === "fallback") return [example ? "example" : "fallback"];
  return /** @type {Mark[]} */ ([source === "simulated" && "simulated", stale && "stale"].filter(Boolean));
}

/**
 * The mark of a metal's price that needs no other: `close` until the first price after the opening, else `live`; null
 * until the first status, which comes after the first prices. A price that the server does not have, since it has lost
 * its database, is only the last known.
 * @param {Status|null} status @param {Metal} metal @returns {Mark|null}
 */
export function markAtBest(status, metal) {
  if (!status) return null;
  if (status.metals && !(metal in status.metals)) return "unconnected";
  return status.market === "closed" || status.metals?.[metal] === "stale" ? "close" : "live";
}

/**
 * The marks that a shown price carries, the most serious first.
 * @param {Quote|null} quote @param {boolean} connected @param {Mark|null} atBest  Of `markAtBest`. @returns {Mark[]}
 */
export function marksShown(quote, connected, atBest) {
  if (!quote) return [];
  /** @type {Mark[]} */
  const marks = connected ? marksOf(quote) : ["unconnected", ...marksOf(quote)];
  if (marks.length) return marks;
  return atBest ? [atBest] : [];
}

/**
 * How old a shown price is, in words; empty if its time cannot be read.
 * @param {Quote} quote @param {Mark|undefined} mark  Its most serious one. @param {number} now  By the server's clock.
 */
export function ageText(quote, mark, now) {
  const quotedAt = Date.parse(quote.timestamp);
  if (Number.isNaN(quotedAt)) return "";
  if (quote.example) return format.exampleOf(quotedAt);
  return mark === "close" ? format.asOf(quotedAt, now) : format.age(quotedAt, now);
}

// --- market and connection -------------------------------------------------------------------------------------------

/** @param {Status|null} status @param {number} now  By the server's clock. */
export function marketText(status, now) {
  if (!status?.market) return "";
  const [current, then] = status.market === "open" ? ["Market open", "closes"] : ["Market closed", "opens"];
  return status.nextChange ? `${current} · ${then} ${format.weekdayAndTime(Date.parse(status.nextChange), now)}` : current;
}

/**
 * The state of the connection.
 * @param {Connection} connection
 * @param {Transport|null} transport
 * @param {number} untilRetry  Milliseconds until the next try, while one is waited for.
 */
export function connectionText({ state, reason, why }, transport, untilRetry) {
  switch (state) {
    case "open":
      return `Connected${BY[transport ?? "websocket"]}`;
    case "waiting": {
      const seconds = Math.max(1, Math.ceil(untilRetry / SECOND));
      return why === "restart" ? `Restarting, back in ${seconds} s` : `Reconnecting in ${seconds} s`;
    }
    case "closed":
      return `Offline: ${reason || "the connection was lost"}`;
    default:
      return "Connecting…";
  }
}

// --- notices: read before a price is used ----------------------------------------------------------------------------

/**
 * All notices about the prices of a page, the most urgent first.
 * @param {object} shown
 * @param {Status|null} shown.status
 * @param {Iterable<[Metal, Quote|null]>} shown.quotes  Those that the page shows.
 * @param {boolean} shown.areAll  True if these are of all metals that are listed.
 * @param {number} shown.now  By the server's clock.
 * @param {Notice|null} shown.interruption
 * @returns {Notice[]}
 */
export function notices({ status, quotes, areAll, now, interruption }) {
  const marks = [...quotes].map(([metal, quote]) => /** @type {const} */ ([metal, marksOf(quote)]));
  /** @type {Notice[]} */
  const all = interruption ? [interruption] : [];
  if (status?.feed === "down") all.push(["danger", "No prices.", "No source has answered yet."]);
  for (const [mark, tone, text] of WARNINGS) {
    const concerned = marks.filter(([, its]) => its.includes(mark)).map(([metal]) => metal);
    const which = areAll && concerned.length === marks.length ? "all metals" : format.metalNames(concerned);
    if (concerned.length) all.push([tone, `${MARKS[mark]}: ${which}.`, text]);
  }
  // A simulated market never closes.
  if (status?.market === "closed" && status.feed !== "simulated") all.push(closedNotice(status, now));
  return all;
}

/** @param {Status} status @param {number} now @returns {Notice} */
function closedNotice({ nextChange }, now) {
  const until = nextChange ? format.weekdayAndTime(Date.parse(nextChange), now) : "trading resumes";
  return ["plain", "Market closed.", `Nothing is traded, so prices stand still until ${until}.`];
}

/**
 * The notice of a connection that is lost.
 * @param {Connection} connection
 * @param {number|null} lastUpdate  When the shown prices were published; null for none.
 * @param {boolean} isRestarting  True while the server is expected back from a restart that it announced.
 * @returns {Notice}
 */
export function interruptionNotice({ state, why }, lastUpdate, isRestarting) {
  const text = lastUpdate
    ? `These are the last prices, from ${format.timeOfDay(lastUpdate)}: do not price sales by them.`
    : "No prices have come yet.";
  if (isRestarting && state !== "closed") return ["plain", "The server is restarting.", `New prices follow soon. ${text}`];
  if (why === "unauthorized") return ["danger", "Not signed in.", `Sign in, then press Reconnect. ${text}`];
  return ["danger", "Not connected.", text];
}
