/**
 * What every page of live prices does: it goes on from the state in which the server wrote it, keeps one client connected,
 * and says at any moment how it is connected, what the market does, and what is to be read before a price is used.
 */

import { connectionText, interruptionNotice, markAtBest, marketText, notices } from "../client/marks.js";
import { SwarnaClient } from "../client/swarna-client.js";
import { write } from "./board-card.js";
import { format, release, root } from "./page.js";

/** @typedef {import("../client/marks.js").Mark} Mark */
/** @typedef {import("../client/marks.js").Notice} Notice */
/** @typedef {import("../client/swarna-client.js").Metal} Metal */
/** @typedef {import("../client/swarna-client.js").Options} Options */
/** @typedef {import("../client/swarna-client.js").Prices} Prices */
/** @typedef {import("../client/swarna-client.js").Quote} Quote */
/** @typedef {import("../client/swarna-client.js").Quotes} Quotes */
/** @typedef {import("../client/swarna-client.js").Status} Status */

/**
 * @typedef {object} State  All that the server knew as it wrote the page.
 * @property {string} epoch
 * @property {number} seq  0 before the first publication.
 * @property {string|null} publishedAt
 * @property {string} currency
 * @property {Quotes} quotes
 * @property {Status} status
 * @property {Metal[]} listed  In staff's order.
 */

/**
 * @typedef {object} Page  A page's own part.
 * @property {() => Metal[]} metals  Those that it shows.
 * @property {(update: Prices) => void} show  Shows `quotes`, as an update has brought them.
 * @property {(now: number|null, isCurrent: boolean, atBest: (metal: Metal) => Mark|null) => void} refresh  Shows, at each
 *   second and change, how old prices are by the server's clock, null while that is unknown; whether they are kept up to
 *   date; and the mark of a metal's price that has no other.
 */

const SECOND = 1_000;
/** A shorter interruption is shown by the indicator and the prices, but not in a notice. */
const SHORT_INTERRUPTION = 5 * SECOND;
/** A longer restart than this is shown as a lost connection. */
const LONG_RESTART = 60 * SECOND;
/** A server that is full, or was sent too much, may accept the page after its rate window. */
const AFTER_REJECTION = 65 * SECOND;

export class LivePage {
  /** @type {SwarnaClient} */
  client;
  /** @type {Quotes}  Those that are shown, as on the wire. */
  quotes;
  /** @type {number}  The position as of which they are; 0 before the first publication. */
  seq;
  /** @type {string} */
  currency;
  #parts;
  #state;
  #page;
  /** @type {number|null} */
  #lastUpdate;
  /** True while the page is as fresh as the server wrote it: until the stream says how it is, or does not come. */
  #isNew;
  // By the steady clock, since the reader's wall clock may be set back.
  #connectedUntil = performance.now();
  #wasLost = false;
  #restartsUntil = 0;
  #retryAt = 0;
  /** @type {ReturnType<typeof setTimeout>|undefined} */
  #nextTry;

  /**
   * @param {State} state
   * @param {{reconnect?: HTMLElement} & Record<string, HTMLElement>} parts  By id: `connection`, `connectiontext`,
   *   `market`, `notices`, `unstarted`; and `reconnect`, where there are hands to press it.
   * @param {Page} page
   * @param {Partial<Options>} [options]  Of the client.
   */
  constructor(state, parts, page, options = {}) {
    this.#state = state;
    this.#parts = parts;
    this.#page = page;
    this.quotes = state.quotes;
    this.seq = state.seq;
    this.currency = state.currency;
    this.#lastUpdate = state.publishedAt ? Date.parse(state.publishedAt) : null;
    // HTML that a browser took from its cache, as after Back, may be of any time.
    this.#isNew = !isFromCache();
    this.client = new SwarnaClient(`${root}ws/prices/`, {
      // Never give up: a board on a wall has nobody to press a button.
      maxReconnectAttempts: Infinity,
      position: state.seq ? { epoch: state.epoch, seq: state.seq } : null,
      ...options,
    });
  }

