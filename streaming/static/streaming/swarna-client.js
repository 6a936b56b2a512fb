/**
 * Live metal prices from a Swarna server (protocol `swarnaai-v1`), kept connected for as long as the page wants them.
 *
 *     const client = new SwarnaClient("wss://prices.example/ws/prices/");
 *     client.addEventListener("prices", ({ detail }) => show(detail.data, detail.changes));
 *     client.connect();
 */

const SUBPROTOCOL = "swarnaai-v1";
/** Before a token this is a subprotocol too: a browser lets a page set no header of a WebSocket. */
const BEARER = "swarnaai.bearer.";
/** What the name of a subprotocol may be made of (RFC 9110, `token`). */
const SUBPROTOCOL_NAME = /^[\w!#$%&'*+.^`|~-]+$/;

/** Close codes of RFC 6455 and one of our own, for a server that has gone silent. */
const NORMAL = 1000;
const POLICY = 1008;
const SILENT = 4000;
/** The reason for a 1008 that no waiting mends. */
const UNAUTHORIZED = "Unauthorized";

/** Marks our `subscribe` with `since`, so that its answer is known from others. */
const RESUME = "resume";

/** The server allows 10 messages a minute; these are for changes of subscription, the rest is for heartbeats. */
const SUBSCRIPTION_MESSAGES_A_MINUTE = 5;
const SECOND = 1_000;
const MINUTE = 60_000;

/** No server means to send a page away for longer, and a timer past 2^31 ms would fire at once. */
const LONGEST_RESTART = 5 * MINUTE;

/** @typedef {"gold"|"silver"|"platinum"|"palladium"} Metal */
/** @typedef {"1m"|"5m"|"15m"|"1h"|"1d"} Interval  Of a candle. */
/** @typedef {"live"|"stale"|"fallback"|"simulated"|"down"} Feed  What kind of price is shown. */
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
 * @property {boolean} stale  Whether it is older than the freshness limit.
 * @property {number} [bid]
 * @property {number} [ask]
 * @property {boolean} [example]  True for a fallback that no member of staff has entered or confirmed.
 */

/** @typedef {{[metal in Metal]?: Quote}} Quotes  By metal; one that has no price is not there. */

/**
 * @typedef {object} Move  A significant move between two prices, one after the other.
 * @property {Metal} metal
 * @property {number} oldPrice
 * @property {number} newPrice
 * @property {number} changePercent
 * @property {"up"|"down"} direction
 */

/**
 * @typedef {object} Candle  What a price did from `start` until before `end`.
 * @property {string} start
 * @property {string} end
 * @property {number} open
 * @property {number} high
 * @property {number} low
 * @property {number} close
 * @property {number} ticks  Of how many prices it was made.
 * @property {boolean} closed  Whether it stays as it is.
 */

/** @typedef {{[metal in Metal]?: {[interval in Interval]?: Candle[]}}} Candles */

/**
 * @typedef {object} PriceUpdate  The server's message with prices.
 * @property {"priceUpdate"} type
 * @property {Quotes} data
 * @property {Move[]} changes
 * @property {Candles} [candles]
 * @property {string} timestamp  When it was published.
 * @property {string} epoch  The history that `seq` is of.
 * @property {number} seq
 * @property {boolean} snapshot  Whether this is the state, and not what follows the last update.
 * @property {string} currency
 * @property {string} unit
 */

/**
 * @typedef {object} Status  The server's message of what is being shown.
 * @property {"status"} type
 * @property {Feed} feed  That of the least real metal.
 * @property {"open"|"closed"} market
 * @property {string} nextChange  When the market opens or closes next.
 * @property {string|null} source
 * @property {{[metal in Metal]?: Feed}} metals
 * @property {string} [epoch]
 * @property {string} timestamp
 */

/**
 * @typedef {object} Subscribed  The server's word on what it sends from now on.
 * @property {"subscribed"|"unsubscribed"} type
 * @property {Metal[]} metals
 * @property {number|null} interval
 * @property {string} [epoch]
 * @property {Interval[]} [candles]
 * @property {Scalar} [id]
 */

/**
 * @typedef {object} Rejection  Why a message of ours was not acted upon, or the server's could not be read.
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
/** @typedef {{type: Choice, metals: Named[], since?: number, epoch?: string, id?: Scalar}} Told */

/**
 * @typedef {object} Options  All times in milliseconds.
 * @property {string|null} token  Credential that the server is shown; see `authenticate` for another one later.
 * @property {number|null} interval  At most one update in this time, merged from all that there were; a whole number.
 * @property {Interval[]|null} candles  Intervals of candles that come with each update, such as `["1m", "1d"]`.
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
 * @typedef {object} Connection  What `client.connection` and the `connection` event hold.
 * @property {"idle"|"connecting"|"open"|"waiting"|"closed"} state
 * @property {number} [attempt]  `connecting`, `waiting`: which retry this is, from 1; 0 is none, also when the server
 *   announced its restart.
 * @property {number} [delay]  `waiting`: milliseconds from the start of the wait to the retry.
 * @property {number} [retryAt]  `waiting`: the same as a time, comparable with `Date.now()`.
 * @property {number} [code]  `waiting`, `closed`: the close code; 1006 where the network failed, 4000 where the server
 *   fell silent.
 * @property {string} [reason]  `waiting`, `closed`: the server's words, or ours; may be empty.
 * @property {"restart"|"page"|"unauthorized"|"refused"|"gave up"} [why]  `waiting`: `restart` where the server said
 *   that it restarts and when to come back. `closed`: `close()` was called; the server wants a credential, or another
 *   one, and is not tried again until `authenticate()` or `connect()`; it closed with another 1008 and is not tried
 *   again until `connect()`; or the retries are used up, and it resumes when the device comes online or the page into
 *   view.
 */

/**
 * @typedef {object} Prices  What a `prices` event brings.
 * @property {Quotes} data
 * @property {Move[]} changes
 * @property {Candles} candles
 * @property {PriceUpdate} message
 */

/** @typedef {{prices: Prices, status: Status, subscribed: Subscribed, connection: Connection, error: Rejection}} Events */

/**
 * @typedef {object} Dispatcher  An EventTarget whose events are known by name.
 * @property {<T extends keyof Events>(type: T, listener: (event: CustomEvent<Events[T]>) => void,
 *   options?: boolean|AddEventListenerOptions) => void} addEventListener
 * @property {<T extends keyof Events>(type: T, listener: (event: CustomEvent<Events[T]>) => void,
 *   options?: boolean|EventListenerOptions) => void} removeEventListener
 * @property {(event: Event) => boolean} dispatchEvent
 */

/**
 * Events, each a CustomEvent:
 * - `prices`, detail `{data, changes, candles, message}`: the quotes by metal, complete for what is subscribed; the
 *   significant moves since the last update (often none); candles by metal and interval, where the options ask for any;
 *   and the whole message, with `currency`, `unit`, `timestamp`, `seq`.
 *   Each move is in `changes` once. After a reconnect they are all that were missed, where the server still holds them:
 *   where not, or where its database was put back meanwhile (`message.epoch` is another one), `message.snapshot` is true.
 *   A metal that was added meanwhile brings those since the loss along.
 *   The last candle of each interval is live: put each one in the place of the one that you have with its `start`.
 * - `status`, detail: the server's `status` message (`feed`, `market`, `nextChange`, `metals`, …).
 * - `subscribed`, detail `{metals, interval, …}`: what the server sends from now on, as it confirmed it.
 * - `connection`, detail: a {@link Connection}.
 * - `error`, detail `{code, message}`: the server rejected a message of ours, or (`unreadable_message`) sent one that
 *   cannot be read. The connection goes on.
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
   * The one thing waited for: that it opens, that it speaks, that it answers a ping, or that a retry is due.
   * @type {ReturnType<typeof setTimeout>|undefined}
   */
  #timer;
  /** @type {ReturnType<typeof setInterval>|undefined}  Looks at the clock on the wall while there is a connection. */
  #watch;
  /** @type {Connection} */
  #connection = Object.freeze({ state: "idle" });
  #attempt = 0;
  /** @type {number|null} */
  #restartDelay = null;
  /** Whether a restart was waited for since the last price: a server that sends nothing but its restarts is failing. */
  #restarted = false;
  #lastHeard = new Moment();
  #pinging = false;
  #lastPinged = new Moment();
  /** @type {number|null} */
  #clockOffset = null;
  #selection = new Selection();
  #subscriptions = new Subscriptions((choice) => this.#sendChoice(choice));
  /** Whether this connection was told to send all metals, though the page has not called `subscribe`. */
  #toldAll = false;
  /** Whether the page asked for metals that no snapshot has come for since. */
  #grown = false;
  #continuity = new Continuity();
  /** @type {Quotes} */
  #prices = {};
  /** @type {string|null}  Where the prices are from: the history of the server's numbers, and the number in it. */
  #epoch = null;
  #seq = -Infinity;
  /** @type {Status|null} */
  #status = null;
  /** @type {number|null} */
  #interval = null;

  /**
   * @param {string|URL} url  `ws:`, `wss:`, `http:`, `https:`, or relative to the page.
   * @param {Partial<Options>} [options]
   * @throws {SyntaxError|TypeError} where the URL cannot be a WebSocket's, or an option cannot be sent.
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
   * The latest quote of each subscribed metal. They outlive the connection, and a server that has lost them: show them as
   * live only if `connected`, and unless `status.feed` is `down`.
   */
  get prices() {
    return this.#prices;
  }

  /** The server's last `status` message; null while there is none or no connection. */
  get status() {
    return this.#status;
  }

  /** Milliseconds from one update to the next at least, as the server confirmed it; null while there are none. */
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

  /** The server's clock in milliseconds, as near as its messages tell; for the age of a quote. */
  get serverTime() {
    return this.#clockOffset === null ? Date.now() : performance.now() + this.#clockOffset;
  }

  /**
   * Connects, and from then on reconnects. While it waits for a retry or after it has closed: tries anew, at once.
   * Does nothing while connecting or connected.
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
   * Takes another token (null: none) for every connection from now on. Where the server refused the last one, connects
   * with it at once. Where there is a connection it stays, and is replaced when the server ends it as unauthorized.
   * @param {string|null} token
   * @throws {TypeError} where it holds what a subprotocol's name may not.
   */
  authenticate(token) {
    this.#token = sendableToken(token);
    if (this.#connection.why === "unauthorized" && this.#token !== this.#shownToken) this.connect();
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
   * @param {Named[]} metals  Names, or `["*"]` for all.
   * @throws {TypeError} unless it is a non-empty array of names.
   */
  subscribe(metals) {
    this.#select("subscribe", metals);
  }

  /** Asks for these metals no longer; see `subscribe`. @param {Named[]} metals @throws {TypeError} */
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
    // To this server that is no first `subscribe`: it would add.
    if (narrows && this.#toldAll) this.#subscriptions.change("unsubscribe", ["*"]);
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
    // Not every device says that it slept. In a page out of view timers are late by themselves.
    this.#watch = setInterval(() => globalThis.document?.hidden || this.#leaveTheDead(), SECOND);
    // Not only to see that someone is there: the answer tells the server's time, which a snapshot does not.
    this.#ping();
    this.#restore();
    this.#enter({ state: "open" });
  }

  /** Tells a new connection what is wanted, and from where on. */
  #restore() {
    const { since, epoch } = this.#continuity;
    const matters = since !== null || this.#options.interval !== null || this.#options.candles !== null;
    const choices = this.#selection.toRestore(matters);
    this.#toldAll = !this.#selection.subscribed && choices.some(([type]) => type === "subscribe");
    for (const [type, metals] of choices) {
      const resumes = type === "subscribe" && since !== null;
      if (resumes) this.#continuity.ask();
      const its = epoch !== null && { epoch };
      this.#subscriptions.tell(resumes ? { type, metals, since, ...its, id: RESUME } : { type, metals });
    }
  }

  /** @param {Told} choice */
  #sendChoice(choice) {
    const { interval, candles } = this.#options;
    const how = { ...(interval !== null && { interval }), ...(candles !== null && { candles }) };
    this.#send(choice.type === "subscribe" ? { ...choice, ...how } : choice);
  }

  /** Any message shows that the server lives; only silence is worth a ping. */
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
        if (message.id === RESUME) this.#continuity.refuse();
        this.#emit("error", message);
        break;
      // A pong carries nothing to act on, and a newer server may send types that this client does not know.
    }
  }

  /** @param {PriceUpdate} message */
  #updated(message) {
    // Only now is the connection good for anything: a server that accepts and closes again must not be hammered.
    this.#attempt = 0;
    this.#restarted = false;
    const { data, changes = [], candles = {}, epoch = this.#epoch, seq = this.#seq, snapshot = false } = message;
    // Prices go back only with a snapshot, or to another history: the server's database may have been put back. But what
    // precedes the answer to `since` may be from a server that has not caught up.
    const isOther = this.#epoch !== null && epoch !== this.#epoch;
    const goesBack = isOther || (seq < this.#seq && snapshot);
    const isOld = goesBack ? this.#continuity.asks : seq < this.#seq;
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
      // Resumed, a server sends only what is new: not the price of a metal that was added while it was away.
      if (this.#grown) for (const choice of this.#selection.toRestore(true)) this.#subscriptions.change(...choice);
    }
    this.#emit("subscribed", message);
  }

  /**
   * Of the messages that are written as they are sent, the least delayed one tells the server's clock best.
   * @param {Message} message
   */
  #compareClocks(message) {
    const isAnswer = message.type === "pong";
    if (!isAnswer && (message.type !== "priceUpdate" || message.snapshot)) return;
    const offset = Date.parse(message.timestamp) - performance.now();
    if (Number.isNaN(offset)) return;
    const known = this.#clockOffset ?? -Infinity;
    // So late no answer is: the server's clock was put back. An update may be: then it is asked for one.
    const seemsPutBack = known - offset > this.#options.heartbeatTimeout + (this.#interval ?? 0);
    if (!isAnswer && seemsPutBack && this.#mayPing) this.#ping();
    const wasPutBack = isAnswer && known - offset > this.#options.heartbeatTimeout;
    this.#clockOffset = wasPutBack ? offset : Math.max(offset, known);
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
      // What the server names is already spread over its clients.
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

  /** Leaves the socket to close by itself: where the server is gone, its `close` event can be a minute away. */
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

  /** A device that slept may hold a dead connection that looks open, since its timers slept too. */
  #wake() {
    const isDoubtful = this.#lastHeard.passed > this.#options.heartbeatTimeout;
    if (this.#connection.state === "closed") this.connect();
    else if (!this.#leaveTheDead() && isDoubtful && this.#mayPing) this.#ping();
  }

  /** Whether a `ping` that no silence asks for may go out: they must not use up what the server lets a client send. */
  get #mayPing() {
    return this.connected && !this.#pinging && this.#lastPinged.passed > this.#options.heartbeatInterval;
  }

  /** Opens another connection where the one that is open has been silent for longer than a heartbeat bears. */
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

/** Which metals the page wants, by the server's rules: all; its first `subscribe` narrows, later ones add. */
class Selection {
  #subscribed = false;
  #narrowed = false;
  /** @type {Set<Named>}  What is wanted when narrowed, else what is not. */
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

  /** Whether the page has ever called `subscribe`. */
  get subscribed() {
    return this.#subscribed;
  }

  /** Whether this would be the first `subscribe`, and not to all. @param {Choice} type @param {Named[]} metals */
  isNarrowedBy(type, metals) {
    return type === "subscribe" && !this.#subscribed && !metals.includes("*");
  }

  /** @param {Metal} metal */
  has(metal) {
    return this.#metals.has(metal) === this.#narrowed;
  }

  /**
   * Those entries of an object by metal that are wanted: what was on its way when the page chose is not shown.
   * @template {object} T
   * @param {T} byMetal
   * @returns {T}
   */
  of(byMetal) {
    const entries = Object.entries(byMetal).filter(([metal]) => this.has(/** @type {Metal} */ (metal)));
    return /** @type {T} */ (Object.fromEntries(entries));
  }

  /**
   * What a new connection is to be told, as `[type, metals]`, so that later choices mean to it what they mean here;
   * with a `subscribe` in any case where the page wants metals and `insist` is true.
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
 * Sees to it that each move is handed out once, whatever happens to the connection.
 *
 * A new connection begins with a snapshot, and maybe updates, before the server has read `since`. Their moves are held:
 * the answer to `since` repeats them, unless it is a snapshot.
 */
class Continuity {
  /**
   * The `seq` up to which every move was handed out, or is beyond reach; null where the server gave none.
   * @type {number|null}
   */
  #since = null;
  /** @type {string|null}  The history that it is of; null where the server gave none. */
  #epoch = null;
  /** @type {{held: Move[], isAnswered: boolean, isRefused: boolean}|null} */
  #question = null;

  get since() {
    return this.#since;
  }

  get epoch() {
    return this.#epoch;
  }

  /** Whether the answer to `since` is still to come. */
  get asks() {
    return this.#question !== null && !this.#question.isAnswered;
  }

  /** `since` goes out on this connection. */
  ask() {
    this.#question = { held: [], isAnswered: false, isRefused: false };
  }

  /** The server has read it: its next update holds all that was missed, or is a snapshot. */
  answer() {
    if (this.#question) this.#question.isAnswered = true;
  }

  /** The server will not do it: its updates go on from where the connection began. */
  refuse() {
    if (this.#question) Object.assign(this.#question, { isAnswered: true, isRefused: true });
  }

  /** The connection is gone: what was held is asked for again on the next. */
  interrupt() {
    this.#question = null;
  }

  /**
   * The moves to hand out with an update.
   * @param {Move[]} changes
   * @param {Position} position
   * @param {boolean} snapshot
   */
  take(changes, { epoch, seq }, snapshot) {
    const isOfThis = this.#epoch === null || epoch === this.#epoch;
    if (this.#since !== null && isOfThis && seq <= this.#since && !snapshot) return [];
    const question = this.#question;
    if (question && !question.isAnswered) {
      question.held.push(...changes);
      return [];
    }
    this.#question = null;
    this.#since = Number.isSafeInteger(seq) ? seq : null;
    this.#epoch = typeof epoch === "string" ? epoch : null;
    return question && (snapshot || question.isRefused) ? [...question.held, ...changes] : changes;
  }
}

/** Tells the server what changed in the selection: at once, or merged once its rate limit allows a message again. */
class Subscriptions {
  #send;
  /** @type {Map<Named, Choice>} */
  #untold = new Map();
  /** @type {number[]} */
  #sentAt = [];
  /** @type {ReturnType<typeof setTimeout>|undefined} */
  #timer;

  /** @param {(choice: Told) => void} send */
  constructor(send) {
    this.#send = send;
  }

  /** @param {Choice} type @param {Named[]} metals */
  change(type, metals) {
    if (metals.includes("*")) this.#untold.clear();
    for (const metal of metals) this.#untold.set(metal, type);
    this.#tellChanges();
  }

  /**
   * Sends one message at once, for a connection that was told nothing yet.
   * @param {Told} message
   */
  tell(message) {
    this.#send(message);
    this.#sentAt.push(performance.now());
  }

  /** The connection is gone, and with it what it was still to be told. */
  reset() {
    clearTimeout(this.#timer);
    this.#untold.clear();
    this.#sentAt = [];
  }

  #tellChanges() {
    const now = performance.now();
    this.#sentAt = this.#sentAt.filter((at) => now - at < MINUTE);
    clearTimeout(this.#timer);
    if (this.#sentAt.length >= SUBSCRIPTION_MESSAGES_A_MINUTE) {
      this.#timer = setTimeout(() => this.#tellChanges(), this.#sentAt[0] + MINUTE - now);
      return;
    }
    // "*" overrides what came before it, so it is always the first entry and must be told first.
    for (const [type, metals] of groupedByType(this.#untold)) this.tell({ type, metals });
    this.#untold.clear();
  }
}

/**
 * A moment, and the time that has passed since: by the clock that says more. One stands still on some devices while they
 * sleep; the other may be put back.
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

/** Without those that a page left undefined: they have their defaults. @param {Partial<Options>} options */
function given(options) {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}

/** @param {unknown} metals */
function requireNames(metals) {
  const named = Array.isArray(metals) && metals.length > 0 && metals.every((metal) => typeof metal === "string");
  if (!named) throw new TypeError("metals must be a non-empty array of names");
}

/** The token, or null for none. Errors do not repeat it: they end up in logs. @param {unknown} token */
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

/** The wait that a restarting server names; null where it names none that makes sense. @param {number} afterMs */
function restartDelay(afterMs) {
  return Number.isFinite(afterMs) && afterMs >= 0 ? Math.min(afterMs, LONGEST_RESTART) : null;
}

/**
 * The message in a text; null where it is none, or a price update that could not be shown.
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
