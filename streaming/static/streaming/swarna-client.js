/**
 * Live metal prices from a Swarna server (protocol `swarnaai-v1`), kept connected for as long as the page wants them.
 *
 *     const client = new SwarnaClient("wss://prices.example/ws/prices/");
 *     client.addEventListener("prices", ({ detail }) => show(detail.data, detail.changes));
 *     client.connect();
 */

const SUBPROTOCOL = "swarnaai-v1";
/** Prefix of a token sent as a subprotocol: a page cannot set headers of a WebSocket. */
const BEARER = "swarnaai.bearer.";
/** The syntax of a subprotocol's name (RFC 9110, `token`). */
const SUBPROTOCOL_NAME = /^[\w!#$%&'*+.^`|~-]+$/;

/** Close codes of RFC 6455, and our own for a server that is silent. */
const NORMAL = 1000;
const POLICY = 1008;
const SILENT = 4000;
/** The reason of a 1008 that needs another token. */
const UNAUTHORIZED = "Unauthorized";

/** The `id` of a `subscribe` with `since`, which identifies its answer. */
const RESUME = "resume";

/** The share of the 10 messages a minute that the server allows; the others are for heartbeats. */
const SUBSCRIPTION_MESSAGES_A_MINUTE = 5;
const SECOND = 1_000;
const MINUTE = 60_000;

/** A server does not announce a longer restart, and a timer beyond 2^31 ms would fire at once. */
const LONGEST_RESTART = 5 * MINUTE;

/** @typedef {"gold"|"silver"|"platinum"|"palladium"} Metal */
/** @typedef {"1m"|"5m"|"15m"|"1h"|"1d"} Interval  Of a candle. */
/** @typedef {"live"|"stale"|"fallback"|"simulated"|"down"} Feed  The kind of price that is shown. */
/** @typedef {string|number|boolean|null} Scalar */

/**
 * @typedef {object} Quote  A metal's price. Amounts are per gram of fine metal, in the update's `currency`.
 * @property {number} price
 * @property {number} change  Against the previous close, as `changePercent`; 0 while there is none.
 * @property {number} changePercent
 * @property {number} high  The day's, as `low` and `open`.
 * @property {number} low
 * @property {number} open
 * @property {number|null} previousClose
 * @property {string} timestamp  When the source quoted it.
 * @property {string} source  A provider, `fallback` or `simulated`.
 * @property {boolean} stale  True if it is older than the freshness limit.
 * @property {number} [bid]
 * @property {number} [ask]
 * @property {boolean} [example]  True for a fallback that no member of staff has entered or confirmed.
 */

/** @typedef {{[metal in Metal]?: Quote}} Quotes  By metal, without those that have no price. */

/**
 * @typedef {object} Move  A significant move between two consecutive prices.
 * @property {Metal} metal
 * @property {number} oldPrice
 * @property {number} newPrice
 * @property {number} changePercent
 * @property {"up"|"down"} direction
 */

/**
 * @typedef {object} Candle  The prices from `start` until before `end`.
 * @property {string} start
 * @property {string} end
 * @property {number} open
 * @property {number} high
 * @property {number} low
 * @property {number} close
 * @property {number} ticks  How many prices it was made of.
 * @property {boolean} closed  True once it is final.
 * @property {number|null} seq  That of the last publication with a price in it; null if none was streamed.
 * @property {string} [date]  A `1d` candle's day in the server's time zone.
 */

/** @typedef {{[metal in Metal]?: {[interval in Interval]?: Candle[]}}} Candles */

/**
 * @typedef {object} PriceUpdate  The server's message with prices.
 * @property {"priceUpdate"} type
 * @property {Quotes} data
 * @property {Move[]} changes
 * @property {Candles} [candles]
 * @property {string} timestamp  When it was published.
 * @property {string} epoch  The history that `seq` counts.
 * @property {number} seq
 * @property {boolean} snapshot  True for all current prices, false for those that follow the last update.
 * @property {string} currency
 * @property {string} unit
 */

/**
 * @typedef {object} Status  The server's message about the shown prices.
 * @property {"status"} type
 * @property {Feed} feed  That of the metal with the least reliable price.
 * @property {"open"|"closed"} market
 * @property {string} nextChange  When the market opens or closes next.
 * @property {string|null} source
 * @property {{[metal in Metal]?: Feed}} metals
 * @property {string} [epoch]
 * @property {string} timestamp
 */

/**
 * @typedef {object} Subscribed  The server's confirmation of a subscription.
 * @property {"subscribed"|"unsubscribed"} type
 * @property {Metal[]} metals
 * @property {number|null} interval
 * @property {string} [epoch]
 * @property {Interval[]} [candles]
 * @property {Scalar} [id]
 */

/**
 * @typedef {object} Rejection  The reason why a message was rejected by the server, or could not be read here.
 * @property {string} code
 * @property {string} message
 * @property {Scalar} [id]
 */

/** @typedef {{type: "pong", timestamp: string, id?: Scalar}} Pong */
/** @typedef {{type: "restart", afterMs: number}} Restart */
/** @typedef {PriceUpdate|Status|Subscribed|Pong|Restart|(Rejection & {type: "error"})} Message */
/** @typedef {{epoch: string|null, seq: number}} Position */
/** @typedef {"subscribe"|"unsubscribe"} Choice */
/** @typedef {Metal|"*"} Named */
/** @typedef {{type: Choice, metals: Named[], since?: number, epoch?: string, id?: Scalar}} Request */

/**
 * @typedef {object} Options  All times in milliseconds.
 * @property {string|null} token  Credential for the server; `authenticate` replaces it later.
 * @property {number|null} interval  At most one update, merged, in this time; a whole number.
 * @property {Interval[]|null} candles  Intervals of candles that come with each update, such as `["1m", "1d"]`.
 * @property {number} heartbeatInterval  Silence after which the client sends a `ping`.
 * @property {number} heartbeatTimeout  Silence after the ping after which the connection counts as lost.
 * @property {number} connectTimeout  How long a connection may take to open.
 * @property {number} reconnectDelay  Delay of the first retry; it doubles with each further one.
 * @property {number} maxReconnectDelay  The longest such delay.
 * @property {number} maxReconnectAttempts  Retries without a price before the client gives up; may be Infinity.
 * @property {number} jitter  The largest random share (0.25: a quarter) by which each delay is lengthened, so that the
 *   pages that lost a server do not all return at once. 0 for exact delays.
 */

/** @type {Options} */
const DEFAULTS = {
  token: null,
  interval: null,
  candles: null,
  heartbeatInterval: 30_000,
  heartbeatTimeout: 10_000,
  connectTimeout: 10_000,
  reconnectDelay: 1_000,
  maxReconnectDelay: 30_000,
  maxReconnectAttempts: 5,
  jitter: 0.25,
};

/**
 * @typedef {object} Connection  The value of `client.connection` and the detail of the `connection` event.
 * @property {"idle"|"connecting"|"open"|"waiting"|"closed"} state
 * @property {number} [attempt]  `connecting`, `waiting`: the number of the retry, from 1; 0 for the first connection and
 *   after an announced restart.
 * @property {number} [delay]  `waiting`: milliseconds from the start of the wait to the retry.
 * @property {number} [retryAt]  `waiting`: the time of the retry, comparable with `Date.now()`.
 * @property {number} [code]  `waiting`, `closed`: the close code; 1006 if the network failed, 4000 if the server was
 *   silent.
 * @property {string} [reason]  `waiting`, `closed`: the reason, as the server or this client gives it; may be empty.
 * @property {"restart"|"page"|"unauthorized"|"refused"|"gave up"} [why]  `waiting`: `restart` if the server announced its
 *   restart. `closed`: `page` after `close()`; `unauthorized` if the server requires a token, or another one, with no
 *   retry until `authenticate()` or `connect()`; `refused` after another 1008, with no retry until `connect()`; `gave up`
 *   after the last retry, until the device comes online or the page into view.
 */

/**
 * @typedef {object} Prices  The detail of a `prices` event.
 * @property {Quotes} data
 * @property {Move[]} changes
 * @property {Candles} candles
 * @property {PriceUpdate} message
 */

/** @typedef {{prices: Prices, status: Status, subscribed: Subscribed, connection: Connection, error: Rejection}} Events */

/**
 * @typedef {object} Dispatcher  An EventTarget with typed events.
 * @property {<T extends keyof Events>(type: T, listener: (event: CustomEvent<Events[T]>) => void,
 *   options?: boolean|AddEventListenerOptions) => void} addEventListener
 * @property {<T extends keyof Events>(type: T, listener: (event: CustomEvent<Events[T]>) => void,
 *   options?: boolean|EventListenerOptions) => void} removeEventListener
 * @property {(event: Event) => boolean} dispatchEvent
 */

/**
 * Events, each a CustomEvent:
 * - `prices`, detail `{data, changes, candles, message}`: the quotes of all subscribed metals; the significant moves
 *   since the last update (often none); candles by metal and interval, if the options name intervals; and the whole
 *   message, with `currency`, `unit`, `timestamp`, `seq`.
 *   Each move is in `changes` once. After a reconnect these are all missed moves, if the server still has them: if not,
 *   or if its database was restored meanwhile (another `message.epoch`), `message.snapshot` is true. For a metal that was
 *   added meanwhile, they include those since the connection was lost.
 *   The last candle of each interval is live: replace the candle with the same `start` by each new one.
 * - `status`, detail: the server's `status` message (`feed`, `market`, `nextChange`, `metals`, …).
 * - `subscribed`, detail `{metals, interval, …}`: the subscription that the server confirmed.
 * - `connection`, detail: a {@link Connection}.
 * - `error`, detail `{code, message}`: the server rejected a message, or (`unreadable_message`) sent an unreadable one.
 *   The connection stays open.
 */
export class SwarnaClient extends /** @type {new () => Dispatcher} */ (EventTarget) {
  #url;
  /** @type {Options} */
  #options;
  #token;
  /** @type {string|null}  The token of this connection, which may be older than `#token`. */
  #shownToken = null;
  /** @type {WebSocket|null} */
  #socket = null;
  /** @type {AbortController|null} */
  #socketEvents = null;
  /** @type {AbortController|null} */
  #pageEvents = null;
  /**
   * The timer of the current state: until it opens, until the next ping, until its answer, or until the next retry.
   * @type {ReturnType<typeof setTimeout>|undefined}
   */
  #timer;
  /** @type {ReturnType<typeof setInterval>|undefined}  Checks the wall clock while connected. */
  #watch;
  /** @type {Connection} */
  #connection = Object.freeze({ state: "idle" });
  #attempt = 0;
  /** @type {number|null} */
  #restartDelay = null;
  /** True after an announced restart, until the next price: a server that only announces restarts is failing. */
  #restarted = false;
  #lastHeard = new Moment();
  #pinging = false;
  #lastPinged = new Moment();
  /** @type {number|null} */
  #clockOffset = null;
  #selection = new Selection();
  #subscriptions = new Subscriptions((choice) => this.#sendChoice(choice));
  /** True if this connection was sent `subscribe` to all metals, though the page has not called `subscribe`. */
  #sentAll = false;
  /** True if the page has subscribed to metals since the last snapshot. */
  #grown = false;
  #continuity = new Continuity();
  /** @type {Quotes} */
  #prices = {};
  /** @type {string|null}  The position of the prices: the server's epoch, and `seq` in it. */
  #epoch = null;
  #seq = -Infinity;
  /** @type {Status|null} */
  #status = null;
  /** @type {number|null} */
  #interval = null;

  /**
   * @param {string|URL} url  `ws:`, `wss:`, `http:`, `https:`, or relative to the page.
   * @param {Partial<Options>} [options]
   * @throws {SyntaxError|TypeError} if the URL is not a WebSocket's, or an option cannot be sent.
   */
  constructor(url, options = {}) {
    super();
    this.#url = webSocketUrl(url);
    this.#options = { ...DEFAULTS, ...given(options) };
    this.#token = sendableToken(this.#options.token);
    requireInterval(this.#options.interval);
    requireCandles(this.#options.candles);
  }

  /**
   * The latest quote of each subscribed metal. They are kept when the connection, or the server's database, is lost: show
   * them as live only if `connected`, and unless `status.feed` is `down`.
   */
  get prices() {
    return this.#prices;
  }

  /** The server's last `status` message; null while there is none or no connection. */
  get status() {
    return this.#status;
  }

  /** The least time between updates in milliseconds, as the server confirmed it; null for none. */
  get interval() {
    return this.#interval;
  }

  get connected() {
    return this.#connection.state === "open";
  }

  /** @returns {Connection} */
  get connection() {
    return this.#connection;
  }

  /** The server's time in milliseconds, estimated from its messages; for the age of a quote. */
  get serverTime() {
    return this.#clockOffset === null ? Date.now() : performance.now() + this.#clockOffset;
  }

  /**
   * Connects, and from then on reconnects. While waiting for a retry or after closing, tries again at once; while
   * connecting or connected, does nothing.
   * @throws {DOMException} SecurityError, for a `ws:` URL in an `https:` page.
   */
  connect() {
    if (this.#socket) return;
    this.#attempt = 0;
    this.#restarted = false;
    this.#watchPage();
    this.#open();
  }

  /**
   * Uses another token (null: none) for all further connections. If the server rejected the last token, connects at
   * once. An open connection stays, and is replaced when the server closes it as unauthorized.
   * @param {string|null} token
   * @throws {TypeError} if it has characters that a subprotocol's name may not have.
   */
  authenticate(token) {
    this.#token = sendableToken(token);
    if (this.#connection.why === "unauthorized" && this.#token !== this.#shownToken) this.connect();
  }

  /** Closes the connection and stops all timers; no event follows `closed`. `connect` starts again. */
  close() {
    // The page is watched from `connect` until the client is closed.
    if (this.#pageEvents) this.#finish({ code: NORMAL, reason: "Closed by the page", why: "page" });
  }

  /**
   * Subscribes to metals. All are sent at first: the first call narrows them to its own, later calls add.
   * The subscription is kept while disconnected, and restored on each connection. Changes in quick succession are sent
   * together to stay within the server's rate limit.
   * @param {Named[]} metals  Names, or `["*"]` for all.
   * @throws {TypeError} if it is not a non-empty array of names.
   */
  subscribe(metals) {
    this.#select("subscribe", metals);
  }

  /** Unsubscribes from metals; see `subscribe`. @param {Named[]} metals @throws {TypeError} */
  unsubscribe(metals) {
    this.#select("unsubscribe", metals);
  }

  /** @param {Choice} type @param {Named[]} metals */
  #select(type, metals) {
    requireNames(metals);
    const narrows = this.#selection.isNarrowedBy(type, metals);
    this.#selection[type](metals);
    this.#prices = this.#selection.of(this.#prices);
    if (type === "subscribe") this.#grown = true;
    if (!this.connected) return;
    // The server has had a `subscribe` already, so that this one would add.
    if (narrows && this.#sentAll) this.#subscriptions.change("unsubscribe", ["*"]);
    this.#subscriptions.change(type, metals);
  }

  #open() {
    const bearer = this.#token === null ? [] : [BEARER + this.#token];
    const socket = new WebSocket(this.#url, [SUBPROTOCOL, ...bearer]);
    this.#shownToken = this.#token;
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
    this.#lastHeard = new Moment();
    // Not every device announces that it slept. In a hidden page, timers are late anyway.
    this.#watch = setInterval(() => globalThis.document?.hidden || this.#leaveTheDead(), SECOND);
    // The answer brings the server's time, which a snapshot does not.
    this.#ping();
    this.#restore();
    this.#enter({ state: "open" });
  }

  /** Sends a new connection the subscription, and the position to resume from. */
  #restore() {
    const { since, epoch } = this.#continuity;
    const matters = since !== null || this.#options.interval !== null || this.#options.candles !== null;
    const choices = this.#selection.toRestore(matters);
    this.#sentAll = !this.#selection.subscribed && choices.some(([type]) => type === "subscribe");
    for (const [type, metals] of choices) {
      const resumes = type === "subscribe" && since !== null;
      if (resumes) this.#continuity.request();
      const its = epoch !== null && { epoch };
      this.#subscriptions.send(resumes ? { type, metals, since, ...its, id: RESUME } : { type, metals });
    }
  }

  /** @param {Request} choice */
  #sendChoice(choice) {
    const { interval, candles } = this.#options;
    const how = { ...(interval !== null && { interval }), ...(candles !== null && { candles }) };
    this.#send(choice.type === "subscribe" ? { ...choice, ...how } : choice);
  }

  /** Any message proves the connection, so a ping is due only after silence. */
  #heard() {
    this.#lastHeard = new Moment();
    this.#pinging = false;
    this.#after(this.#options.heartbeatInterval, () => this.#ping());
  }

  #ping() {
    this.#pinging = true;
    this.#lastPinged = new Moment();
    this.#send({ type: "ping" });
    this.#after(this.#options.heartbeatTimeout, () => this.#lost(SILENT, "The server fell silent"));
  }

  /** @param {object} message */
  #send(message) {
    /** @type {WebSocket} */ (this.#socket).send(JSON.stringify(message));
  }

  /** @param {string} text */
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

  /** @param {Message} message */
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
        this.#restartDelay = restartDelay(message.afterMs) ?? this.#backoff(1);
        break;
      case "subscribed":
      case "unsubscribed":
        this.#confirmed(message);
        break;
      case "error":
        if (message.id === RESUME) this.#continuity.reject();
        this.#emit("error", message);
        break;
      // A pong carries nothing to act on, and a newer server may send types that this client does not know.
    }
  }

  /** @param {PriceUpdate} message */
  #updated(message) {
    // Only prices reset the retries: a server that accepts and closes at once must not be hammered.
    this.#attempt = 0;
    this.#restarted = false;
    const { data, changes = [], candles = {}, epoch = this.#epoch, seq = this.#seq, snapshot = false } = message;
    // Prices go back only with a snapshot or another epoch, as the server's database may have been restored. But an
    // update before the answer to `since` may come from a server that has not caught up.
    const isOther = this.#epoch !== null && epoch !== this.#epoch;
    const goesBack = isOther || (seq < this.#seq && snapshot);
    const isOld = goesBack ? this.#continuity.isPending : seq < this.#seq;
    const position = { epoch, seq };
    const moves = this.#continuity
      .take(changes, position, snapshot)
      .filter(({ metal }) => this.#selection.has(metal));
    if (!isOld) this.#show(data, position, snapshot);
    else if (moves.length === 0) return;
    const drawn = isOld ? {} : this.#selection.of(candles);
    this.#emit("prices", { data: this.#prices, changes: moves, candles: drawn, message });
  }

  /** @param {Quotes} data @param {Position} position @param {boolean} snapshot */
  #show(data, { epoch, seq }, snapshot) {
    this.#epoch = epoch;
    this.#seq = seq;
    this.#prices = this.#selection.of(data);
    if (snapshot) this.#grown = false;
  }

  /** @param {Subscribed} message */
  #confirmed(message) {
    this.#interval = message.interval ?? null;
    if (message.id === RESUME) {
      this.#continuity.answer();
      // A server that resumes sends only news, not the price of a metal that was added while it was away.
      if (this.#grown) for (const choice of this.#selection.toRestore(true)) this.#subscriptions.change(...choice);
    }
    this.#emit("subscribed", message);
  }

  /**
   * Estimates the server's clock by the least delayed message, of those with the time at which they were sent.
   * @param {Message} message
   */
  #compareClocks(message) {
    const isAnswer = message.type === "pong";
    if (!isAnswer && (message.type !== "priceUpdate" || message.snapshot)) return;
    const offset = Date.parse(message.timestamp) - performance.now();
    if (Number.isNaN(offset)) return;
    const known = this.#clockOffset ?? -Infinity;
    // A pong is never that late: the server's clock was set back. An update may be, so a ping checks it.
    const seemsSetBack = known - offset > this.#options.heartbeatTimeout + (this.#interval ?? 0);
    if (!isAnswer && seemsSetBack && this.#mayPing) this.#ping();
    const wasSetBack = isAnswer && known - offset > this.#options.heartbeatTimeout;
    this.#clockOffset = wasSetBack ? offset : Math.max(offset, known);
  }

  /** @param {number} code @param {string} reason */
  #lost(code, reason) {
    const restartDelay = this.#restartDelay;
    const isRestart = restartDelay !== null && !this.#restarted;
    if (code === POLICY) {
      this.#refused(code, reason);
    } else if (isRestart) {
      this.#restarted = true;
      this.#letGo();
      // The server has spread the delays over its clients.
      this.#retryAfter(restartDelay, { code, reason, why: "restart" });
    } else if (this.#attempt >= this.#options.maxReconnectAttempts) {
      this.#letGo();
      this.#enter({ state: "closed", code, reason, why: "gave up" });
    } else {
      this.#letGo();
      this.#attempt += 1;
      this.#retryAfter(Math.max(this.#backoff(this.#attempt), restartDelay ?? 0), { code, reason });
    }
  }

  /** @param {number} code @param {string} reason */
  #refused(code, reason) {
    if (reason !== UNAUTHORIZED) {
      this.#finish({ code, reason, why: "refused" });
    } else if (this.#token === this.#shownToken) {
      this.#finish({ code, reason, why: "unauthorized" });
    } else {
      this.#letGo();
      this.#open();
    }
  }

  /** @param {number} delay @param {Pick<Connection, "code"|"reason"|"why">} end */
  #retryAfter(delay, end) {
    this.#after(delay, () => this.#open());
    this.#enter({ state: "waiting", attempt: this.#attempt, delay, retryAt: Date.now() + delay, ...end });
  }

  /** @param {number} attempt */
  #backoff(attempt) {
    const { reconnectDelay, maxReconnectDelay, jitter } = this.#options;
    const doubled = Math.min(reconnectDelay * 2 ** (attempt - 1), maxReconnectDelay);
    return Math.round(doubled * (1 + jitter * Math.random()));
  }

  /** @param {Pick<Connection, "code"|"reason"|"why">} end */
  #finish(end) {
    this.#pageEvents?.abort();
    this.#pageEvents = null;
    this.#letGo();
    this.#enter({ state: "closed", ...end });
  }

  /** Drops the socket without waiting for its `close` event, which can take a minute if the server is gone. */
  #letGo() {
    clearTimeout(this.#timer);
    clearInterval(this.#watch);
    this.#subscriptions.reset();
    this.#continuity.interrupt();
    this.#socketEvents?.abort();
    this.#socket?.close(NORMAL);
    this.#socket = null;
    this.#status = null;
    this.#interval = null;
  }

  #watchPage() {
    if (this.#pageEvents) return;
    this.#pageEvents = new AbortController();
    const { signal } = this.#pageEvents;
    globalThis.addEventListener?.("online", () => this.#wake(), { signal });
    globalThis.document?.addEventListener("visibilitychange", () => document.hidden || this.#wake(), { signal });
  }

  /** After a sleep, in which timers stood still too, a connection that looks open may be dead. */
  #wake() {
    const isQuiet = this.#lastHeard.passed > this.#options.heartbeatTimeout;
    if (this.#connection.state === "closed") this.connect();
    else if (!this.#leaveTheDead() && isQuiet && this.#mayPing) this.#ping();
  }

  /** True if a `ping` without silence may be sent: these must stay within the server's rate limit. */
  get #mayPing() {
    return this.connected && !this.#pinging && this.#lastPinged.passed > this.#options.heartbeatInterval;
  }

  /** Replaces an open connection that has been silent for longer than a heartbeat, and returns true if it did. */
  #leaveTheDead() {
    const { heartbeatInterval, heartbeatTimeout } = this.#options;
    const wasSilent = this.#lastHeard.passed > heartbeatInterval + heartbeatTimeout;
    const isDead = this.connected && wasSilent && this.#lastPinged.passed > heartbeatTimeout;
    if (isDead) {
      this.#letGo();
      this.#open();
    }
    return isDead;
  }

  /** @param {number} milliseconds @param {() => void} action */
  #after(milliseconds, action) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(action, milliseconds);
  }

  /** @param {Connection} connection */
  #enter(connection) {
    this.#connection = Object.freeze(connection);
    this.#emit("connection", this.#connection);
  }

  /** @template {keyof Events} T @param {T} type @param {Events[T]} detail */
  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/** The subscription of the page, by the server's rules: all metals; the first `subscribe` narrows, later ones add. */
