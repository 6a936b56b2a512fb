/** The clock of the server's time zone, for a chart, which knows only UTC. */

const MINUTE = 60_000;
/** No clock is changed but at such times. */
const QUARTER = 15 * MINUTE;
const OFFSET = /GMT(?:([+-])(\d\d):(\d\d))?/;

/**
 * A function from a moment to what clocks in a time zone show then, both in Unix milliseconds: the second as if that clock
 * were UTC's. @param {string} timeZone
 */
export function clockIn(timeZone) {
  const format = new Intl.DateTimeFormat("en", { timeZone, timeZoneName: "longOffset" });
  /** @type {Map<number, number>}  By quarter of an hour: to find one takes as long as to draw a hundred candles. */
  const offsets = new Map();
  const offsetAt = (/** @type {number} */ time) => {
    const [, sign, hours, minutes] = OFFSET.exec(format.format(time)) ?? [];
    const size = Number(hours ?? 0) * 60 * MINUTE + Number(minutes ?? 0) * MINUTE;
    return sign === "-" ? -size : size;
  };
  return (/** @type {number} */ time) => {
    const quarter = Math.floor(time / QUARTER);
    const known = offsets.get(quarter);
    if (known !== undefined) return time + known;
    const offset = offsetAt(time);
    offsets.set(quarter, offset);
    return time + offset;
  };
}
