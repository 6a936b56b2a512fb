/**
 * The live prices of a server, kept up to date, and how they are to be taken: for pages, which begin with what the server
 * wrote into them, and for elements, which begin with nothing.
 */

import { each } from "./dom.js";
import { interruptionNotice, markAtBest, notices } from "./marks.js";
import { Moment, SwarnaClient } from "./swarna-client.js";

/** @typedef {import("./format.js").Formats} Formats */
/** @typedef {import("./marks.js").Mark} Mark */
/** @typedef {import("./marks.js").Notice} Notice */
/** @typedef {import("./swarna-client.js").Metal} Metal */
/** @typedef {import("./swarna-client.js").Options} Options */
/** @typedef {import("./swarna-client.js").Prices} Prices */
/** @typedef {import("./swarna-client.js").Quotes} Quotes */
/** @typedef {import("./swarna-client.js").Status} Status */
/** @typedef {(update: Prices|null) => void} Show  Shows what is new; null where that is a state, or the time. */

/**
 * @typedef {object} State  All that the server knew as it wrote a page.
 * @property {string} epoch
 * @property {number} seq  0 before the first publication.
 * @property {string|null} publishedAt
 * @property {string} currency
 * @property {Quotes} quotes
 * @property {Status} status
 * @property {Metal[]} listed  In staff's order.
 */

const SECOND = 1_000;
/** A shorter interruption is shown by the marks, but not in a notice. */
const SHORT_INTERRUPTION = 5 * SECOND;
/** A longer restart than this is shown as a lost connection. */
const LONG_RESTART = 60 * SECOND;
/** A server that is full, or was sent too much, may accept the page after its rate window. */
const AFTER_REJECTION = 65 * SECOND;

export class LivePrices {
  /** @type {SwarnaClient} */
  client;
  /** @type {Quotes}  Those that are shown, as on the wire. */
  quotes;
  /** @type {number}  The position as of which they are; 0 before the first publication. */
  seq;
  /** @type {string}  Empty until it is known. */
  currency;
  #root;
  #state;
  /** @type {number|null} */
  #lastUpdate;
  /** When the newest price was published in a page that the server has just written; else null. @type {number|null} */
  #writtenAt;
  /** True while the page is as fresh as the server wrote it: until the stream says how it is, or does not come. */
  #isNew;
  #hasBegun = false;
  #lastConnected = new Moment();
  // By the steady clock, since the reader's wall clock may be set back.
  #restartsUntil = 0;
  #retryAt = 0;
  /** True if the stream has brought prices since it was last connected to by hand, or by this. */
  #wasServed = false;
  #servedAnewAt = -Infinity;
  /** @type {Set<Show>} */
  #shown = new Set();
  /** @type {ReturnType<typeof setInterval>|undefined} */
  #clock;
  /** @type {ReturnType<typeof setTimeout>|undefined} */
  #nextTry;

