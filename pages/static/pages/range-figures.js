/** The figures of the candles in a range of the chart, as pages/ranges.py makes them. */

/** @typedef {import("../client/swarna-client.js").Candle} Candle */

/**
 * @typedef {object} RangeFigures  Amounts are per gram; of equal extremes the first counts.
 * @property {number} first
 * @property {number} last
 * @property {number} high
 * @property {string} highAt  The beginning of the candle that holds it, as `lowAt`.
 * @property {number} low
 * @property {string} lowAt
 * @property {string} average  The mean of the closes, to the published decimals.
 * @property {number} changePercent
 */

const STEPS = 10_000; // a price has four decimals at most

/**
 * The figures of candles, oldest first; null without any.
 * @param {readonly Candle[]} candles @returns {RangeFigures|null}
 */
export function rangeFigures(candles) {
  const [oldest, newest] = [candles.at(0), candles.at(-1)];
  if (!oldest || !newest) return null;
  const highest = candles.reduce((one, other) => (other.high > one.high ? other : one));
  const lowest = candles.reduce((one, other) => (other.low < one.low ? other : one));
  const steps = candles.reduce((sum, { close }) => sum + BigInt(Math.round(close * STEPS)), 0n);
  return {
    first: oldest.open,
    last: newest.close,
    high: highest.high,
    highAt: highest.start,
    low: lowest.low,
    lowAt: lowest.start,
    average: mean(steps, BigInt(candles.length)),
    changePercent: (newest.close / oldest.open - 1) * 100,
  };
}

/** The nearest step to a share, as digits; halfway, the even one. @param {bigint} steps @param {bigint} count */
function mean(steps, count) {
  const down = steps / count;
  const twice = (steps % count) * 2n;
  const nearest = twice > count || (twice === count && down % 2n === 1n) ? down + 1n : down;
  return `${nearest / BigInt(STEPS)}.${String(nearest % BigInt(STEPS)).padStart(4, "0")}`;
}
