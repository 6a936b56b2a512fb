/**
 * The words of pages about a price, the market and their connection: labels, and notices that are to be read before a price is
 * used. Pure, and the same on a board, a metal's page, a screen and in a widget: they never disagree about one price.
 */

import { N_ } from "./words.js";

/** @typedef {import("./format.js").Formats} Formats */
/** @typedef {import("./swarna-client.js").Connection} Connection */
/** @typedef {import("./swarna-client.js").Metal} Metal */
/** @typedef {import("./swarna-client.js").Quote} Quote */
/** @typedef {import("./swarna-client.js").Status} Status */
/** @typedef {import("./swarna-client.js").Transport} Transport */
/** @typedef {keyof typeof MARKS} Mark */
/** @typedef {"plain"|"warning"|"danger"} Tone */
/** @typedef {[tone: Tone, headline: string, text: string]} Notice */

/** Labels of a price, in English, the most serious first; a card carries those that apply. */
export const MARKS = {
  unconnected: N_("Last known"),
  example: N_("Example"),
  fallback: N_("Fallback"),
  simulated: N_("Simulated"),
  stale: N_("Stale"),
  close: N_("Last close"),
  live: N_("Live"),
};

const SECOND = 1_000;
/** The words of the indicator where WebSocket is blocked, too. @type {Record<Transport, string>} */
const CONNECTED = { websocket: N_("Connected"), sse: N_("Connected by events"), poll: N_("Connected by polling") };
/** The reasons of a server that ends a connection, as its protocol says them; a network has others. @type {string[]} */
export const REASONS = [
  N_("Unauthorized"),
  N_("Server at capacity"),
  N_("Rate limit exceeded"),
  N_("Message too big"),
  N_("Internal error"),
];

/** @type {[mark: Mark, tone: Tone, text: string][]} */
const WARNINGS = [
  [
    "example",
    "danger",
    N_(
      "No source has given these prices yet. They are old examples that came with the installation, not set by staff: " +
        "do not price sales by them.",
    ),
  ],
  ["fallback", "warning", N_("No live source answers. Staff set these prices: do not price sales by them.")],
  ["simulated", "warning", N_("A made-up market for trying things out: do not price sales by it.")],
  ["stale", "warning", N_("The source has not confirmed these prices for a while: do not price sales by them.")],
];

// --- one price -------------------------------------------------------------------------------------------------------

/** The marks that a quote itself calls for: `example`, `fallback`, `simulated`, `stale`. @param {Quote|null} quote @returns {Mark[]} */
export function marksOf(quote) {
  if (!quote) return [];
  const { source, stale, example } = quote;
  // A fallback price is old by nature: to call it stale too would say nothing.
  if (!isOfTheMarket(quote)) return [example ? "example" : "fallback"];
  return /** @type {Mark[]} */ ([source === "simulated" && "simulated", stale && "stale"].filter(Boolean));
}

/** Returns true unless staff set the price: what the market did goes on in it. @param {Quote} quote */
export function isOfTheMarket({ source }) {
  return source !== "fallback";
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
 * The age of a shown price in words; empty if its time cannot be read.
 * @param {Quote} quote @param {Mark|undefined} mark  Its most serious one.
 * @param {number|null} now  By the server's clock; null while that is unknown, when no more is said than what it is of.
 * @param {Formats} format @param {number} earliest  Then it is not earlier than this, nor much later; Infinity if that is unknown, too.
 */
export function ageText(quote, mark, now, format, earliest) {
  const quotedAt = Date.parse(quote.timestamp);
  if (Number.isNaN(quotedAt)) return "";
  if (quote.example) return format.exampleOf(quotedAt);
  if (now === null) return format.asOf(quotedAt, earliest);
  return mark === "close" ? format.asOf(quotedAt, now) : format.age(quotedAt, now);
}

// --- market and connection -------------------------------------------------------------------------------------------

/** @param {Status|null} status @param {number} now  By the server's clock. @param {Formats} format */
export function marketText(status, now, format) {
  if (!status?.market) return "";
  const { _, weekdayAndTime } = format;
  const isOpen = status.market === "open";
  if (!status.nextChange) return isOpen ? _("Market open") : _("Market closed");
  const time = weekdayAndTime(Date.parse(status.nextChange), now);
  return isOpen ? _("Market open · closes {time}", { time }) : _("Market closed · opens {time}", { time });
}

/**
 * The state of the connection.
 * @param {Connection} connection
 * @param {Transport|null} transport
 * @param {number} untilRetry  Milliseconds until the next try, while one is waited for.
 * @param {Formats} format
 */
export function connectionText({ state, reason, why }, transport, untilRetry, { _, plural }) {
  switch (state) {
    case "open": {
      const by = transport ?? "websocket";
      return _(CONNECTED[by]);
    }
    case "waiting": {
      const seconds = Math.max(1, Math.ceil(untilRetry / SECOND));
      return why === "restart"
        ? plural("Restarting, back in {count} s", "Restarting, back in {count} s", seconds)
        : plural("Reconnecting in {count} s", "Reconnecting in {count} s", seconds);
    }
    case "closed":
      return _("Offline: {reason}", { reason: _(reason || N_("the connection was lost")) });
    default:
      return _("Connecting…");
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
 * @param {Formats} format
 * @returns {Notice[]}
 */
export function notices({ status, quotes, areAll, now, interruption }, format) {
  const { _, metalNames } = format;
  const marks = [...quotes].map(([metal, quote]) => /** @type {const} */ ([metal, marksOf(quote)]));
  /** @type {Notice[]} */
  const all = interruption ? [interruption] : [];
  if (status?.feed === "down") all.push(["danger", _("No prices."), _("No source has answered yet.")]);
  for (const [mark, tone, text] of WARNINGS) {
    const concerned = marks.filter(([, its]) => its.includes(mark)).map(([metal]) => metal);
    if (!concerned.length) continue;
    const metals = areAll && concerned.length === marks.length ? _("all metals") : metalNames(concerned);
    all.push([tone, _("{mark}: {metals}.", { mark: _(MARKS[mark]), metals }), _(text)]);
  }
  // A simulated market never closes.
  if (status?.market === "closed" && status.feed !== "simulated") all.push(closedNotice(status, now, format));
  return all;
}

/** @param {Status} status @param {number} now @param {Formats} format @returns {Notice} */
function closedNotice({ nextChange }, now, { _, weekdayAndTime }) {
  const text = nextChange
    ? _("Nothing is traded, so prices stand still until {time}.", { time: weekdayAndTime(Date.parse(nextChange), now) })
    : _("Nothing is traded, so prices stand still until trading resumes.");
  return ["plain", _("Market closed."), text];
}

/**
 * The notice of a connection that is lost.
 * @param {Pick<Connection, "state"|"why">} connection
 * @param {number|null} lastUpdate  When the shown prices were published; null for none.
 * @param {boolean} isRestarting  True while the server is expected back from a restart that it announced.
 * @param {Formats} format
 * @returns {Notice}
 */
export function interruptionNotice({ state, why }, lastUpdate, isRestarting, { _, dateAndTime }) {
  const text = lastUpdate
    ? _("These are the last prices, from {time}: do not price sales by them.", { time: dateAndTime(lastUpdate) })
    : _("No prices have come yet.");
  if (isRestarting && state !== "closed") {
    return ["plain", _("The server is restarting."), `${_("New prices follow soon.")} ${text}`];
  }
  if (why === "unauthorized") return ["danger", _("Not signed in."), `${_("Sign in, then press Reconnect.")} ${text}`];
  return ["danger", _("Not connected."), text];
}
