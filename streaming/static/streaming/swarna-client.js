/**
 * Live metal prices from a Swarna server (protocol `swarnaai-v1`), kept connected for as long as the page wants them.
 *
 *     const client = new SwarnaClient("wss://prices.example/ws/prices/");
 *     client.addEventListener("prices", ({ detail }) => show(detail.data, detail.changes));
 *     client.connect();
 */

const SUBPROTOCOL = "swarnaai-v1";

/** Close codes of RFC 6455 and one of our own, for a server that has gone silent. */
const NORMAL = 1000;
const POLICY = 1008;
const SILENT = 4000;

/** The server allows 10 messages a minute; these are for changes of subscription, the rest is for heartbeats. */
const SUBSCRIPTION_MESSAGES_A_MINUTE = 5;
const MINUTE = 60_000;

/** No server means to send a page away for longer, and a timer past 2^31 ms would fire at once. */
const LONGEST_RESTART = 5 * MINUTE;

/**
 * @typedef {object} Options  All times in milliseconds.
 * @property {number} heartbeatInterval  Silence after which the client sends a `ping`.
 * @property {number} heartbeatTimeout  Silence after the ping that counts as a lost connection.
 * @property {number} connectTimeout  How long a connection may take to open.
 * @property {number} reconnectDelay  Wait before the first retry; each further one waits twice as long.
 * @property {number} maxReconnectDelay  The longest such wait.
 * @property {number} maxReconnectAttempts  Retries without a price in between before it gives up; may be Infinity.
 * @property {number} jitter  Each wait is lengthened by a random share of up to this (0.25: a quarter), so that the
 *   pages which lost one server do not all return in the same instant. 0 for exact waits.
 */

/** @type {Options} */
const DEFAULTS = {
  heartbeatInterval: 30_000,
  heartbeatTimeout: 10_000,
  connectTimeout: 10_000,
  reconnectDelay: 1_000,
  maxReconnectDelay: 30_000,
  maxReconnectAttempts: 5,
  jitter: 0.25,
};

/**
 * @typedef {object} Connection  What `client.connection` and the `connection` event hold.
 * @property {"idle"|"connecting"|"open"|"waiting"|"closed"} state
 * @property {number} [attempt]  `connecting`, `waiting`: which retry this is, from 1; 0 is no retry.
 * @property {number} [delay]  `waiting`: milliseconds from the start of the wait to the retry.
 * @property {number} [retryAt]  `waiting`: the same as a time, comparable with `Date.now()`.
 * @property {number} [code]  `waiting`, `closed`: the close code; 1006 where the network failed, 4000 where the server
 *   fell silent.
 * @property {string} [reason]  `waiting`, `closed`: the server's words, or ours; may be empty.
 * @property {"page"|"refused"|"gave up"} [why]  `closed`: `close()` was called; the server closed with 1008 and is not
 *   tried again until `connect()`; or the retries are used up, and it resumes when the device comes online or the page
 *   into view.
 */

/**
 * Events, each a CustomEvent:
 * - `prices`, detail `{data, changes, message}`: the quotes by metal, complete for what is subscribed; the significant
 *   moves since the last update (often none); and the whole message, with `currency`, `unit`, `timestamp`, `seq`.
 * - `status`, detail: the server's `status` message (`feed`, `market`, `metals`, …).
 * - `connection`, detail: a {@link Connection}.
 * - `error`, detail `{code, message}`: the server rejected a message of ours, or (`unreadable_message`) sent one that
 *   cannot be read. The connection goes on.
 */
export class SwarnaClient extends EventTarget {
  #url;
  #options;
  #socket = null;
  #socketEvents = null;
  #pageEvents = null;
  /** The one thing waited for: that it opens, that it speaks, that it answers a ping, or that a retry is due. */
  #timer;
  #connection = Object.freeze({ state: "idle" });
  #attempt = 0;
  #restartDelay = null;
  #heardAt = 0;
  #pinging = false;
  #pingedAt = 0;
  #clockOffset = null;
  #selection = new Selection();
  #subscriptions = new Subscriptions((message) => this.#send(message));
  #prices = {};
  #seq = -Infinity;
  #status = null;