class Selection {
  #subscribed = false;
  #narrowed = false;
  /** @type {Set<Named>}  The subscribed metals if narrowed, else the others. */
  #metals = new Set();

  /** @param {Named[]} metals */
  subscribe(metals) {
    if (metals.includes("*")) this.#reset(false);
    else if (!this.#subscribed) this.#reset(true);
    this.#subscribed = true;
    this.#mark(metals, this.#narrowed);
  }

  /** @param {Named[]} metals */
  unsubscribe(metals) {
    if (metals.includes("*")) this.#reset(true);
    this.#mark(metals, !this.#narrowed);
  }

  /** True once the page has called `subscribe`. */
  get subscribed() {
    return this.#subscribed;
  }

  /** Returns true for the first `subscribe` that is not to all. @param {Choice} type @param {Named[]} metals */
  isNarrowedBy(type, metals) {
    return type === "subscribe" && !this.#subscribed && !metals.includes("*");
  }

  /** @param {Metal} metal */
  has(metal) {
    return this.#metals.has(metal) === this.#narrowed;
  }

  /**
   * The entries of an object by metal that are subscribed; others may still have been on their way.
   * @template {object} T
   * @param {T} byMetal
   * @returns {T}
   */
  of(byMetal) {
    const entries = Object.entries(byMetal).filter(([metal]) => this.has(/** @type {Metal} */ (metal)));
    return /** @type {T} */ (Object.fromEntries(entries));
  }

  /**
   * The messages, as `[type, metals]`, that give a new connection this subscription, so that later changes have the same
   * meaning for both; with `insist`, a `subscribe` in any case if the page wants metals.
   * @param {boolean} insist
   * @returns {[Choice, Named[]][]}
   */
  toRestore(insist) {
    const listed = [...this.#metals];
    if (this.#narrowed) return [listed.length ? ["subscribe", listed] : ["unsubscribe", ["*"]]];
    /** @type {[Choice, Named[]][]} */
    const all = this.#subscribed || insist ? [["subscribe", ["*"]]] : [];
    return listed.length ? [...all, ["unsubscribe", listed]] : all;
  }

  /** @param {boolean} narrowed */
  #reset(narrowed) {
    this.#narrowed = narrowed;
    this.#metals.clear();
  }

  /** @param {Named[]} metals @param {boolean} listed */
  #mark(metals, listed) {
    for (const metal of metals) {
      if (listed && metal !== "*") this.#metals.add(metal);
      else this.#metals.delete(metal);
    }
  }
}

/**
 * Passes each move on once, across connections.
 *
 * A new connection begins with a snapshot, and maybe updates, before the server has read `since`. Their moves are kept
 * back: the answer to `since` repeats them, unless it is a snapshot.
 */
class Continuity {
  /**
   * The `seq` up to which every move was passed on, or is lost; null if the server gave none.
   * @type {number|null}
   */
  #since = null;
  /** @type {string|null}  The epoch of `#since`; null if the server gave none. */
  #epoch = null;
  /** @type {{kept: Move[], isAnswered: boolean, isRejected: boolean}|null} */
  #resume = null;

