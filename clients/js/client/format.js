/** Numbers and times in the reader's locale, and names in the page's English, as the board shows them. */

/** @typedef {import("./units.js").Unit} Unit */
/** @typedef {number|string|null|undefined} Amount  A number, or units.js's digits. */

export const NOTHING = "—";
const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** @type {Record<Unit, string>} */
export const UNITS = {
  gram: "g",
  "8gram": "8 g",
  "10gram": "10 g",
  "100gram": "100 g",
  tola: "tola",
  kg: "kg",
  troy_ounce: "troy oz",
};
/** @type {Record<string, string>} */
const SOURCES = { fallback: "set by staff", simulated: "from a simulated market" };

/** @type {Intl.NumberFormatOptions} */
const signed = { signDisplay: "exceptZero" };
/** @type {Intl.NumberFormatOptions} */
const hundredths = { style: "percent", minimumFractionDigits: 2, maximumFractionDigits: 2 };
const percentage = new Intl.NumberFormat(undefined, { ...signed, ...hundredths });
const dispersion = new Intl.NumberFormat(undefined, hundredths);
const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
const weekTime = new Intl.DateTimeFormat(undefined, { weekday: "short", hour: "numeric", minute: "2-digit" });
const dateTime = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const list = new Intl.ListFormat("en");

export const timeOfDay = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" }).format;
export const dateAndTime = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" }).format;

/** An amount with its currency, as "₹13,221.39"; a dash for none. @param {Amount} amount @param {string} [currency] */
export function money(amount, currency) {
  return amount == null ? NOTHING : decimal(amount, { style: "currency", currency, currencyDisplay: "narrowSymbol" });
}

/** An amount without its currency. @param {Amount} value */
export function amount(value) {
  return value == null ? NOTHING : decimal(value, {});
}

/** A difference, with its sign and as many decimals as its price. @param {Amount} value @param {Amount} price */
export function difference(value, price) {
  return decimal(value, signed, price);
}

/** Percent as on the wire: 1.08 means 1.08 %. @param {number} value */
export function percent(value) {
  return percentage.format(value / 100);
}

/** @param {Amount} value @param {Intl.NumberFormatOptions} style @param {Amount} [magnitude] */
function decimal(value, style, magnitude = value) {
  // A gram of silver in dollars is worth little more than one: two decimals would hide its moves.
  const maximumFractionDigits = Math.abs(Number(magnitude)) < 10 ? 4 : 2;
  const format = new Intl.NumberFormat(undefined, { ...style, minimumFractionDigits: 2, maximumFractionDigits });
  return format.format(/** @type {Intl.StringNumericLiteral} */ (value));
}

/** The age of a time in milliseconds; beyond a day, its date. @param {number} time @param {number} now */
export function age(time, now) {
  const passed = now - time;
  if (passed < SECOND) return "just now";
  if (passed < MINUTE) return `${Math.floor(passed / SECOND)} s ago`;
  if (passed < HOUR) return `${Math.floor(passed / MINUTE)} min ago`;
  if (passed < DAY) return `${Math.floor(passed / HOUR)} h ago`;
  return `of ${day.format(time)}`;
}

/** A time within six days, such as "Fri 17:00"; another with its date. @param {number} time @param {number} now */
export function weekdayAndTime(time, now) {
  return (Math.abs(time - now) < 6 * DAY ? weekTime : dateTime).format(time);
}

/** The date of an example; `origin` goes on. @param {number} time */
export function exampleOf(time) {
  return `example price of ${day.format(time)},`;
}

/** When a last close was quoted. @param {number} time @param {number} now */
export function asOf(time, now) {
  return `as of ${weekdayAndTime(time, now)}`;
}

/** @param {string} word */
export function capitalised(word) {
  return word.charAt(0).toUpperCase() + word.slice(1);
}

/** @param {string[]} metals */
export function metalNames(metals) {
  return list.format(metals.map(capitalised));
}

/**
 * The source of a quote, as "from gold-api.com" of "gold_api_com"; of several, "3 sources, ±0.05%".
 * @param {{source: string, example?: boolean, contributors?: number, dispersionPercent?: number}} quote
 */
export function origin({ source, example, contributors, dispersionPercent }) {
  if (example) return "not set by staff";
  if (contributors) return `${contributors} sources, ±${dispersion.format(Number(dispersionPercent) / 100)}`;
  return SOURCES[source] ?? `from ${source.replace(/_(com|io|dev)$/, ".$1").replaceAll("_", "-")}`;
}