  /**
   * @param {string} root  Where the server's addresses begin; it ends with a slash.
   * @param {Partial<Options>} [options]  Of the client.
   * @param {State|null} [state]  What the page begins with.
   * @param {boolean} [isNew]  False if that may be of any time.
   * @throws {SyntaxError} if `root` is no address.
   */
  constructor(root, options = {}, state = null, isNew = state !== null) {
    this.#root = root;
    this.#state = state;
    this.#isNew = isNew;
    this.quotes = state?.quotes ?? {};
    this.seq = state?.seq ?? 0;
    this.currency = state?.currency ?? "";
    this.#lastUpdate = state?.publishedAt ? Date.parse(state.publishedAt) : null;
    this.#writtenAt = isNew ? this.#lastUpdate : null;
    this.client = new SwarnaClient(`${root}ws/prices/`, {
      position: state?.seq ? { epoch: state.epoch, seq: state.seq } : null,
      ...options,
    });
    this.client.addEventListener("prices", ({ detail }) => this.#take(detail));
    this.client.addEventListener("status", () => this.#show());
    this.client.addEventListener("transport", () => this.#show());
    this.client.addEventListener("connection", ({ detail }) => this.#follow(detail));
  }

  /** Where the server's addresses begin. */
  get root() {
    return this.#root;
  }

  /** The last status by the server, of the feeds and the market; null while that is not known. */
  get status() {
    return this.client.status ?? (this.#isNew && this.#state ? this.#state.status : null);
  }

  /** True while the prices are kept up to date. */
  get isCurrent() {
    return this.client.connected || this.#isNew;
  }

  /** The time by the server's clock; null while that is unknown, as a device's own may be wrong. */
  get now() {
    return this.client.isTimed ? this.client.serverTime : null;
  }

  /**
   * The time of what was published since the server wrote the page, a moment ago; Infinity without it. So a time is as long
   * in words as the server's, until `now` is known: nothing moves on the page for that.
   */
  get nowAtLeast() {
    const isNews = this.#writtenAt !== null && this.#lastUpdate !== null && this.#lastUpdate > this.#writtenAt;
    return isNews && this.client.connected ? Number(this.#lastUpdate) : Infinity;
  }

  /** True from the first prices on of which the server has said how they are to be taken. */
  get hasBegun() {
    return this.#hasBegun;
  }

  /** The address of the receipt of what is shown; null before the first publication. */
  get receipt() {
    return this.seq ? `${this.#root}why/${this.seq}/` : null;
  }

  /** The milliseconds until the next try, while one is waited for. */
  get untilRetry() {
    return this.#retryAt - performance.now();
  }

  /** The mark of a metal's price that has no other; null while it is unknown. @param {Metal} metal @returns {Mark|null} */
  atBest(metal) {
    const { status } = this;
    // A page's status says nothing of a metal that had no price then.
    const isTold = this.client.status !== null || metal in (status?.metals ?? {});
    return isTold ? markAtBest(status, metal) : null;
  }

  /**
   * The notices that are to be read before the prices of metals are used, the most urgent first.
   * @param {Metal[]} metals  Each once.
   * @param {Formats} format
   * @param {boolean} [canReconnect]  True where somebody can sign in and press a button: elsewhere that is no advice.
   */
  notices(metals, format, canReconnect = false) {
    return notices(
      {
        status: this.status,
        quotes: metals.map((metal) => [metal, this.quotes[metal] ?? null]),
        areAll: this.#areAll(metals),
        now: this.client.serverTime,
        interruption: this.#isNew ? null : this.#interruption(format, canReconnect),
      },
      format,
    );
  }

  /** Returns true if these are all metals, also where staff have listed another since the page was written. @param {Metal[]} metals */
  #areAll(metals) {
    const listed = [...(this.#state?.listed ?? []), ...Object.keys(this.status?.metals ?? {})];
    return this.#state !== null && listed.every((metal) => metals.some((each) => each === metal));
  }

  /** @param {Formats} format @param {boolean} canReconnect @returns {Notice|null} */
  #interruption(format, canReconnect) {
    const { state, why } = this.client.connection;
    const now = performance.now();
    if (state !== "closed" && this.#lastConnected.passed < SHORT_INTERRUPTION) return null;
    const connection = canReconnect ? { state, why } : { state };
    return interruptionNotice(connection, this.#lastUpdate, now < this.#restartsUntil, format);
  }

  /**
   * Connects, and calls `show` now, with each news, and every second, as prices grow old.
   * @param {Show} show
   * @param {AbortSignal} [signal]  Ends that. Soon after the last one, the connection is closed.
   * @throws {DOMException} SecurityError, in a page by https, for a server by http.
   */
  follow(show, signal) {
    this.client.connect();
    if (!this.#clock) {
      this.#lastConnected = new Moment();
      this.#clock = setInterval(() => this.#show(), SECOND);
    }
    this.#shown.add(show);
    signal?.addEventListener("abort", () => {
      this.#shown.delete(show);
      // A framework takes an element away and puts it back at once.
      setTimeout(() => this.#shown.size > 0 || this.#end(), SECOND);
    });
    show(null);
  }

  /** @param {Prices} update */
  #take(update) {
    this.quotes = update.data;
    this.seq = this.client.position?.seq ?? this.seq;
    this.currency = update.message.currency;
    this.#lastUpdate = Date.parse(update.message.timestamp);
    this.#wasServed = true;
    this.#show(update);
  }

  /** @param {import("./swarna-client.js").Connection} connection */
  #follow({ state, why, delay = 0 }) {
    const now = performance.now();
    clearTimeout(this.#nextTry);
    if (state === "waiting") this.#retryAt = now + delay;
    if (why === "restart") this.#restartsUntil = now + Math.min(delay + SHORT_INTERRUPTION, LONG_RESTART);
    if (state === "closed" && why === "refused") this.#tryAgain(AFTER_REJECTION);
    // A login has ended. Whoever reads without one is not refused, unless the server requires it.
    if (state === "closed" && why === "unauthorized" && this.#wasServed) {
      this.#tryAgain(Math.max(0, this.#servedAnewAt + AFTER_REJECTION - now));
    }
    this.#show();
  }

  /** @param {number} delay */
  #tryAgain(delay) {
    this.#nextTry = setTimeout(() => {
      this.#wasServed = false;
      this.#servedAnewAt = performance.now();
      this.client.connect();
    }, delay);
  }

  /** @param {Prices|null} [update] */
  #show(update = null) {
    const { connected, connection, status } = this.client;
    if (connected) this.#lastConnected = new Moment();
    const isLate = this.#lastConnected.passed >= SHORT_INTERRUPTION;
    if (status || isLate || ["waiting", "closed"].includes(connection.state)) this.#isNew = false;
    this.#hasBegun ||= this.status !== null && Object.keys(this.quotes).length > 0;
    each([...this.#shown], (show) => show(update));
  }

  #end() {
    clearInterval(this.#clock);
    clearTimeout(this.#nextTry);
    this.#clock = undefined;
    this.client.close();
  }
}