  get since() {
    return this.#since;
  }

  get epoch() {
    return this.#epoch;
  }

  /** True until the answer to `since`. */
  get isPending() {
    return this.#resume !== null && !this.#resume.isAnswered;
  }

  /** `since` is sent on this connection. */
  request() {
    this.#resume = { kept: [], isAnswered: false, isRejected: false };
  }

  /** The server has read `since`: its next update has all missed moves, or is a snapshot. */
  answer() {
    if (this.#resume) this.#resume.isAnswered = true;
  }

  /** The server has rejected `since`: its updates continue from the begin of the connection. */
  reject() {
    if (this.#resume) Object.assign(this.#resume, { isAnswered: true, isRejected: true });
  }

  /** The connection is lost: the next one requests the kept moves again. */
  interrupt() {
    this.#resume = null;
  }

  /**
   * Returns the moves to pass on with an update.
   * @param {Move[]} changes
   * @param {Position} position
   * @param {boolean} snapshot
   */
  take(changes, { epoch, seq }, snapshot) {
    const isOfThis = this.#epoch === null || epoch === this.#epoch;
    if (this.#since !== null && isOfThis && seq <= this.#since && !snapshot) return [];
    const resume = this.#resume;
    if (resume && !resume.isAnswered) {
      resume.kept.push(...changes);
      return [];
    }
    this.#resume = null;
    this.#since = Number.isSafeInteger(seq) ? seq : null;
    this.#epoch = typeof epoch === "string" ? epoch : null;
    return resume && (snapshot || resume.isRejected) ? [...resume.kept, ...changes] : changes;
  }
}

/** Sends the server changes of the subscription: at once, or merged as soon as its rate limit allows. */
class Subscriptions {
  #send;
  /** @type {Map<Named, Choice>} */
  #unsent = new Map();
  /** @type {number[]} */
  #sentAt = [];
  /** @type {ReturnType<typeof setTimeout>|undefined} */
  #timer;

  /** @param {(choice: Request) => void} send */
  constructor(send) {
    this.#send = send;
  }

  /** @param {Choice} type @param {Named[]} metals */
  change(type, metals) {
    if (metals.includes("*")) this.#unsent.clear();
    for (const metal of metals) this.#unsent.set(metal, type);
    this.#sendChanges();
  }

  /**
   * Sends one message at once.
   * @param {Request} message
   */
  send(message) {
    this.#send(message);
    this.#sentAt.push(performance.now());
  }

  /** Drops unsent changes with the connection. */
  reset() {
    clearTimeout(this.#timer);
    this.#unsent.clear();
    this.#sentAt = [];
  }

  #sendChanges() {
    const now = performance.now();
    this.#sentAt = this.#sentAt.filter((at) => now - at < MINUTE);
    clearTimeout(this.#timer);
    if (this.#sentAt.length >= SUBSCRIPTION_MESSAGES_A_MINUTE) {
      this.#timer = setTimeout(() => this.#sendChanges(), this.#sentAt[0] + MINUTE - now);
      return;
    }
    // "*" overrides all before it, so it is always the first entry and must be sent first.
    for (const [type, metals] of groupedByType(this.#unsent)) this.send({ type, metals });
    this.#unsent.clear();
  }
}

/**
 * A moment, and the time passed since, by the clock that shows more: the steady clock stops on some devices while they
 * sleep, and the wall clock may be set back.
 */
class Moment {
  #wall = Date.now();
  #steady = performance.now();

  get passed() {
    return Math.max(Date.now() - this.#wall, performance.now() - this.#steady);
  }
}

/** @param {Map<Named, Choice>} types */
function groupedByType(types) {
  /** @type {Map<Choice, Named[]>} */
  const metals = new Map();
  for (const [metal, type] of types) metals.set(type, [...(metals.get(type) ?? []), metal]);
  return metals;
}

/** @param {string|URL} url */
function webSocketUrl(url) {
  const absolute = new URL(url, globalThis.location?.href);
  absolute.protocol = absolute.protocol.replace(/^http/, "ws");
  if (!["ws:", "wss:"].includes(absolute.protocol)) throw new SyntaxError(`${url} is not a WebSocket's URL`);
  return absolute.href;
}

/** The options without undefined ones, which have their defaults. @param {Partial<Options>} options */
function given(options) {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}

/** @param {unknown} metals */
function requireNames(metals) {
  const named = Array.isArray(metals) && metals.length > 0 && metals.every((metal) => typeof metal === "string");
  if (!named) throw new TypeError("metals must be a non-empty array of names");
}

/** The token, or null for none. The error does not repeat it, as errors end up in logs. @param {unknown} token */
function sendableToken(token) {
  if (token == null) return null;
  if (typeof token === "string" && SUBPROTOCOL_NAME.test(token)) return token;
  throw new TypeError("token must be made of letters, digits and !#$%&'*+-.^_`|~, as the server issued it");
}

/** @param {number|null} interval */
function requireInterval(interval) {
  const sendable = interval === null || (Number.isSafeInteger(interval) && interval >= 0);
  if (!sendable) throw new TypeError("interval must be whole milliseconds, 0 or more");
}

/** @param {unknown} intervals */
function requireCandles(intervals) {
  const named = Array.isArray(intervals) && intervals.every((interval) => typeof interval === "string");
  if (intervals !== null && !named) throw new TypeError('candles must be an array of intervals, such as ["1m"]');
}

/** The delay that a restarting server names; null if it is invalid. @param {number} afterMs */
function restartDelay(afterMs) {
  return Number.isFinite(afterMs) && afterMs >= 0 ? Math.min(afterMs, LONGEST_RESTART) : null;
}

/**
 * The message in a text; null if it is not one, or a price update that cannot be shown.
 * @param {string} text
 * @returns {Message|null}
 */
function parsed(text) {
  try {
    /** @type {unknown} */
    const message = JSON.parse(text);
    const readable = isRecord(message) && (message.type !== "priceUpdate" || isUpdate(message));
    return readable ? /** @type {Message} */ (message) : null;
  } catch {
    return null;
  }
}

/** @param {Record<string, unknown>} message */
function isUpdate({ data, changes = [], candles = {} }) {
  const byMetal = [data, candles].every((part) => isRecord(part) && Object.values(part).every(isRecord));
  return byMetal && Array.isArray(changes) && changes.every(isRecord);
}

/** @param {unknown} value @returns {value is Record<string, unknown>} */
function isRecord(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
