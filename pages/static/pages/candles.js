/**
 * Candles of one metal and interval, joined from its history by REST and from the stream by `seq`, without a gap or a double.
 *
 * A candle is known by its start, and holds all its prices up to the publication `seq`: of two with the same start the one
 * with the higher `seq` is the newer, whichever came first. So there is no double. There is no gap either where the history
 * was requested after the stream had told its position: it has every candle up to there, and the stream tells all later
 * ones. `CandleHistory` fetches again what it had before that, and where the stream cannot go on from the last position.
 */

/** @typedef {import("../client/swarna-client.js").Candle} Candle */
/** @typedef {import("../client/swarna-client.js").Interval} Interval */
/** @typedef {import("../client/swarna-client.js").Metal} Metal */
/** @typedef {import("../client/swarna-client.js").PriceUpdate} PriceUpdate */
/** @typedef {{epoch: string, seq: number}} Position */

export class CandleSeries {
  #most;
  /** @type {Map<string, Candle>}  By start. */
  #byStart = new Map();
  /** @type {readonly Candle[]|null}  Oldest first; null after a change of starts. */
  #sorted = null;

  /** @param {number|null} most  How many it keeps, the newest; null for all. */
  constructor(most) {
    this.#most = most;
  }

  /**
   * Takes candles in any order; those that are older than the known ones change nothing.
   * @param {readonly Candle[]} candles
   * @returns {Candle[]}  Those that were taken.
   */
  take(candles) {
    const taken = candles.filter((candle) => {
      const known = this.#byStart.get(candle.start);
      if (known && (known.seq ?? 0) > (candle.seq ?? 0)) return false;
      // A candle that is over never opens again: of two with one `seq` the closed one is the later.
      if (known?.closed && !candle.closed && known.seq === candle.seq) return false;
      this.#byStart.set(candle.start, candle);
      this.#sorted = null;
      return true;
    });
    if (this.#most !== null) for (const { start } of this.all.slice(0, -this.#most)) this.#forget(start);
    return taken;
  }

  /** @param {string} start */
  #forget(start) {
    this.#byStart.delete(start);
    this.#sorted = null;
  }

  /** All candles, oldest first. @returns {readonly Candle[]} */
  get all() {
    // ISO times of one length in UTC: their order is that of their texts.
    this.#sorted ??= [...this.#byStart.values()].sort((one, other) => (one.start < other.start ? -1 : 1));
    return this.#sorted;
  }

  /**
   * The candles of the time before the end of the newest one.
   * @param {number|null} span  Milliseconds; null for all.
   * @returns {readonly Candle[]}
   */
  newest(span) {
    const newest = this.all.at(-1);
    if (!newest || span === null) return this.all;
    const from = Date.parse(newest.end) - span;
    return this.all.filter(({ start }) => Date.parse(start) >= from);
  }
}

/**
 * @typedef {object} Kept  An interval that was requested.
 * @property {number|null} most  The number of the newest candles that were requested; null for all.
 * @property {CandleSeries} shown  The history of the last answer, and all that the stream has brought since.
 * @property {CandleSeries} next  The candles that the stream has brought since the history was last requested.
 * @property {number} joinedAt  `#breaks` when that was requested which is shown; -1 before the first answer.
 * @property {Promise<void>|null} loading
 */

/** The longest time, in milliseconds, after which a history that could not be had is requested again: it doubles, up to this. */
const [AGAIN_AFTER, LONGEST_AGAIN] = [10_000, 300_000];
/** The share of it by which some pages are earlier, as all of them have lost one server. */
const EARLIER = 0.25;

/** A metal's candles of several intervals, loaded by REST and kept abreast of the stream. */
export class CandleHistory {
  #metal;
  #fetchCandles;
  #changed;
  #failed;
  /** @type {Position|null}  That of the last update. */
  #position = null;
  /** The beginnings of the stream, and the times that it could not go on: a history from before the last has a gap. */
  #breaks = 0;
  /** @type {Map<Interval, Kept>} */
  #kept = new Map();

