/**
 * Live metal prices from a Swarna server (protocol `swarnaai-v1`), kept connected for as long as the page wants them.
 *
 *     const client = new SwarnaClient("wss://prices.example/ws/prices/");
 *     client.addEventListener("prices", ({ detail }) => show(detail.data, detail.changes));
 *     client.connect();
 *
 * Where something between page and server does not let WebSocket through, the same messages come by Server-Sent Events,
 * and where not even those do, by a poll that waits for news. `SwarnaClient` holds the subscription, the prices and the
 * stream position; a line (`WebSocketLine`, `EventStreamLine`, `PollLine`) is one connection over one transport.
 */

const SUBPROTOCOL = "swarnaai-v1";
/** Prefix of a token sent as a subprotocol: a page cannot set headers of a WebSocket. */
const BEARER = "swarnaai.bearer.";
/** The syntax of a subprotocol's name (RFC 9110, `token`). */
const SUBPROTOCOL_NAME = /^[\w!#$%&'*+.^`|~-]+$/;

/** Close codes of RFC 6455, and our own for a server that is silent. */
const NORMAL = 1000;
const ABNORMAL = 1006;
const POLICY = 1008;
const SILENT = 4000;
/** The reason of a 1008 that needs another token. */
const UNAUTHORIZED = "Unauthorized";

const JSON_TYPE = "application/json";
const EVENT_STREAM_TYPE = "text/event-stream";

/** The `id` of a `subscribe` with `since`, which identifies its answer. */
const RESUME = "resume";

/** The share of the 10 messages a minute that the server allows; the others are for heartbeats. */
const SUBSCRIPTION_MESSAGES_A_MINUTE = 5;
const SECOND = 1_000;
const MINUTE = 60_000;

const HOUR = 60 * MINUTE;

/** A server does not announce a longer restart, and a timer beyond 2^31 ms would fire at once. */
const LONGEST_RESTART = 5 * MINUTE;
/** The longest time for which a server that turns a client away is left alone. */
const LONGEST_REFUSAL = HOUR;

/** The heartbeats that a server agrees to. */
const SHORTEST_HEARTBEAT = SECOND;
const LONGEST_HEARTBEAT = MINUTE;
/** The silence after which Server-Sent Events have a heartbeat. */
const EVENT_STREAM_HEARTBEAT = 15 * SECOND;
/** The device has slept if its wall clock gains more on its steady clock. */
const SLEEP = 5 * SECOND;
/** The time within which a new connection is sent all that it begins with. */
const BEGINNING = 3 * SECOND;

/** The seconds for which a poll waits for news: the first is a test, too, of whether polls get through. */
const FIRST_WAIT = 1;
const LONGEST_WAIT = 25;
/** The least time from an answer to the next poll, as updates of the other transports are merged for as long. */
const POLL_SPACING = SECOND;
/** An `If-None-Match` that no state has: the answer comes at once. */
const ANY_STATE = '"any"';

/** The time after which a better transport is tried again: it doubles with each failure, up to the longest. */
const BETTER_AFTER = MINUTE;
const LONGEST_BETTER_AFTER = 30 * MINUTE;
/** How often a transport that has worked is tried again before the next one, as a server that starts anew fails too. */
const RETRIES_IF_PROVEN = 2;

/** @typedef {"websocket"|"sse"|"poll"} Transport  From the best to the last resort. */
/** @type {readonly Transport[]} */
const TRANSPORTS = ["websocket", "sse", "poll"];

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
 * @property {string} source  A provider, `consensus` of several, `fallback` or `simulated`.
 * @property {boolean} stale  True if it is older than the freshness limit, or a newer one waits in quarantine.
 * @property {number} [bid]  Of several sources, the median of those that gave one, as `ask`.
 * @property {number} [ask]
 * @property {boolean} [example]  True for a fallback that no member of staff has entered or confirmed.
 * @property {number} [contributors]  How many sources agreed on the price; absent where one gave it.
 * @property {number} [dispersionPercent]  How far the farthest of them is from it.
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
 * @property {boolean} snapshot  True for the state without continuity, as after connecting: moves before it may be unknown.
 * @property {number} [conflated]  How many publications with one of the metals it holds beside its newest.
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
 * @property {number} [heartbeat]  The silence in milliseconds after which the server sends a `heartbeat`.
 * @property {Scalar} [id]
 */

/**
 * @typedef {object} Heartbeat  The server's message after a silence: nothing has changed, and the line is alive.
 * @property {"heartbeat"} type
 * @property {string} [epoch]
 * @property {number} [seq]  That of the last update that this client was sent, in `epoch`.
 * @property {Feed} feed
 * @property {string} timestamp
 */

/**
 * @typedef {object} Rejection  The reason why a message was rejected by the server, or could not be read here.
 * @property {string} code
 * @property {string} message
 * @property {"never"|"later"} [retry]  Whether to come back, if the server turns the client away: not without another
 *   credential, or after `afterMs`.
 * @property {number} [afterMs]
 * @property {Scalar} [id]
 */

/** @typedef {{type: "pong", timestamp: string, id?: Scalar}} Pong */
/** @typedef {{type: "restart", afterMs: number}} Restart */
/** @typedef {PriceUpdate|Status|Subscribed|Heartbeat|Pong|Restart|(Rejection & {type: "error"})} Message */
/** @typedef {{epoch: string|null, seq: number}} Position */
/** @typedef {"subscribe"|"unsubscribe"} Choice */
/** @typedef {Metal|"*"} Named */
/** @typedef {{type: Choice, metals: Named[], since?: number, epoch?: string, id?: Scalar}} Request */

/**
 * The part of a WebSocket that the client uses.
 * @typedef {{
 *   addEventListener(type: "open"|"message"|"close"|"error", listener: (event: any) => void): void,
 *   send(text: string): void,
 *   close(code: number): void,
 * }} Socket
 */

/**
 * @typedef {object} Options  All times in milliseconds.
 * @property {string|null} token  Credential for the server; `authenticate` replaces it later.
 * @property {number|null} interval  At most one update, merged, in this time; a whole number.
 * @property {Interval[]|null} candles  Intervals of candles that come with each update, such as `["1m", "1d"]`.
 * @property {number} heartbeatInterval  Silence after which the server is to send a `heartbeat`, from 1,000 to 60,000
 *   (15,000 in Server-Sent Events; up to 25,000 in polls); if it sends none, as older ones do, the client sends a `ping`.
 * @property {number} heartbeatTimeout  Further silence after which the connection counts as lost.
 * @property {number} connectTimeout  How long a connection may take to open.
 * @property {number} reconnectDelay  Delay of the first retry; it doubles with each further one.
 * @property {number} maxReconnectDelay  The longest such delay.
 * @property {number} maxReconnectAttempts  Retries without a price before the client gives up; by default it never does.
 * @property {number} jitter  The largest random share (0.25: a quarter) by which each delay is lengthened, so that the
 *   pages that lost a server do not all return at once. 0 for exact delays.
 * @property {readonly Transport[]} transports  Those to use, the best first.
 * @property {Position|null} position  That of prices which the page has already, such as those in its HTML: what they miss
 *   comes with the first update, as after a reconnect.
 * @property {string|URL|null} api  The address of the REST API, for Server-Sent Events and polls; null for `api/v1/`
 *   beside the stream.
 * @property {(new (url: string, protocols: string[]) => Socket)|null} WebSocket  The class to connect with, as that of the
 *   package `ws` for Node 20; null for the platform's own.
 * @property {typeof globalThis.fetch|null} fetch  In place of the platform's own, for Server-Sent Events and polls.
 */

/** @typedef {{[Name in keyof Options]?: Options[Name]|undefined}} GivenOptions  What is undefined has its default. */

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
  maxReconnectAttempts: Infinity,
  jitter: 0.25,
  transports: TRANSPORTS,
  position: null,
  api: null,
  WebSocket: null,
  fetch: null,
};