  /**
   * @param {string|URL} url  `ws:`, `wss:`, `http:`, `https:`, or relative to the page.
   * @param {Partial<Options>} [options]
   * @throws {SyntaxError|TypeError} where the URL cannot be a WebSocket's.
   */
  constructor(url, options = {}) {
    super();
    this.#url = webSocketUrl(url);
    this.#options = { ...DEFAULTS, ...options };
  }

  /** The latest quote of each subscribed metal. They outlive the connection: show them as live only if `connected`. */
  get prices() {
    return this.#prices;
  }

  /** The server's last `status` message; null while there is none or no connection. */
  get status() {
    return this.#status;
  }

  get connected() {
    return this.#connection.state === "open";
  }

  /** @returns {Connection} */
  get connection() {
    return this.#connection;
  }

  /** The server's clock in milliseconds, as near as its messages tell; for the age of a quote. */
  get serverTime() {
    return Date.now() + (this.#clockOffset ?? 0);
  }

  /**
   * Connects, and from then on reconnects. While it waits for a retry or after it has closed: tries anew, at once.
   * Does nothing while connecting or connected.
   * @throws {DOMException} SecurityError, for a `ws:` URL in an `https:` page.
   */
  connect() {
    if (this.#socket) return;
    this.#attempt = 0;
    this.#watchPage();
    this.#open();
  }

  /** Closes, with all timers; no event follows `closed`. May be called at any time, also again; `connect` undoes it. */
  close() {
    // They are watched from `connect` to the end of it all.
    if (this.#pageEvents) this.#finish({ code: NORMAL, reason: "Closed by the page", why: "page" });
  }

  /**
   * Asks for these metals. At first all are sent: the first call narrows them to its own, later calls add.
   * Connected or not: the choice is kept, and made again after a reconnect. Changes in quick succession go out together
   * where the server's rate limit demands it.
   * @param {string[]} metals  Names, or `["*"]` for all.
   * @throws {TypeError} unless it is a non-empty array of names.
   */
  subscribe(metals) {
    this.#select("subscribe", metals);
  }

  /** Asks for these metals no longer; see `subscribe`. @param {string[]} metals @throws {TypeError} */
  unsubscribe(metals) {
    this.#select("unsubscribe", metals);
  }

  #select(type, metals) {
    requireNames(metals);
    this.#selection[type](metals);
    this.#prices = this.#selection.of(this.#prices);
    if (this.connected) this.#subscriptions.change(type, metals);
  }

  #open() {
    const socket = new WebSocket(this.#url, [SUBPROTOCOL]);
    this.#socket = socket;
    this.#socketEvents = new AbortController();
    const { signal } = this.#socketEvents;
    socket.addEventListener("open", () => this.#opened(), { signal });
    socket.addEventListener("message", ({ data }) => this.#received(data), { signal });
    socket.addEventListener("close", ({ code, reason }) => this.#lost(code, reason), { signal });
    this.#restartDelay = null;
    this.#after(this.#options.connectTimeout, () => this.#lost(SILENT, "The server did not answer"));
    this.#enter({ state: "connecting", attempt: this.#attempt });
  }

  #opened() {
    this.#clockOffset = null;
    // Not only to see that someone is there: the answer tells the server's time, which a snapshot does not.
    this.#ping();
    for (const [type, metals] of this.#selection.toRestore()) this.#subscriptions.change(type, metals);
    this.#enter({ state: "open" });
  }

  /** Any message shows that the server lives; only silence is worth a ping. */
  #heard() {
    this.#heardAt = Date.now();
    this.#pinging = false;
    this.#after(this.#options.heartbeatInterval, () => this.#ping());
  }

  #ping() {
    this.#pinging = true;
    this.#pingedAt = Date.now();
    this.#send({ type: "ping" });
    this.#after(this.#options.heartbeatTimeout, () => this.#lost(SILENT, "The server fell silent"));
  }

  #send(message) {
    this.#socket.send(JSON.stringify(message));
  }

  #received(text) {
    this.#heard();
    const message = parsed(text);
    if (!message) {
      this.#emit("error", { code: "unreadable_message", message: "The server sent what is not a message." });
      return;
    }
    this.#compareClocks(message);
    this.#handle(message);
  }

  #handle(message) {
    switch (message.type) {
      case "priceUpdate":
        this.#updated(message);
        break;
      case "status":
        this.#status = message;
        this.#emit("status", message);
        break;
      case "restart":
        this.#restartDelay = restartDelay(message.afterMs);
        break;
      case "error":
        this.#emit("error", message);
        break;
      // Answers carry nothing to act on, and a newer server may send types that this client does not know.
    }
  }

