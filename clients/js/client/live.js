/**
 * The live prices of a server, and all that is shown of one of them, for elements and pages that share one connection.
 */

import { ageText, interruptionNotice, MARKS, markAtBest, marksShown, notices } from "./marks.js";
import { SwarnaClient } from "./swarna-client.js";
import { convertQuote } from "./units.js";

/** @typedef {import("./format.js").Formats} Formats */
/** @typedef {import("./marks.js").Mark} Mark */
/** @typedef {import("./marks.js").Notice} Notice */
/** @typedef {import("./rows.js").Row} Row */
/** @typedef {import("./units.js").Converted<import("./swarna-client.js").Quote>} Converted */

/**
 * @typedef {object} Line  All that is shown of a row, in words.
 * @property {string} name
 * @property {string} purity
 * @property {string} unit
 * @property {string} amount
 * @property {string} change  Against the previous close, in the same measure, and in percent; empty where there is none.
 * @property {"up"|"down"|"none"} direction
 * @property {Mark|"none"} trust  The most serious mark.
 * @property {string} marks
 * @property {string} age
 * @property {string} quotedAt  ISO 8601; empty if it cannot be read.
 * @property {string} origin
 * @property {string} why  The address of the page that explains the price; empty without one.
 */

const SECOND = 1_000;
/** A shorter interruption is shown by the marks alone. */
const SHORT_INTERRUPTION = 5 * SECOND;
/** A server that is full, or was sent too much, may accept the page after its rate window. */
const AFTER_REJECTION = 65 * SECOND;
const ARROWS = { down: "▼ ", none: "", up: "▲ " };

/** The prices of a server, for as long as anything shows them. All metals: so all clients of the server are in step. */
export class LivePrices {
  #client;
  #root;
  /** @type {Set<() => void>} */
  #shown = new Set();
  /** @type {ReturnType<typeof setInterval>|undefined} */
  #clock;
  /** @type {ReturnType<typeof setTimeout>|undefined} */
  #nextTry;
  // By the steady clock, since the reader's wall clock may be set back.
  #connectedUntil = performance.now();
  /** @type {number|null} */
  #lastUpdate = null;
  #currency = "";
  #hasBegun = false;

  /**
   * @param {string} root  Where the server's addresses begin.
   * @throws {SyntaxError} if that is no address.
   */
  constructor(root) {
    this.#root = new URL(root, globalThis.location?.href);
    // Never give up: a page on a wall has nobody to reload it.
    this.#client = new SwarnaClient(new URL("ws/prices/", this.#root), { maxReconnectAttempts: Infinity });
    this.#client.addEventListener("prices", ({ detail: { message } }) => {
      this.#currency = message.currency;
      this.#lastUpdate = Date.parse(message.timestamp);
      this.#show();
    });
    this.#client.addEventListener("status", () => this.#show());
    this.#client.addEventListener("connection", ({ detail: { state, why } }) => {
      clearTimeout(this.#nextTry);
      if (state === "closed" && why === "refused") this.#nextTry = setTimeout(() => this.#client.connect(), AFTER_REJECTION);
      this.#show();
    });
  }

  /** Where the server's addresses begin. */
  get root() {
    return this.#root;
  }

  /** The currency of the prices; empty until the first ones. */
  get currency() {
    return this.#currency;
  }

  /** True from the first prices on of which the server has said how they are to be taken. */
  get hasBegun() {
    return this.#hasBegun;
  }

  /** True for a metal that has a price. @param {import("./swarna-client.js").Metal} metal */
  has(metal) {
    return metal in this.#client.prices;
  }

  /**
   * Calls `show` now, with each news, and every second, as prices grow old.
   * @param {() => void} show
   * @param {AbortSignal} signal  Ends that. Soon after the last one, the connection is closed.
   * @throws {DOMException} SecurityError, in a page by https, for a server by http.
   */
  show(show, signal) {
    this.#client.connect();
    if (!this.#clock) {
      this.#connectedUntil = performance.now();
      this.#clock = setInterval(() => this.#show(), SECOND);
    }
    this.#shown.add(show);
    signal.addEventListener("abort", () => {
      this.#shown.delete(show);
      // A framework takes an element away and puts it back at once.
      setTimeout(() => this.#shown.size > 0 || this.#end(), SECOND);
    });
    show();
  }

  /**
   * What is to be read before the prices of rows are used, the most urgent first.
   * @param {Row[]} rows @param {Formats} formats @returns {Notice[]}
   */
  notices(rows, formats) {
    const { prices, serverTime, status } = this.#client;
    const metals = [...new Set(rows.map(({ metal }) => metal))];
    return notices(
      {
        status,
        quotes: metals.map((metal) => [metal, prices[metal] ?? null]),
        areAll: false,
        now: serverTime,
        interruption: this.#interruption(formats),
      },
      formats,
    );
  }

  /** @param {Formats} formats @returns {Notice|null} */
  #interruption(formats) {
    const { state, why } = this.#client.connection;
    if (state !== "closed" && performance.now() - this.#connectedUntil < SHORT_INTERRUPTION) return null;
    // Where nobody can sign in, that is no advice.
    return interruptionNotice({ state }, this.#lastUpdate, why === "restart", formats);
  }

  /** All that is shown of a row now, also while there is no price of it. @param {Row} row @param {Formats} formats @returns {Line} */
  line({ metal, purity, unit }, formats) {
    const { connected, position, prices, serverTime, status } = this.#client;
    const quote = prices[metal] ?? null;
    const marks = marksShown(quote, connected, markAtBest(status, metal));
    return {
      ...{ name: formats.metal(metal), purity: formats.purity(metal, purity), unit: formats.per(unit) },
      ...figures(quote && convertQuote(quote, { unit, purity }), formats, this.#currency),
      trust: marks[0] ?? "none",
      marks: quote || !this.#hasBegun ? marks.map((mark) => formats._(MARKS[mark])).join(" · ") : formats._("No price"),
      age: quote ? ageText(quote, marks[0], serverTime, formats) : this.#hasBegun ? "" : formats._("Waiting for a price"),
      quotedAt: quote && !Number.isNaN(Date.parse(quote.timestamp)) ? quote.timestamp : "",
      origin: quote?.source ? formats.origin(quote) : "",
      why: quote && position ? new URL(`why/${position.seq}/#${metal}`, this.#root).href : "",
    };
  }

  #show() {
    const { connected, prices, status } = this.#client;
    if (connected) this.#connectedUntil = performance.now();
    this.#hasBegun ||= status !== null && Object.keys(prices).length > 0;
    for (const show of [...this.#shown]) show();
  }

  #end() {
    clearInterval(this.#clock);
    clearTimeout(this.#nextTry);
    this.#clock = undefined;
    this.#client.close();
  }
}

/** @param {Converted|null} quote @param {Formats} formats @param {string} currency */
function figures(quote, formats, currency) {
  const isCompared = quote?.previousClose != null;
  const direction = isCompared ? directionOf(Number(quote.change)) : "none";
  return {
    amount: formats.money(quote?.price, currency),
    change: isCompared
      ? `${ARROWS[direction]}${formats.difference(quote.change, quote.price)} (${formats.percent(quote.changePercent)})`
      : "",
    direction,
  };
}

/** @param {number} change @returns {Line["direction"]} */
function directionOf(change) {
  return change > 0 ? "up" : change < 0 ? "down" : "none";
}