  /** Connects, and shows from now on what comes. The page says no longer that its script has not started. */
  start() {
    const { client } = this;
    this.#parts.unstarted.remove();
    this.#parts.reconnect?.addEventListener("click", () => client.connect());
    client.addEventListener("prices", ({ detail }) => this.#take(detail));
    client.addEventListener("status", () => this.refresh());
    client.addEventListener("transport", () => this.refresh());
    client.addEventListener("connection", ({ detail: { state, why, delay = 0 } }) => {
      clearTimeout(this.#nextTry);
      if (state === "closed" && why === "refused") this.#nextTry = setTimeout(() => client.connect(), AFTER_REJECTION);
      if (state === "waiting") this.#retryAt = performance.now() + delay;
      if (state === "open") this.#reloadIfReplaced();
      this.#wasLost ||= state === "waiting";
      if (why === "restart") this.#restartsUntil = this.#retryAt + Math.min(SHORT_INTERRUPTION, LONG_RESTART - delay);
      this.refresh();
    });
    client.connect();
    setInterval(() => this.refresh(), SECOND);
  }

  /** The address of the receipt of what is shown; null before the first publication. */
  get receipt() {
    return this.seq ? `${root}why/${this.seq}/` : null;
  }

  /** @param {Prices} update */
  #take(update) {
    const { data, message } = update;
    this.quotes = data;
    this.seq = this.client.position?.seq ?? this.seq;
    this.currency = message.currency;
    this.#lastUpdate = Date.parse(message.timestamp);
    this.#page.show(update);
    this.refresh();
  }

  /** Shows anew what depends on the time or the connection. */
  refresh() {
    const { client, quotes } = this;
    const { connected } = client;
    if (connected) this.#connectedUntil = performance.now();
    const isLate = performance.now() - this.#connectedUntil >= SHORT_INTERRUPTION;
    if (client.status || isLate || ["waiting", "closed"].includes(client.connection.state)) this.#isNew = false;
    const isNew = this.#isNew;
    const status = client.status ?? (isNew ? this.#state.status : null);
    // The page's status says nothing of a metal that had no price then.
    const isTold = (/** @type {Metal} */ metal) => client.status || metal in this.#state.status.metals;
    const atBest = (/** @type {Metal} */ metal) => (isTold(metal) ? markAtBest(status, metal) : null);
    this.#page.refresh(client.isTimed ? client.serverTime : null, connected || isNew, atBest);
    this.#showConnection();
    write(this.#parts.market, marketText(status, client.serverTime, format));
    const metals = this.#page.metals();
    const shown = {
      status,
      quotes: metals.map((metal) => /** @type {[Metal, Quote|null]} */ ([metal, quotes[metal] ?? null])),
      areAll: metals.length === this.#state.listed.length,
      now: client.serverTime,
      interruption: isNew ? null : this.#interruption(),
    };
    this.#showNotices(notices(shown, format));
  }

  #showConnection() {
    const { connection, reconnect, connectiontext } = this.#parts;
    const current = this.client.connection;
    connection.dataset.state = current.state;
    if (reconnect) reconnect.hidden = !["waiting", "closed"].includes(current.state);
    write(connectiontext, connectionText(current, this.client.transport, this.#retryAt - performance.now(), format));
  }

  /** Loads the page anew where the server came back with another version: old scripts may not understand it. */
  async #reloadIfReplaced() {
    if (!this.#wasLost || !release) return;
    this.#wasLost = false;
    try {
      const served = await (await fetch(`${root}client/v1/release.json`)).json();
      if (served.release && served.release !== release) location.reload();
    } catch {
      // It is asked again after the next interruption.
    }
  }

  /** @returns {Notice|null} */
  #interruption() {
    const now = performance.now();
    if (this.client.connection.state !== "closed" && now - this.#connectedUntil < SHORT_INTERRUPTION) return null;
    return interruptionNotice(this.client.connection, this.#lastUpdate, now < this.#restartsUntil, format);
  }

  /** Screen readers speak each change of the notices, so they change only when their text does. @param {Notice[]} wanted */
  #showNotices(wanted) {
    const { notices } = this.#parts;
    const items = wanted.map(noticeItem);
    if (said(items) !== said([...notices.children])) notices.replaceChildren(...items);
  }
}

/** @param {Element[]} notices */
function said(notices) {
  return notices.map(({ textContent }) => textContent).join("\n");
}

/** @param {Notice} notice */
function noticeItem([tone, headline, text]) {
  const item = document.createElement("p");
  item.className = "notice";
  item.dataset.tone = tone;
  const strong = document.createElement("strong");
  strong.append(headline);
  item.append(strong, ` ${text}`);
  return item;
}

/** Returns true where the browser did not ask the server for the page's HTML. */
function isFromCache() {
  const [navigation] = performance.getEntriesByType("navigation");
  return navigation instanceof PerformanceNavigationTiming && navigation.transferSize === 0;
}