  #updated(message) {
    // Only now is the connection good for anything: a server that accepts and closes again must not be hammered.
    this.#attempt = 0;
    const { data, changes = [], seq = this.#seq, snapshot = false } = message;
    if (seq < this.#seq && !snapshot) return;
    this.#seq = seq;
    this.#prices = this.#selection.of(data);
    const moves = changes.filter(({ metal }) => this.#selection.has(metal));
    this.#emit("prices", { data: this.#prices, changes: moves, message });
  }

  /** Of the messages that are written as they are sent, the least delayed one tells the server's clock best. */
  #compareClocks({ type, snapshot, timestamp }) {
    const offset = Date.parse(timestamp) - Date.now();
    const justWritten = type === "pong" || (type === "priceUpdate" && !snapshot);
    if (justWritten && !Number.isNaN(offset)) this.#clockOffset = Math.max(offset, this.#clockOffset ?? -Infinity);
  }

  #lost(code, reason) {
    if (code === POLICY) {
      this.#finish({ code, reason, why: "refused" });
    } else if (this.#attempt >= this.#options.maxReconnectAttempts) {
      this.#letGo();
      this.#enter({ state: "closed", code, reason, why: "gave up" });
    } else {
      this.#letGo();
      this.#retryLater(code, reason);
    }
  }