/**
 * @typedef {object} Connection  The value of `client.connection` and the detail of the `connection` event.
 * @property {"idle"|"connecting"|"open"|"waiting"|"closed"} state
 * @property {number} [attempt]  `connecting`, `waiting`: the number of the retry, from 1; 0 for the first connection and
 *   after an announced restart.
 * @property {number} [delay]  `waiting`: milliseconds from the start of the wait to the retry.
 * @property {number} [retryAt]  `waiting`: the time of the retry, comparable with `Date.now()`.
 * @property {number} [code]  `waiting`, `closed`: the close code, or the HTTP status of a refusal; 1006 if the network
 *   failed, 4000 if the server was silent.
 * @property {string} [reason]  `waiting`, `closed`: the reason, as the server or this client gives it; may be empty.
 * @property {"restart"|"page"|"unauthorized"|"refused"|"gave up"} [why]  `waiting`: `restart` if the server announced its
 *   restart; `refused` if it has no room, or was sent too much, and said when to come back. `closed`: `page` after
 *   `close()`; `unauthorized` if the server requires a token, or another one, with no retry until `authenticate()` or
 *   `connect()`; `refused` if it said no more than that, with no retry until `connect()`; `gave up` after the last retry,
 *   until the device comes online or the page into view.
 */

/**
 * @typedef {object} Transported  The detail of a `transport` event.
 * @property {Transport} transport
 * @property {{[transport in Transport]?: string}} blocked  Why not a better one: what was in its way, in words.
 */

/**
 * @typedef {object} Prices  The detail of a `prices` event.
 * @property {Quotes} data
 * @property {Move[]} changes
 * @property {Candles} candles
 * @property {PriceUpdate} message
 */

/**
 * @typedef {object} Events  The details of the events, by type.
 * @property {Prices} prices
 * @property {Status} status
 * @property {Heartbeat} heartbeat
 * @property {Subscribed} subscribed
 * @property {Connection} connection
 * @property {Transported} transport
 * @property {Rejection} error
 */

/** @typedef {{once?: boolean, capture?: boolean, passive?: boolean, signal?: AbortSignal}} ListenerOptions  As a browser's. */

/**
 * @typedef {object} Dispatcher  An EventTarget with typed events.
 * @property {<T extends keyof Events>(type: T, listener: (event: CustomEvent<Events[T]>) => void,
 *   options?: boolean|ListenerOptions) => void} addEventListener
 * @property {<T extends keyof Events>(type: T, listener: (event: CustomEvent<Events[T]>) => void,
 *   options?: boolean|{capture?: boolean}) => void} removeEventListener
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
 * - `heartbeat`, detail: the server's message after a silence: the market is quiet, and the line is not dead. A poll has
 *   none.
 * - `subscribed`, detail `{metals, interval, …}`: the subscription that the server confirmed. A poll has none.
 * - `connection`, detail: a {@link Connection}.
 * - `transport`, detail: a {@link Transported}, with the first message, and whenever messages come by another transport.
 * - `error`, detail `{code, message}`: the server rejected a message, or (`unreadable_message`) sent an unreadable one.
 *   The connection stays open.
 */