  /**
   * @param {Metal} metal
   * @param {(interval: Interval, most: number|null) => Promise<Candle[]>} fetchCandles  By REST: so many of the newest, or
   *   all for null.
   * @param {(interval: Interval, candles: Candle[]|null) => void} changed  Called when these candles are new or others than
   *   before; with null where any may be.
   * @param {() => void} failed  Called when a history could not be had, which will be requested again.
   */
  constructor(metal, fetchCandles, changed, failed) {
    this.#metal = metal;
    this.#fetchCandles = fetchCandles;
    this.#changed = changed;
    this.#failed = failed;
  }

  /**
   * The candles of an interval, with at least so many of the newest, or all for null. Fetches until it has them.
   * @param {Interval} interval @param {number|null} most @returns {Promise<CandleSeries>}
   */
  async load(interval, most) {
    let kept = this.#kept.get(interval);
    if (!kept || (kept.most !== null && (most === null || kept.most < most))) {
      kept = { most, shown: new CandleSeries(most), next: new CandleSeries(most), joinedAt: -1, loading: null };
      this.#kept.set(interval, kept);
    }
    if (kept.joinedAt < 0) await (kept.loading ?? this.#fetch(interval, kept));
    return kept.shown;
  }

  /** The candles of an interval; undefined before they are loaded. @param {Interval} interval */
  shown(interval) {
    const kept = this.#kept.get(interval);
    return kept && kept.joinedAt >= 0 ? kept.shown : undefined;
  }

  /** Takes an update of the stream. @param {PriceUpdate} update */
  take({ epoch, seq, snapshot, candles = {} }) {
    const before = this.#position;
    this.#position = { epoch, seq };
    // A snapshot of the position before has nothing that was missed: it tells that a price has turned stale, say.
    if (!before || before.epoch !== epoch || (snapshot && seq > before.seq)) {
      this.#breaks += 1;
      for (const kept of this.#kept.values()) kept.next = new CandleSeries(kept.most);
    }
    for (const [name, news] of Object.entries(candles[this.#metal] ?? {})) {
      const interval = /** @type {Interval} */ (name);
      const kept = this.#kept.get(interval);
      kept?.next.take(news);
      const taken = kept?.shown.take(news);
      if (taken?.length && kept && kept.joinedAt >= 0) this.#changed(interval, taken);
    }
    this.#join();
  }

  /** Fetches anew each history with a gap. */
  #join() {
    for (const [interval, kept] of this.#kept) {
      if (kept.loading || kept.joinedAt < 0 || kept.joinedAt === this.#breaks) continue;
      this.#fetch(interval, kept);
    }
  }

  /** @param {Interval} interval @param {Kept} kept @returns {Promise<void>} */
  #fetch(interval, kept) {
    const load = async () => {
      let [breaks, candles] = [-1, /** @type {Candle[]} */ ([])];
      while (breaks !== this.#breaks) {
        breaks = this.#breaks;
        candles = await this.#fetchUntilHad(interval, kept);
      }
      if (this.#kept.get(interval) !== kept) return;
      kept.next.take(candles);
      [kept.shown, kept.next, kept.joinedAt] = [kept.next, new CandleSeries(kept.most), breaks];
      this.#changed(interval, null);
    };
    kept.loading = load().finally(() => {
      kept.loading = null;
    });
    return kept.loading;
  }

  /** None if more of them have been requested since: those are fetched. @param {Interval} interval @param {Kept} kept @returns {Promise<Candle[]>} */
  async #fetchUntilHad(interval, kept) {
    for (let pause = AGAIN_AFTER; this.#kept.get(interval) === kept; pause = Math.min(2 * pause, LONGEST_AGAIN)) {
      try {
        return await this.#fetchCandles(interval, kept.most);
      } catch {
        this.#failed();
        const earlier = pause * EARLIER * Math.random();
        await new Promise((resolve) => setTimeout(resolve, pause - earlier));
      }
    }
    return [];
  }
}