  #retryLater(code, reason) {
    this.#attempt += 1;
    const delay = this.#retryDelay();
    this.#after(delay, () => this.#open());
    const retryAt = Date.now() + delay;
    this.#enter({ state: "waiting", attempt: this.#attempt, delay, retryAt, code, reason });
  }

  #retryDelay() {
    const { reconnectDelay, maxReconnectDelay, jitter } = this.#options;
    // What a restarting server names is already spread over its clients.
    if (this.#restartDelay !== null && this.#attempt === 1) return this.#restartDelay;
    const doubled = Math.min(reconnectDelay * 2 ** (this.#attempt - 1), maxReconnectDelay);
    return Math.max(Math.round(doubled * (1 + jitter * Math.random())), this.#restartDelay ?? 0);
  }

  #finish(end) {
    this.#pageEvents?.abort();
    this.#pageEvents = null;
    this.#letGo();
    this.#enter({ state: "closed", ...end });
  }

  /** Leaves the socket to close by itself: where the server is gone, its `close` event can be a minute away. */
  #letGo() {
    clearTimeout(this.#timer);
    this.#subscriptions.reset();
    this.#socketEvents?.abort();
    this.#socket?.close(NORMAL);
    this.#socket = null;
    this.#status = null;
  }

  #watchPage() {
    if (this.#pageEvents) return;
    this.#pageEvents = new AbortController();
    const { signal } = this.#pageEvents;
    globalThis.addEventListener?.("online", () => this.#wake(), { signal });
    globalThis.document?.addEventListener("visibilitychange", () => document.hidden || this.#wake(), { signal });
  }

  /** A device that slept may hold a dead connection that looks open, since its timers slept too. */
  #wake() {
    const { heartbeatInterval, heartbeatTimeout } = this.#options;
    const isDoubtful = Date.now() - this.#heardAt > heartbeatTimeout;
    // A page that is brought into view again and again must not use up what the server lets it send.
    const mayPing = this.connected && !this.#pinging && Date.now() - this.#pingedAt > heartbeatInterval;
    if (this.#connection.state === "closed") this.connect();
    else if (isDoubtful && mayPing) this.#ping();
  }

  #after(milliseconds, action) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(action, milliseconds);
  }

  #enter(connection) {
    this.#connection = Object.freeze(connection);
    this.#emit("connection", this.#connection);
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/** Which metals the page wants, by the server's rules: all; its first `subscribe` narrows, later ones add. */
class Selection {
  #chosen = false;
  #subscribed = false;
  #narrowed = false;
  /** What is wanted when narrowed, else what is not. */
  #metals = new Set();

  subscribe(metals) {
    if (metals.includes("*")) this.#reset(false);
    else if (!this.#subscribed) this.#reset(true);
    this.#subscribed = true;
    this.#mark(metals, this.#narrowed);
  }

  unsubscribe(metals) {
    if (metals.includes("*")) this.#reset(true);
    this.#mark(metals, !this.#narrowed);
  }

  has(metal) {
    return this.#metals.has(metal) === this.#narrowed;
  }

  /** Those entries of an object by metal that are wanted: what was on its way when the page chose is not shown. */
  of(byMetal) {
    return Object.fromEntries(Object.entries(byMetal).filter(([metal]) => this.has(metal)));
  }

  /** What a new connection is to be told, as `[type, metals]`, so that later choices mean to it what they mean here. */
  toRestore() {
    if (!this.#chosen) return [];
    const listed = [...this.#metals];
    if (this.#narrowed) return [listed.length ? ["subscribe", listed] : ["unsubscribe", ["*"]]];
    const all = this.#subscribed ? [["subscribe", ["*"]]] : [];
    return listed.length ? [...all, ["unsubscribe", listed]] : all;
  }

  #reset(narrowed) {
    this.#narrowed = narrowed;
    this.#metals.clear();
  }

  #mark(metals, listed) {
    this.#chosen = true;
    for (const metal of metals) {
      if (listed && metal !== "*") this.#metals.add(metal);
      else this.#metals.delete(metal);
    }
  }
}

/** Tells the server what changed in the selection: at once, or merged once its rate limit allows a message again. */
class Subscriptions {
  #send;
  #untold = new Map();
  #sentAt = [];
  #timer;

  constructor(send) {
    this.#send = send;
  }

  change(type, metals) {
    if (metals.includes("*")) this.#untold.clear();
    for (const metal of metals) this.#untold.set(metal, type);
    this.#tell();
  }

  /** The connection is gone, and with it what it was still to be told. */
  reset() {
    clearTimeout(this.#timer);
    this.#untold.clear();
    this.#sentAt = [];
  }

  #tell() {
    const now = Date.now();
    this.#sentAt = this.#sentAt.filter((at) => now - at < MINUTE);
    clearTimeout(this.#timer);
    if (this.#sentAt.length >= SUBSCRIPTION_MESSAGES_A_MINUTE) {
      this.#timer = setTimeout(() => this.#tell(), this.#sentAt[0] + MINUTE - now);
      return;
    }
    // "*" overrides what came before it, so it is always the first entry and must be told first.
    for (const [type, metals] of groupedByType(this.#untold)) {
      this.#send({ type, metals });
      this.#sentAt.push(now);
    }
    this.#untold.clear();
  }
}

function groupedByType(types) {
  const metals = new Map();
  for (const [metal, type] of types) metals.set(type, [...(metals.get(type) ?? []), metal]);
  return metals;
}

function webSocketUrl(url) {
  const absolute = new URL(url, globalThis.location?.href);
  absolute.protocol = absolute.protocol.replace(/^http/, "ws");
  if (!["ws:", "wss:"].includes(absolute.protocol)) throw new SyntaxError(`${url} is not a WebSocket's URL`);
  return absolute.href;
}

function requireNames(metals) {
  const named = Array.isArray(metals) && metals.length > 0 && metals.every((metal) => typeof metal === "string");
  if (!named) throw new TypeError("metals must be a non-empty array of names");
}

function restartDelay(afterMs) {
  return Number.isFinite(afterMs) && afterMs >= 0 ? Math.min(afterMs, LONGEST_RESTART) : null;
}

/** The message in a text; null where it is none, or a price update that could not be shown. */
function parsed(text) {
  try {
    const message = JSON.parse(text);
    const readable = isRecord(message) && (message.type !== "priceUpdate" || isUpdate(message));
    return readable ? message : null;
  } catch {
    return null;
  }
}

function isUpdate({ data, changes = [] }) {
  return isRecord(data) && Object.values(data).every(isRecord) && Array.isArray(changes) && changes.every(isRecord);
}

function isRecord(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