export class SwarnaClient extends /** @type {new () => Dispatcher} */ (EventTarget) {
  #url;
  #api;
  /** @type {Options} */
  #options;
  #token;
  /** @type {string|null}  The token of this connection, which may be older than `#token`. */
  #shownToken = null;
  /** @type {Line|null} */
  #line = null;
  /** @type {Line|null}  Over a better transport than `#line`: it takes over with its first message. */
  #candidate = null;
  /** @type {AbortController|null} */
  #pageEvents = null;
  /** @type {ReturnType<typeof setTimeout>|undefined}  Until the next retry. */
  #timer;
  /** @type {ReturnType<typeof setTimeout>|null}  Until better transports are tried. */
  #betterTimer = null;
  #betterTries = 0;
  /** @type {ReturnType<typeof setTimeout>|undefined}  Until the trial of one is given up. */
  #trialTimer;
  /** @type {ReturnType<typeof setInterval>|undefined}  Checks the wall clock while connected. */
  #watch;
  /** @type {Connection} */
  #connection = Object.freeze({ state: "idle" });
  #attempt = 0;
  /** @type {number|null} */
  #restartDelay = null;
  /** True after an announced restart, until the next price: a server that only announces restarts is failing. */
  #restarted = false;
  /** @type {number|null}  From the steady clock to the server's. */
  #clockOffset = null;
  /** That from the steady clock to the wall clock, as it was then. */
  #wallOffset = 0;
  #memory;
  /** @type {Transport}  The one to connect with. */
  #first;
  /** @type {Transport|null}  That of the line, once it has brought a message. */
  #transport = null;
  /** @type {Transport|null} */
  #announced = null;
  /** @type {Set<Transport>}  Those that have brought a message. */
  #proven = new Set();
  /** @type {Transported["blocked"]} */
  #blocked = {};
  #selection = new Selection();
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
   * @param {GivenOptions} [options]
   * @throws {SyntaxError|TypeError} if the URL is not a server's, or an option cannot be used.
   */
  constructor(url, options = {}) {
    super();
    this.#url = webSocketUrl(url);
    this.#options = { ...DEFAULTS, ...given(options) };
    this.#api = apiUrl(this.#url, this.#options.api);
    this.#token = sendableToken(this.#options.token);
    requireInterval(this.#options.interval);
    requireTimes(this.#options);
    requireCandles(this.#options.candles);
    requireTransports(this.#options.transports);
    if (this.#options.position) this.#continuity.begin(this.#options.position);
    this.#memory = new SessionMemory(this.#url);
    const [best] = this.#options.transports;
    this.#first = this.#options.transports.find((transport) => transport === this.#memory.transport) ?? best;
  }

  /**
   * The latest quote of each subscribed metal. They are kept when the connection, or the server's database, is lost: show
   * them as live only if `connected`, and unless `status.feed` is `down`.
   */
  get prices() {
    return this.#prices;
  }

  /**
   * The stream position of `prices`; null while there are none. A metal's price at it, though it may have come with an
   * earlier publication, is explained by the server's page `/why/<seq>/#<metal>`.
   * @returns {{epoch: string|null, seq: number}|null}
   */
  get position() {
    return Number.isFinite(this.#seq) ? { epoch: this.#epoch, seq: this.#seq } : null;
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

  /** The transport by which messages come; null until the first one of a connection. */
  get transport() {
    return this.#transport;
  }

  /** True while `serverTime` is by the server's clock, and not by this device's, which may be wrong. */
  get isTimed() {
    return this.#offset !== null;
  }

  /** The server's time in milliseconds, estimated from its messages; for the age of a quote. */
  get serverTime() {
    return this.#clockOffset === null ? Date.now() : performance.now() + this.#clockOffset;
  }

  /** From the steady clock to the server's; null while unknown, as after a sleep in which the steady clock may have stopped. */
  get #offset() {
    return wallOffset() - this.#wallOffset < SLEEP ? this.#clockOffset : null;
  }

  /**
   * Connects, and from then on reconnects. While waiting for a retry or after closing, tries again at once; while
   * connecting or connected, does nothing.
   * @throws {DOMException} SecurityError, for a `ws:` URL in an `https:` page.
   */
  connect() {
    if (this.#line) return;
    clearTimeout(this.#timer);
    this.#attempt = 0;
    this.#restarted = false;
    this.#watchPage();
    this.#open(this.#first);
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
    if (this.connected) this.#line?.change(type, metals, narrows);
  }

  /** @param {Transport} transport */
  #open(transport) {
    const line = this.#make(transport);
    this.#line = line;
    try {
      line.open();
    } catch (error) {
      line.close();
      this.#line = null;
      throw error;
    }
    this.#shownToken = this.#token;
    this.#restartDelay = null;
    this.#enter({ state: "connecting", attempt: this.#attempt });
  }

  /** @param {Transport} transport @returns {Line} */
  #make(transport) {
    /** @type {Line} */
    const line = new LINES[transport](
      { url: this.#url, api: this.#api, token: this.#token, options: this.#options },
      {
        wishes: () => this.#wishes(),
        opened: () => line === this.#line && this.#opened(line),
        resuming: (isFirst) => this.#continuity.request(isFirst),
        received: (message) => this.#received(line, message),
        waited: () => this.#waited(line),
        dated: (time) => this.#noteOffset(time - performance.now()),
        ended: (end) => (line === this.#candidate ? this.#tryBetter(line.transport) : this.#ended(line, end)),
      },
    );
    return line;
  }

  /** @returns {Wishes} */
  #wishes() {
    const { since, epoch } = this.#continuity;
    const { named: metals, subscribed: isChosen } = this.#selection;
    return { choices: this.#selection.toRestore(), metals, isChosen, isGrown: this.#grown, since, epoch };
  }

  /** @param {Line} line */
  #opened(line) {
    this.#clockOffset = null;
    // Not every device announces that it slept. In a hidden page, timers are late anyway.
    this.#watch = setInterval(() => globalThis.document?.hidden || this.#leaveTheDead(), SECOND);
    line.join();
    this.#enter({ state: "open" });
  }

  /** @param {Line} line @param {Message|null} message  Null: what the server sent cannot be read. */
  #received(line, message) {
    if (line !== this.#line && !this.#takesOver(line, message)) return;
    if (!message) {
      this.#emit("error", { code: "unreadable_message", message: "The server sent what is not a message." });
      return;
    }
    this.#settle(line.transport);
    if (line !== this.#line) return; // a listener has closed it
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
      case "heartbeat":
        this.#worked();
        this.#emit("heartbeat", message);
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

  /** Only prices, or a wait without any, reset the retries: a server that accepts and closes must not be hammered. */
  #worked() {
    this.#attempt = 0;
    this.#restarted = false;
  }

  /** @param {Line} line */
  #waited(line) {
    this.#settle(line.transport);
    this.#worked();
  }

  /** @param {PriceUpdate} message */
  #updated(message) {
    this.#worked();
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
    // A line that cannot be told which metals are wanted brings others, too.
    const isOfOthers = Object.keys(data).length > 0 && Object.keys(this.#selection.of(data)).length === 0;
    if ((isOld || isOfOthers) && moves.length === 0) return;
    const drawn = isOld ? {} : this.#selection.of(candles);
    this.#emit("prices", { data: this.#prices, changes: moves, candles: drawn, message });
  }

  /** @param {Quotes} data @param {Position} position @param {boolean} snapshot */
  #show(data, { epoch, seq }, snapshot) {
    this.#epoch = epoch;
    this.#seq = seq;
    this.#prices = this.#selection.of(data);
    if (snapshot || this.#selection.named?.every((metal) => metal in this.#prices)) this.#grown = false;
  }

  /** @param {Subscribed} message */
  #confirmed(message) {
    this.#interval = message.interval ?? null;
    if (message.id === RESUME) {
      this.#continuity.answer();
      // A server that resumes sends only news, not the price of a metal that was added while it was away.
      if (this.#grown) for (const choice of this.#selection.toRestore()) this.#line?.change(...choice, false);
    }
    this.#emit("subscribed", message);
  }

  /**
   * Estimates the server's clock by the least delayed message, of those with the time at which they were sent.
   * @param {Message} message
   */
  #compareClocks(message) {
    const isTold = message.type === "pong" || message.type === "heartbeat";
    if (!isTold && (message.type !== "priceUpdate" || message.snapshot)) return;
    const offset = Date.parse(message.timestamp) - performance.now();
    if (Number.isNaN(offset)) return;
    const known = this.#offset ?? -Infinity;
    // The first update after a reconnect may be hours old.
    if (!isTold && known === -Infinity) return;
    // A pong is never that late: the server's clock was set back. An update may be, so a ping checks it.
    if (isTold && known - offset > this.#options.heartbeatTimeout) this.#clockOffset = null;
    else if (known - offset > this.#options.heartbeatTimeout + (this.#interval ?? 0)) this.#line?.check();
    this.#noteOffset(offset);
  }

  /** @param {number} offset */
  #noteOffset(offset) {
    if (Number.isNaN(offset)) return;
    this.#clockOffset = Math.max(offset, this.#offset ?? -Infinity);
    this.#wallOffset = wallOffset();
  }

  // --- the end of a line ---------------------------------------------------------------------------------------------

  /** @param {Line} line @param {End} end */
  #ended({ transport }, end) {
    const { code, reason, fate } = end;
    const restartDelay = this.#restartDelay;
    if (fate === "refused") {
      this.#refused(end);
    } else if (restartDelay !== null && !this.#restarted) {
      this.#restarted = true;
      this.#letGo();
      // The server has spread the delays over its clients.
      this.#retryAfter(restartDelay, { code, reason, why: "restart" });
    } else if (isInTheWay(fate, this.#proven.has(transport), this.#attempt)) {
      this.#goOver(transport, end);
    } else {
      this.#retry({ code, reason }, restartDelay ?? 0);
    }
  }

  /** Tries the next transport at once; after the last one waits, to begin anew. @param {Transport} transport @param {End} end */
  #goOver(transport, { code, reason }) {
    const { transports } = this.#options;
    const next = transports[transports.indexOf(transport) + 1];
    this.#blocked[transport] = reason || "The handshake failed";
    if (next) {
      this.#letGo();
      this.#open(next);
    } else {
      this.#prefer(transports[0]);
      this.#retry({ code, reason });
    }
  }

  /** @param {End} end */
  #refused({ code, reason, refusal }) {
    const isUnauthorized = refusal ? refusal.code === "unauthorized" : reason === UNAUTHORIZED;
    if (refusal?.retry === "later") {
      const afterMs = Math.min(refusal.afterMs ?? 0, LONGEST_REFUSAL);
      this.#retry({ code, reason, why: "refused" }, lengthened(afterMs, this.#options.jitter));
    } else if (!isUnauthorized) {
      this.#finish({ code, reason, why: "refused" });
    } else if (this.#token === this.#shownToken) {
      this.#finish({ code, reason, why: "unauthorized" });
    } else {
      this.#letGo();
      this.#open(this.#first);
    }
  }

  /** Waits for the next retry, if one is left. @param {Ended} end @param {number} [least]  Milliseconds. */
  #retry(end, least = 0) {
    this.#letGo();
    if (this.#attempt >= this.#options.maxReconnectAttempts) {
      this.#forgetBetter();
      this.#enter({ state: "closed", ...end, why: "gave up" });
      return;
    }
    this.#attempt += 1;
    this.#retryAfter(Math.max(this.#backoff(this.#attempt), least), end);
  }

  /** @param {number} delay @param {Ended} end */
  #retryAfter(delay, end) {
    this.#timer = setTimeout(() => this.#open(this.#first), delay);
    this.#enter({ state: "waiting", attempt: this.#attempt, delay, retryAt: Date.now() + delay, ...end });
  }

  /** @param {number} attempt */
  #backoff(attempt) {
    return backoff(attempt, this.#options);
  }

  /** @param {Ended} end */
  #finish(end) {
    this.#pageEvents?.abort();
    this.#pageEvents = null;
    this.#forgetBetter();
    this.#letGo();
    this.#enter({ state: "closed", ...end });
  }

  /** Drops the line without waiting for its end, which can take a minute if the server is gone. */
  #letGo() {
    clearTimeout(this.#timer);
    clearInterval(this.#watch);
    this.#continuity.interrupt();
    this.#endTrial();
    this.#line?.close();
    this.#line = null;
    this.#transport = null;
    this.#status = null;
    this.#interval = null;
  }

  // --- the transport -------------------------------------------------------------------------------------------------

  /** The line has brought a message. @param {Transport} transport */
  #settle(transport) {
    if (this.#transport === transport) return;
    const isNew = this.#announced !== transport;
    this.#transport = transport;
    this.#announced = transport;
    this.#proven.add(transport);
    this.#prefer(transport);
    if (isNew) this.#emit("transport", { transport, blocked: { ...this.#blocked } });
    // A trial that was due while the line was lost is made up for.
    if (this.#mayBeBetter && !this.#betterTimer) isNew ? this.#planBetter() : this.#tryBetter(null);
  }

  /** Connects with this transport first, also on the next page of the session. @param {Transport} transport */
  #prefer(transport) {
    const { transports } = this.#options;
    const rank = transports.indexOf(transport);
    this.#first = transport;
    this.#memory.keep(rank === 0 ? null : transport);
    for (const each of transports.slice(rank)) delete this.#blocked[each];
    if (rank === 0) this.#forgetBetter();
  }

  get #mayBeBetter() {
    return this.#transport !== null && this.#transport !== this.#options.transports[0];
  }

  /** Plans to try the better transports again, beside the line. */
  #planBetter() {
    const delay = Math.min(BETTER_AFTER * 2 ** this.#betterTries, LONGEST_BETTER_AFTER);
    this.#betterTries += 1;
    this.#betterTimer = setTimeout(() => {
      this.#betterTimer = null;
      if (this.#mayBeBetter) this.#tryBetter(null);
    }, lengthened(delay, this.#options.jitter));
  }

  #forgetBetter() {
    clearTimeout(this.#betterTimer ?? undefined);
    this.#betterTimer = null;
    this.#betterTries = 0;
  }

  /**
   * Tries the best transport, or the one after the last that was tried, if it is better than the line's.
   * @param {Transport|null} last
   */
  #tryBetter(last) {
    const { transports, connectTimeout, heartbeatTimeout } = this.#options;
    this.#endTrial();
    const next = transports[last === null ? 0 : transports.indexOf(last) + 1];
    if (next === this.#transport) {
      if (!this.#betterTimer) this.#planBetter();
      return;
    }
    // Where nothing was missed, the first message is a heartbeat.
    const longest = connectTimeout + EVENT_STREAM_HEARTBEAT + heartbeatTimeout;
    this.#trialTimer = setTimeout(() => this.#tryBetter(next), longest);
    this.#candidate = this.#make(next);
    this.#candidate.open();
  }

  #endTrial() {
    clearTimeout(this.#trialTimer);
    this.#candidate?.close();
    this.#candidate = null;
  }

  /**
   * Lets a candidate take over from the line with its first message; returns true if that message is to be handled.
   * The line ends before the candidate is told where to resume: between them there is no gap, and nothing comes twice.
   * @param {Line} line
   * @param {Message|null} message
   */
  #takesOver(line, message) {
    if (line !== this.#candidate || !message) return false;
    this.#candidate = null;
    this.#endTrial();
    this.#line?.close();
    this.#line = line;
    this.#shownToken = this.#token;
    this.#restartDelay = null;
    return line.join();
  }

  // --- the page ------------------------------------------------------------------------------------------------------

  #watchPage() {
    if (this.#pageEvents) return;
    this.#pageEvents = new AbortController();
    const { signal } = this.#pageEvents;
    globalThis.addEventListener?.("online", () => this.#wake(true), { signal });
    // A browser keeps the connection of a device that is offline, and would not say so.
    globalThis.addEventListener?.("offline", () => this.#line?.check(), { signal });
    // A page that the reader leaves is kept for the way back only without a connection, and comes back as from a sleep.
    globalThis.addEventListener?.("pagehide", ({ persisted }) => persisted && this.#suspend(), { signal });
    globalThis.addEventListener?.("pageshow", ({ persisted }) => persisted && this.connect(), { signal });
    globalThis.document?.addEventListener("visibilitychange", () => document.hidden || this.#wake(false), { signal });
  }

  /** After a sleep, in which timers stood still too, a connection that looks open may be dead. @param {boolean} isOnline */
  #wake(isOnline) {
    if (this.#connection.state === "closed") {
      this.connect();
      return;
    }
    const { state, code, why } = this.#connection;
    if (state === "waiting" && !why && (code === ABNORMAL || code === SILENT)) {
      // Nothing but the network was in the way.
      clearTimeout(this.#timer);
      this.#open(this.#first);
    }
    if (!this.connected || this.#leaveTheDead()) return;
    if (this.#line && this.#line.lastHeard.passed > this.#options.heartbeatTimeout) this.#line.check();
    // The network may be another one.
    if (isOnline && this.#mayBeBetter && !this.#candidate) this.#tryBetter(null);
  }

  /** Lets go of the connection until the page is shown again. */
  #suspend() {
    if (this.#connection.state === "closed") return;
    this.#letGo();
    this.#enter({ state: "connecting", attempt: 0 });
  }

  /** Replaces an open connection that has been silent for longer than a heartbeat, and returns true if it did. */
  #leaveTheDead() {
    const isDead = this.connected && this.#line?.isDead === true;
    if (isDead) {
      this.#letGo();
      this.#open(this.#first);
    }
    return isDead;
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
   * meaning for both.
   * @returns {[Choice, Named[]][]}
   */
  toRestore() {
    const listed = [...this.#metals];
    if (this.#narrowed) return [listed.length ? ["subscribe", listed] : ["unsubscribe", ["*"]]];
    /** @type {[Choice, Named[]]} */
    const all = ["subscribe", ["*"]];
    return listed.length ? [all, ["unsubscribe", listed]] : [all];
  }

  /** The subscribed metals; null for all, for all but some, and for none, which cannot be named. */
  get named() {
    return this.#narrowed && this.#metals.size > 0 ? [...this.#metals] : null;
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
  /** @type {{kept: Move[], isFirst: boolean, isAnswered: boolean, isRejected: boolean}|null} */
  #resume = null;

  get since() {
    return this.#since;
  }

  get epoch() {
    return this.#epoch;
  }

  /** The page has all moves up to a position. @param {Position} position */
  begin({ epoch, seq }) {
    this.#since = seq;
    this.#epoch = epoch;
  }

  /** True until the answer to the `since` with which a connection begins: its server may lag behind the last one. */
  get isPending() {
    return this.#resume?.isFirst === true && !this.#resume.isAnswered;
  }

  /** `since` is sent on this connection. @param {boolean} isFirst  True if nothing of it was taken yet. */
  request(isFirst) {
    this.#resume = { kept: [], isFirst, isAnswered: false, isRejected: false };
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

/**
 * @typedef {"lost"|"unopened"|"blocked"|"unreachable"|"refused"} Fate  How a line ended: it is `lost` after it worked, or
 *   the server had trouble; it never opened, which may mean that something is in its way; something is in its way; nobody
 *   is there; or the server itself turns the client away.
 */

/** @typedef {{retry: "never"|"later", code?: string, message?: string, afterMs?: number}} Refusal */
/** @typedef {{fate: Fate, code: number, reason: string, refusal?: Refusal|null}} End */
/** @typedef {Pick<Connection, "code"|"reason"|"why">} Ended */

/**
 * @typedef {object} Wishes  What a line is to bring.
 * @property {[Choice, Named[]][]} choices  The subscription as messages.
 * @property {Named[]|null} metals  The subscription as names; null for all, or where it can only be told by messages.
 * @property {boolean} isChosen  True once the page has called `subscribe`.
 * @property {boolean} isGrown  True if it may have metals whose price the page has not.
 * @property {number|null} since  The stream position to resume from, with `epoch`.
 * @property {string|null} epoch
 */

/** @typedef {{url: string, api: string, token: string|null, options: Options}} Setup */

/**
 * @typedef {object} Owner  The client, as a line knows it. After `ended` or `close` it hears no more of the line.
 * @property {() => Wishes} wishes
 * @property {() => void} opened  Called once; the owner answers with `join`.
 * @property {(isFirst: boolean) => void} resuming  The server is sent `since`: its answer repeats what comes before.
 * @property {(message: Message|null) => void} received  Null: it cannot be read.
 * @property {() => void} waited  The server had nothing to tell for a while, and said so.
 * @property {(time: number) => void} dated  The server's clock shows this time.
 * @property {(end: End) => void} ended
 */

/**
 * A connection over one transport. It ends by itself when the server is silent for longer than it should be.
 * @abstract
 */
class Line {
  /** @type {ReturnType<typeof setTimeout>|undefined}  Until what the line waits for is overdue. */
  #timer;
  /** @type {Moment|null} */
  #begun = null;
  isOver = false;
  lastHeard = new Moment();
  /** @type {Refusal|null}  The server's announcement that it will close. */
  refusal = null;

  /** @param {Setup} setup @param {Owner} owner */
  constructor(setup, owner) {
    this.setup = setup;
    this.owner = owner;
  }

  /** @abstract @returns {Transport} */
  get transport() {
    throw new TypeError("a line has a transport");
  }

  /** Milliseconds for which the server may be silent. @abstract @returns {number} */
  get longestSilence() {
    throw new TypeError("a line has a longest silence");
  }

  /** True if the server promised to break a silence. */
  get isPromised() {
    return true;
  }

  /** Connects; every outcome is told to the owner later. @throws {DOMException} as `new WebSocket` does. @abstract */
  open() {}

  /**
   * Brings what the owner wishes now, from its position on: it has opened, or takes over from another line.
   * @abstract
   * @returns {boolean}  False if what came until now is not that, and has to be dropped.
   */
  join() {
    return true;
  }

  /**
   * Tells the server of a change in the subscription. `narrows`: until now it was to all metals, by default.
   * @abstract @param {Choice} _type @param {Named[]} _metals @param {boolean} _narrows
   */
  change(_type, _metals, _narrows) {}

  /** Requests a sign of life and the server's time, where the transport can. @abstract */
  check() {}

  close() {
    this.isOver = true;
    clearTimeout(this.#timer);
  }

  /** @param {End} end */
  end(end) {
    if (this.isOver) return;
    this.close();
    this.owner.ended(end);
  }

  get hasBegun() {
    return this.#begun !== null;
  }

  get isDead() {
    return this.hasBegun && this.lastHeard.passed > this.longestSilence;
  }

  /** The server was heard. */
  heard() {
    this.lastHeard = new Moment();
    this.#begun ??= this.lastHeard;
    this.within(this.longestSilence, () => this.fallSilent());
  }

  /** Does something unless the server is heard within so many milliseconds. @param {number} milliseconds @param {() => void} otherwise */
  within(milliseconds, otherwise) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(otherwise, milliseconds);
  }

  /** Hands a message on. One that turns the client away waits for the end of the line, which tells the page. @param {Message|null} message */
  handOn(message) {
    if (message?.type === "error" && message.retry) this.refusal = { ...message, retry: message.retry };
    else this.owner.received(message);
  }

  /** Ends as not answered. */
  remainUnanswered() {
    this.end({ fate: this.#begun ? "lost" : "unopened", code: SILENT, reason: "The server did not answer" });
  }

  /** Ends as silent: what lets nothing or only the beginning through is in the way. */
  fallSilent() {
    const lived = this.#begun ? this.#begun.passed - this.lastHeard.passed : 0;
    const isBlocked = !this.#begun || (this.isPromised && lived < BEGINNING);
    this.end({ fate: isBlocked ? "blocked" : "lost", code: SILENT, reason: "The server fell silent" });
  }
}

class WebSocketLine extends Line {
  /** @type {Socket|null} */
  #socket = null;
  #subscriptions = new Subscriptions((request) => this.#choose(request));
  #hasJoined = false;
  #hasSubscribed = false;
  /** True if it was sent `subscribe` to all metals, though the page has not called `subscribe`. */
  #sentAll = false;
  /** @type {number|null}  The heartbeat that the server promised. */
  #heartbeat = null;
  #isOpen = false;
  #pinging = false;
  #lastPinged = new Moment();

  get transport() {
    return /** @type {const} */ ("websocket");
  }

  get isPromised() {
    return this.#heartbeat !== null;
  }

  get longestSilence() {
    const { heartbeatInterval, heartbeatTimeout } = this.setup.options;
    return (this.#heartbeat ?? heartbeatInterval) + heartbeatTimeout;
  }

  get isDead() {
    return super.isDead && this.#lastPinged.passed > this.setup.options.heartbeatTimeout;
  }

  open() {
    const { url, token, options } = this.setup;
    this.within(options.connectTimeout, () => this.remainUnanswered());
    const Socket = options.WebSocket ?? globalThis.WebSocket;
    if (!Socket) {
      queueMicrotask(() => this.end({ fate: "blocked", code: ABNORMAL, reason: "There is no WebSocket here" }));
      return;
    }
    const bearer = token === null ? [] : [BEARER + token];
    const socket = new Socket(url, [SUBPROTOCOL, ...bearer]);
    this.#socket = socket;
    socket.addEventListener("open", () => this.isOver || this.#opened());
    socket.addEventListener("message", ({ data }) => this.isOver || this.#received(data));
    socket.addEventListener("close", ({ code, reason }) => this.#closed(code, reason));
    // Node tells no more than this of a handshake that failed.
    socket.addEventListener("error", () => this.#isOpen || this.#closed(ABNORMAL, ""));
  }

  #opened() {
    this.#isOpen = true;
    // A server of ours greets at once.
    this.within(this.setup.options.heartbeatTimeout, () => this.fallSilent());
    this.owner.opened();
  }

  /** Sends the subscription, and the position to resume from. */
  join() {
    // The answer brings the server's time, which a snapshot does not.
    this.#ping();
    const { interval, candles } = this.setup.options;
    const { isChosen, since } = this.owner.wishes();
    this.#restore(isChosen || since !== null || interval !== null || candles !== null);
    return true;
  }

  /** Sends the subscription; only what it is not to have, if it `matters` not. @param {boolean} matters */
  #restore(matters) {
    const { choices, isChosen, since, epoch } = this.owner.wishes();
    for (const [type, metals] of choices.filter(([type]) => matters || type === "unsubscribe")) {
      const resumes = type === "subscribe" && since !== null;
      if (resumes) this.owner.resuming(!this.#hasJoined);
      const its = epoch !== null && { epoch };
      this.#choose(resumes ? { type, metals, since, ...its, id: RESUME } : { type, metals });
    }
    this.#sentAll = !isChosen && this.#hasSubscribed;
    this.#hasJoined = true;
  }

  /** @param {Choice} type @param {Named[]} metals @param {boolean} narrows */
  change(type, metals, narrows) {
    // The server has had a `subscribe` already, so that this one would add.
    if (narrows && this.#sentAll) this.#subscriptions.change("unsubscribe", ["*"]);
    this.#subscriptions.change(type, metals);
  }

  check() {
    // Pings without a silence must stay within the server's rate limit.
    const isDue = this.#lastPinged.passed > this.setup.options.heartbeatInterval;
    if (this.hasBegun && !this.#pinging && isDue) this.#ping();
  }

  close() {
    super.close();
    this.#subscriptions.reset();
    this.#socket?.close(NORMAL);
  }

  /** Any message proves the connection; a ping is due after silence where the server has promised no heartbeat. */
  heard() {
    super.heard();
    this.#pinging = false;
    if (!this.isPromised) this.within(this.setup.options.heartbeatInterval, () => this.#ping());
  }

  #ping() {
    this.#pinging = true;
    this.#lastPinged = new Moment();
    this.#send({ type: "ping" });
    this.within(this.setup.options.heartbeatTimeout, () => this.fallSilent());
  }

  /**
   * Subscribes a client to what it has anyway, for its heartbeats. It goes on from the first update, since a snapshot
   * would leave out what comes before it.
   */
  #subscribeToHeartbeats() {
    const { choices, since } = this.owner.wishes();
    if (!this.#hasSubscribed && since !== null && choices[0][0] === "subscribe") this.#restore(true);
  }

  /** @param {Request} request */
  #choose(request) {
    if (request.type === "subscribe") this.#hasSubscribed = true;
    const { interval, candles, heartbeatInterval } = this.setup.options;
    const how = { ...(interval !== null && { interval }), ...(candles !== null && { candles }) };
    const heartbeat = Math.min(Math.max(Math.round(heartbeatInterval), SHORTEST_HEARTBEAT), LONGEST_HEARTBEAT);
    this.#send(request.type === "subscribe" ? { ...request, ...how, heartbeat } : request);
  }

  /** @param {object} message */
  #send(message) {
    /** @type {Socket} */ (this.#socket).send(JSON.stringify(message));
  }

  /** @param {string} text */
  #received(text) {
    const message = parsed(text);
    if (message?.type === "subscribed") this.#heartbeat = message.heartbeat ?? null;
    this.heard();
    this.handOn(message);
    if (message?.type === "priceUpdate" && !this.isOver) this.#subscribeToHeartbeats();
  }

  /** @param {number} code @param {string} reason */
  #closed(code, reason) {
    const { refusal } = this;
    if (code === POLICY || refusal) this.end({ fate: "refused", code, reason, refusal });
    else this.end({ fate: code === ABNORMAL && !this.hasBegun ? "unopened" : "lost", code, reason });
  }
}

/**
 * A line of HTTP requests, which `fetch` makes: an EventSource can set no header, and gives up on any status but 200.
 * @abstract
 */
class HttpLine extends Line {
  #allowance = new Allowance();
  #request = new AbortController();
  /** The subscription and the position of the last request. */
  #requested = "";

  open() {
    this.start();
  }

  join() {
    const isInStep = this.#requested === this.#wishes;
    if (!isInStep) this.start();
    return isInStep;
  }

  get #wishes() {
    const { metals, since, epoch } = this.owner.wishes();
    return JSON.stringify([metals, since, epoch]);
  }

  /** A request cannot be changed: another one goes on from where it was. */
  change() {
    this.#allowance.use(() => this.start());
  }

  close() {
    super.close();
    this.#request.abort();
    this.#allowance.reset();
  }

  /** Starts a request, in place of the request that runs. */
  start() {
    this.#request.abort();
    this.#request = new AbortController();
    this.run(this.#request.signal);
  }

  /** @abstract @param {AbortSignal} _signal  It aborts when the line ends, or starts another request. @returns {Promise<void>} */
  async run(_signal) {}

  /**
   * The server's answer; null if the line has ended over it, or started another request.
   * @param {URL} url @param {string} type @param {Record<string, string>} headers @param {AbortSignal} signal
   */
  async fetch(url, type, headers, signal) {
    const { token, options } = this.setup;
    const request = options.fetch ?? fetch;
    const all = { Accept: type, ...(token !== null && { Authorization: `Bearer ${token}` }), ...headers };
    this.#requested = this.#wishes;
    const answer = await request(url, { headers: all, signal, cache: "no-store" }).catch(unreachable);
    if (signal.aborted) return null;
    if ("fate" in answer) {
      this.end(answer);
      return null;
    }
    const end = endOf(answer, type);
    if (!end) return answer;
    const problem = isProblem(answer) ? await answer.json().catch(() => null) : null;
    if (!signal.aborted) this.end({ ...end, reason: problem?.title ?? end.reason });
    return null;
  }

  /**
   * Fetches prices: those after the owner's position, if it has one.
   * @param {number} wait  Seconds to wait for news.
   * @param {string} state  The `ETag` of what is known: another state is news, too.
   * @param {AbortSignal} signal
   */
  poll(wait, state, signal) {
    const { since, epoch } = this.owner.wishes();
    const url = this.address("prices/", { wait, ...(since !== null && epoch !== null && { epoch, since }) });
    return this.fetch(url, JSON_TYPE, { "If-None-Match": state }, signal);
  }

  /** @param {string} path @param {Record<string, unknown>} more */
  address(path, more) {
    const { metals } = this.owner.wishes();
    const { candles } = this.setup.options;
    const url = new URL(path, this.setup.api);
    const all = { ...(metals && { metals }), ...(candles?.length && { candles }), ...more };
    for (const [name, value] of Object.entries(all)) url.searchParams.set(name, String(value));
    return url;
  }

  /** The update and the status in an answer to a poll; null if it is none. @param {Response} answer */
  async read(answer) {
    const message = parsed(await answer.text().catch(() => ""));
    if (message?.type !== "priceUpdate") return null;
    const { status, ...update } = /** @type {PriceUpdate & {status?: Status}} */ (message);
    return { update, status };
  }

  /** Tells the server's time by an answer, where the page may read it. @param {Response} answer */
  tellTime(answer) {
    this.owner.dated(Date.parse(answer.headers.get("Date") ?? ""));
  }
}

class EventStreamLine extends HttpLine {
  get transport() {
    return /** @type {const} */ ("sse");
  }

  get longestSilence() {
    return EVENT_STREAM_HEARTBEAT + this.setup.options.heartbeatTimeout;
  }

  /** @param {AbortSignal} signal */
  async run(signal) {
    const { connectTimeout, interval } = this.setup.options;
    this.within(connectTimeout, () => this.remainUnanswered());
    if (this.hasBegun && this.#lacksPrices) await this.#catchUp(signal);
    if (signal.aborted) return;
    const position = eventIdOf(this.owner.wishes());
    const resumption = { ...(position !== "" && { "Last-Event-ID": position }) };
    const url = this.address("stream/", interval === null ? {} : { interval });
    const answer = await this.fetch(url, EVENT_STREAM_TYPE, resumption, signal);
    if (!answer) return;
    this.within(connectTimeout, () => this.fallSilent());
    await this.#follow(answer, signal);
    if (signal.aborted) return;
    const { refusal } = this;
    if (refusal) this.end({ fate: "refused", code: POLICY, reason: refusal.message ?? "", refusal });
    else this.end({ fate: this.hasBegun ? "lost" : "blocked", code: ABNORMAL, reason: "The stream ended" });
  }

  /** True if a metal was added: a stream that resumes has only news, not its price. */
  get #lacksPrices() {
    const wishes = this.owner.wishes();
    return wishes.isGrown && eventIdOf(wishes) !== "";
  }

  /** @param {AbortSignal} signal */
  async #catchUp(signal) {
    const answer = await this.poll(FIRST_WAIT, ANY_STATE, signal);
    const news = answer && (await this.read(answer));
    if (news && !signal.aborted) this.owner.received(news.update);
  }

  /** Hands on what comes until the stream ends. @param {Response} answer @param {AbortSignal} signal */
  async #follow(answer, signal) {
    const events = new EventStream();
    const reader = answer.body?.getReader();
    for (;;) {
      const chunk = await reader?.read().catch(() => null);
      if (signal.aborted || !chunk || chunk.done) return;
      if (this.hasBegun) this.heard();
      for (const data of events.feed(chunk.value)) {
        if (!this.hasBegun) this.#open(answer);
        if (signal.aborted) return;
        this.handOn(parsed(data));
      }
    }
  }

  /** The first event is there: a proxy that keeps them back until it has more would not have let it pass. @param {Response} answer */
  #open(answer) {
    this.heard();
    this.owner.opened();
    this.tellTime(answer);
    if (this.#lacksPrices && !this.isOver) this.start();
  }
}

class PollLine extends HttpLine {
  /** The `ETag` of the last answer. The first one is to bring the status, though there may be no news. */
  #state = ANY_STATE;
  /** The last status that the owner was told, as JSON. */
  #status = "";

  get transport() {
    return /** @type {const} */ ("poll");
  }

  get longestSilence() {
    return this.#pause + this.#wait * SECOND + this.setup.options.heartbeatTimeout;
  }

  /** The seconds for which a poll waits for news: an answer without any is its heartbeat. */
  get #wait() {
    const seconds = Math.round(this.setup.options.heartbeatInterval / SECOND);
    return Math.min(Math.max(seconds, FIRST_WAIT), LONGEST_WAIT);
  }

  get #pause() {
    return Math.max(POLL_SPACING, this.setup.options.interval ?? 0);
  }

  change() {
    this.#state = ANY_STATE;
    super.change();
  }

  /** Polls again and again. @param {AbortSignal} signal */
  async run(signal) {
    while (!signal.aborted) {
      const { connectTimeout, heartbeatTimeout } = this.setup.options;
      const [wait, timeout] = this.hasBegun ? [this.#wait, heartbeatTimeout] : [FIRST_WAIT, connectTimeout];
      this.within(wait * SECOND + timeout, () => this.remainUnanswered());
      const answer = await this.poll(wait, this.#state, signal);
      const news = answer?.status === 200 ? await this.read(answer) : null;
      if (!answer || signal.aborted) return;
      if (answer.status === 200 && !news) {
        this.end({ fate: "blocked", code: ABNORMAL, reason: "The answer to a poll was no prices" });
        return;
      }
      this.#take(answer, news, signal);
      if (answer.status !== 200 && !signal.aborted) this.owner.waited();
      await this.#rest(signal);
    }
  }

  /** @param {Response} answer @param {{update: PriceUpdate, status?: Status}|null} news @param {AbortSignal} signal */
  #take(answer, news, signal) {
    const isFirst = !this.hasBegun;
    this.heard();
    this.#state = answer.headers.get("ETag") ?? this.#state;
    if (isFirst) this.owner.opened();
    this.tellTime(answer);
    if (news && !signal.aborted) this.owner.received(news.update);
    const status = JSON.stringify(news?.status ?? null);
    if (!news?.status || status === this.#status || signal.aborted) return;
    this.#status = status;
    this.owner.received({ ...news.status, type: "status" });
  }

  /** @param {AbortSignal} signal */
  #rest(signal) {
    return new Promise((resolve) => {
      if (signal.aborted) resolve(null);
      else this.within(this.#pause, () => resolve(null));
    });
  }
}

/** @type {{[transport in Transport]: new (setup: Setup, owner: Owner) => Line}} */
const LINES = { websocket: WebSocketLine, sse: EventStreamLine, poll: PollLine };

/** The position in the form of an event's id; empty where there is none. @param {{since: number|null, epoch: string|null}} position */
function eventIdOf({ since, epoch }) {
  return since === null || epoch === null ? "" : `${epoch}:${since}`;
}

/** Sends the server changes of the subscription: at once, or merged as soon as its rate limit allows. */
class Subscriptions {
  #send;
  #allowance = new Allowance();
  /** @type {Map<Named, Choice>} */
  #unsent = new Map();

  /** @param {(choice: Request) => void} send */
  constructor(send) {
    this.#send = send;
  }

  /** @param {Choice} type @param {Named[]} metals */
  change(type, metals) {
    if (metals.includes("*")) this.#unsent.clear();
    for (const metal of metals) this.#unsent.set(metal, type);
    // "*" overrides all before it, so it is always the first entry and must be sent first.
    const choices = groupedByType(this.#unsent);
    this.#allowance.use(() => {
      for (const [type, metals] of choices) this.#send({ type, metals });
      this.#unsent.clear();
    }, choices.size);
  }

  /** Drops unsent changes with the connection. */
  reset() {
    this.#unsent.clear();
    this.#allowance.reset();
  }
}

/** Lets as many messages about the subscription pass in a minute as the server allows; the rest is for pings. */
class Allowance {
  /** @type {number[]} */
  #usedAt = [];
  /** @type {ReturnType<typeof setTimeout>|undefined} */
  #timer;

  /**
   * Does something at once, or as soon as that is allowed, if nothing else is to be done in its place until then.
   * @param {() => void} action
   * @param {number} [messages]
   */
  use(action, messages = 1) {
    const now = performance.now();
    this.#usedAt = this.#usedAt.filter((at) => now - at < MINUTE);
    clearTimeout(this.#timer);
    if (this.#usedAt.length >= SUBSCRIPTION_MESSAGES_A_MINUTE) {
      this.#timer = setTimeout(() => this.use(action, messages), this.#usedAt[0] + MINUTE - now);
      return;
    }
    this.#usedAt.push(...Array(messages).fill(now));
    action();
  }

  reset() {
    clearTimeout(this.#timer);
    this.#usedAt = [];
  }
}

/** The transport that worked last in this session, for the next page of it. A browser may have no such memory. */
class SessionMemory {
  #key;

  /** @param {string} url */
  constructor(url) {
    this.#key = `swarna.transport ${url}`;
  }

  /** @returns {string|null} */
  get transport() {
    try {
      return globalThis.sessionStorage?.getItem(this.#key) ?? null;
    } catch {
      return null;
    }
  }

  /** @param {Transport|null} transport  Null for the best, which needs no memory. */
  keep(transport) {
    try {
      if (transport === null) globalThis.sessionStorage?.removeItem(this.#key);
      else globalThis.sessionStorage?.setItem(this.#key, transport);
    } catch {
      // The next page finds out by itself.
    }
  }
}

/**
 * The events in the bytes of a `text/event-stream`, wherever they are cut (HTML Standard, Server-sent events): the data of
 * each, which has its type and its id in it. Exported for tests, as are the functions below.
 */
export class EventStream {
  // It drops a byte order mark, and keeps the begin of a character until the rest comes.
  #decoder = new TextDecoder();
  #line = "";
  #wasReturn = false;
  /** @type {string[]} */
  #data = [];

  /**
   * Returns the data of the events that these bytes complete.
   * @param {Uint8Array} bytes
   * @returns {string[]}
   */
  feed(bytes) {
    let text = this.#decoder.decode(bytes, { stream: true });
    if (this.#wasReturn && text.startsWith("\n")) text = text.slice(1);
    if (bytes.length > 0) this.#wasReturn = text.endsWith("\r");
    const lines = (this.#line + text).split(/\r\n|\r|\n/);
    this.#line = lines.pop() ?? "";
    return lines.flatMap((line) => this.#take(line));
  }

  /** @param {string} line */
  #take(line) {
    const [, name, value] = /** @type {string[]} */ (/^([^:]*):? ?(.*)$/su.exec(line));
    if (name === "data") this.#data.push(value);
    if (line !== "" || this.#data.length === 0) return [];
    const data = this.#data.join("\n");
    this.#data = [];
    return [data];
  }
}

/**
 * A moment, and the time passed since, by the clock that shows more: the steady clock stops on some devices while they
 * sleep, and the wall clock may be set back.
 */
export class Moment {
  #wall = Date.now();
  #steady = performance.now();

  get passed() {
    return Math.max(Date.now() - this.#wall, performance.now() - this.#steady);
  }
}

/** The milliseconds from the steady clock to the wall clock. */
function wallOffset() {
  return Date.now() - performance.now();
}

/** @param {Map<Named, Choice>} types */
function groupedByType(types) {
  /** @type {Map<Choice, Named[]>} */
  const metals = new Map();
  for (const [metal, type] of types) metals.set(type, [...(metals.get(type) ?? []), metal]);
  return metals;
}

// --- how to go on ----------------------------------------------------------------------------------------------------

/**
 * Returns true if another transport is to be tried, as something may be in the way of one that ended so.
 * @param {Fate} fate
 * @param {boolean} isProven  True if the transport has brought messages before: a server that starts anew is likelier.
 * @param {number} attempt  The number of the retry.
 */
export function isInTheWay(fate, isProven, attempt) {
  return fate === "blocked" || (fate === "unopened" && !(isProven && attempt < RETRIES_IF_PROVEN));
}

/**
 * How a line ends by an HTTP answer; null if it is the wanted one.
 * @param {Pick<Response, "status"|"headers">} answer
 * @param {string} type  The wanted media type.
 * @returns {End|null}
 */
export function endOf(answer, type) {
  const { status: code, headers } = answer;
  const isWanted = code === 200 ? mediaType(headers) === type : [204, 304].includes(code) && type === JSON_TYPE;
  if (isWanted) return null;
  const reason = code === 404 ? "There are no prices at this address: HTTP 404" : `HTTP ${code}`;
  // Proxies say 403 too, but not in our words.
  if (code === 401) return { fate: "refused", code, reason, refusal: { retry: "never", code: "unauthorized" } };
  if (code === 403 && isProblem(answer)) return { fate: "refused", code, reason, refusal: { retry: "never" } };
  if (code === 429 || code === 503) {
    return { fate: "refused", code, reason, refusal: { retry: "later", afterMs: retryAfter(headers) } };
  }
  return { fate: code >= 500 ? "unreachable" : "blocked", code, reason };
}

/**
 * How a line ends where there is no answer. Node says why, as of a certificate; browsers do not.
 * @param {unknown} error @returns {End}
 */
function unreachable(error) {
  const { message, code } = /** @type {{cause?: {message?: string, code?: string}}} */ (error)?.cause ?? {};
  const why = message || code;
  return { fate: "unreachable", code: ABNORMAL, reason: `The server cannot be reached${why ? `: ${why}` : ""}` };
}

/** The milliseconds that an answer's `Retry-After` names, in seconds or as a date; 0 for none. @param {Headers} headers */
function retryAfter(headers) {
  const value = headers.get("Retry-After") ?? "";
  const afterMs = /^\d+$/.test(value) ? Number(value) * SECOND : Date.parse(value) - Date.now();
  return Math.max(0, afterMs || 0);
}

/** Returns true for an error in the form of our API's (RFC 9457). @param {Pick<Response, "headers">} answer */
function isProblem({ headers }) {
  return mediaType(headers) === "application/problem+json";
}

/** @param {Headers} headers */
function mediaType(headers) {
  return (headers.get("Content-Type") ?? "").split(";")[0].trim().toLowerCase();
}

/**
 * The milliseconds to wait before a retry, the first being 1.
 * @param {number} attempt
 * @param {Pick<Options, "reconnectDelay"|"maxReconnectDelay"|"jitter">} options
 */
export function backoff(attempt, { reconnectDelay, maxReconnectDelay, jitter }) {
  return lengthened(Math.min(reconnectDelay * 2 ** (attempt - 1), maxReconnectDelay), jitter);
}

/** @param {number} delay @param {number} jitter  The largest share by which it becomes longer. */
function lengthened(delay, jitter) {
  return Math.round(delay * (1 + jitter * Math.random()));
}

/** The delay that a restarting server names; null if it is invalid. @param {number} afterMs */
function restartDelay(afterMs) {
  return Number.isFinite(afterMs) && afterMs >= 0 ? Math.min(afterMs, LONGEST_RESTART) : null;
}

// --- what the page gives ---------------------------------------------------------------------------------------------

/** @param {string|URL} url */
function webSocketUrl(url) {
  const absolute = absoluteUrl(url);
  if (absolute) absolute.protocol = absolute.protocol.replace(/^http/, "ws");
  if (absolute && ["ws:", "wss:"].includes(absolute.protocol)) return absolute.href;
  throw new SyntaxError(`${url} is no server's address, such as wss://prices.example/`);
}

/** The address, as seen from the page; null for none, as of a bare name in Node. @param {string|URL} url */
function absoluteUrl(url) {
  try {
    return new URL(url, globalThis.location?.href);
  } catch {
    return null;
  }
}

/** The address of the REST API: the given one, or the one beside the stream. @param {string} stream @param {string|URL|null} given */
function apiUrl(stream, given) {
  const absolute = new URL(given ?? stream, globalThis.location?.href);
  absolute.protocol = absolute.protocol.replace(/^ws/, "http");
  if (given === null) return new URL("api/v1/", absolute.href.replace(/ws\/prices\/?([?#].*)?$/, "")).href;
  return absolute.href.replace(/\/?$/, "/");
}

/** The options without undefined ones, which have their defaults. @param {GivenOptions} options */
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

/** Without delays, a server that is away would be called without end. @param {Options} options */
function requireTimes({ reconnectDelay, maxReconnectDelay, connectTimeout, heartbeatTimeout }) {
  for (const [name, value] of Object.entries({ reconnectDelay, maxReconnectDelay, connectTimeout, heartbeatTimeout })) {
    const isTime = typeof value === "number" && value > 0;
    if (!isTime) throw new TypeError(`${name} must be milliseconds, more than 0`);
  }
}

/** @param {unknown} intervals */
function requireCandles(intervals) {
  const named = Array.isArray(intervals) && intervals.every((interval) => typeof interval === "string");
  if (intervals !== null && !named) throw new TypeError('candles must be an array of intervals, such as ["1m"]');
}

/** @param {unknown} transports */
function requireTransports(transports) {
  const known = Array.isArray(transports) && transports.every((each) => TRANSPORTS.includes(each));
  if (!known || transports.length === 0 || new Set(transports).size < transports.length) {
    throw new TypeError(`transports must be an array of ${TRANSPORTS.join(", ")}, each at most once`);
  }
}

// --- what the server sends -------------------------------------------------------------------------------------------

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
