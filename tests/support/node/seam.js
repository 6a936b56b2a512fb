/**
 * A market in one interval's candles, its history by REST and its stream, which lose, delay and merge what they bring; and
 * `CandleHistory`, which has to end with the market's own candles, whatever came in which order.
 */

import { CandleHistory } from "../pages/candles.js";

const MINUTE = 60_000;

/** Whole numbers below `end`, the same for each seed. */
export function dice(seed) {
  let state = seed + 1;
  return (end) => {
    state = (state * 48_271) % 2_147_483_647;
    return state % end;
  };
}

export class Market {
  epoch = "first";
  seq = 0;
  /** By start; each with the publication that it last changed in. */
  candles = new Map();
  #now = Date.UTC(2026, 10, 2);

  /** Publishes a tick; now and then a late one, in a candle that is closed. */
  publish(roll) {
    this.seq += 1;
    this.#now += roll(3) * MINUTE;
    const late = roll(8) === 0 ? 1 + roll(4) : 0;
    const began = Math.floor(this.#now / (5 * MINUTE) - late) * 5 * MINUTE;
    const start = new Date(began).toISOString();
    const price = 100 + roll(50);
    const had = this.candles.get(start) ?? { open: price, high: price, low: price, ticks: 0 };
    this.candles.set(start, {
      start,
      end: new Date(began + 5 * MINUTE).toISOString(),
      open: had.open,
      high: Math.max(had.high, price),
      low: Math.min(had.low, price),
      close: price,
      ticks: had.ticks + 1,
      seq: this.seq,
    });
  }

  /** Puts an older copy of the database back. */
  putBack() {
    this.epoch += "'";
    this.seq = Math.floor(this.seq / 2);
    for (const [start, candle] of this.candles) if (candle.seq > this.seq) this.candles.delete(start);
  }

  /** All candles, oldest first: the newest is live. */
  get all() {
    const sorted = [...this.candles.values()].sort((one, other) => (one.start < other.start ? -1 : 1));
    return sorted.map((candle, place) => ({ ...candle, closed: place < sorted.length - 1 }));
  }

  /** The update that the stream brings to a client that was sent all up to `since`; a snapshot for null. */
  update(since) {
    const news = this.all.filter(({ closed, seq }) => !closed || (since !== null && seq > since));
    // A candle that has closed since comes too, though no tick of later changed it.
    const before = since === null ? undefined : this.all.findLast(({ seq, closed }) => closed && seq <= since);
    const candles = [...(before ? [before] : []), ...news].map((candle) => ({ ...candle }));
    const { epoch, seq } = this;
    return { type: "priceUpdate", epoch, seq, snapshot: since === null, candles: { gold: { "5m": candles } } };
  }
}

/** One run of a page beside its market; returns both sides' candles at the end. */
export async function run(seed) {
  const roll = dice(seed);
  const market = new Market();
  for (let tick = roll(40); tick; tick -= 1) market.publish(roll);
  const requested = [];
  const answer = () => {
    const { candles, resolve } = requested.splice(roll(requested.length), 1)[0];
    resolve(candles);
  };
  const history = new CandleHistory("gold", () => {
    const { promise, resolve } = withResolvers();
    // The database is read when the request arrives, and the answer may be long on its way.
    requested.push({ candles: market.all, resolve });
    return promise;
  }, () => {});
  let series;
  const load = async () => {
    series = await history.load("5m", 288);
  };
  let [since, epoch] = [null, market.epoch];
  const receive = () => {
    const update = market.update(epoch === market.epoch ? since : null);
    [since, epoch] = [market.seq, market.epoch];
    history.take(update);
  };
  const steps = [
    () => market.publish(roll),
    () => market.publish(roll),
    receive,
    () => void load(),
    () => requested.length && answer(),
    // The stream could not go on from here: a snapshot comes next.
    () => roll(4) === 0 && (since = null),
    () => roll(20) === 0 && market.seq > 4 && market.putBack(),
  ];
  for (let step = 0; step < 60; step += 1) {
    steps[roll(steps.length)]();
    if (roll(2)) await settled();
  }
  void load();
  receive();
  for (let rest = 0; rest < 20; rest += 1) {
    while (requested.length) answer();
    await settled();
  }
  series = await history.load("5m", 288);
  return [series.all, market.all];
}

/** Lets all that waits for a promise go on. */
function settled() {
  return new Promise((resolve) => setImmediate(resolve));
}

function withResolvers() {
  let resolve;
  const promise = new Promise((taken) => {
    resolve = taken;
  });
  return { promise, resolve };
}
