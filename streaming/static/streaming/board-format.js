/** How the board writes numbers and times, in the reader's locale, and names, in the page's English. */

export const NOTHING = "—";
const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const SYMBOLS = { gold: "XAU", silver: "XAG", platinum: "XPT", palladium: "XPD" };
const UNITS = {
  gram: ["g", "gram"],
  "10gram": ["10 g", "10 grams"],
  tola: ["tola", "tola"],
  kg: ["kg", "kilogram"],
  troy_ounce: ["troy oz", "troy ounce"],
};
/** What a reader may not know by heart. */
const WEIGHTS = { tola: " (11.6638038 g)", troy_ounce: " (31.1034768 g)" };
const SOURCES = { fallback: "set by staff", simulated: "from a simulated market" };

const signed = { signDisplay: "exceptZero" };
const percentage = new Intl.NumberFormat(undefined, {
  ...signed,
  style: "percent",
  minimumFractionDigits: 2,
  maximumFractionDigits: 2,
});
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
const moment = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });
const weekTime = new Intl.DateTimeFormat(undefined, { weekday: "short", hour: "numeric", minute: "2-digit" });
const dateTime = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const list = new Intl.ListFormat("en");

/** An amount with its currency, such as "₹13,221.39"; a dash for none. */
export function money(amount, currency) {
  return amount == null ? NOTHING : decimal(amount, { style: "currency", currency, currencyDisplay: "narrowSymbol" });
}

/** An amount without its currency. */
export function amount(value) {
  return value == null ? NOTHING : decimal(value, {});
}

/** A difference, with its sign, to the decimals of the price that it belongs to. */
export function difference(value, price) {
  return decimal(value, signed, price);
}

/** Percent as on the wire: 1.08 means 1.08 %. */
export function percent(value) {
  return percentage.format(value / 100);
}

function decimal(value, style, magnitude = value) {
  // A gram of silver in dollars is worth little more than one: two decimals would hide its moves.
  const maximumFractionDigits = Math.abs(magnitude) < 10 ? 4 : 2;
  return new Intl.NumberFormat(undefined, { ...style, minimumFractionDigits: 2, maximumFractionDigits }).format(value);
}

/** How long ago, from milliseconds; beyond a day it is the date that says something. */
export function age(time, now) {
  const passed = now - time;
  if (passed < SECOND) return "just now";
  if (passed < MINUTE) return `${Math.floor(passed / SECOND)} s ago`;
  if (passed < HOUR) return `${Math.floor(passed / MINUTE)} min ago`;
  if (passed < DAY) return `${Math.floor(passed / HOUR)} h ago`;
  return `of ${day.format(time)}`;
}

export function timeOfDay(time) {
  return clock.format(time);
}

/** A moment near by, such as "Fri 17:00"; with its date where there may be another such day before it. */
export function weekdayAndTime(time, now) {
  return (Math.abs(time - now) < 6 * DAY ? weekTime : dateTime).format(time);
}

/** When a price was quoted that stands since then. */
export function asOf(time, now) {
  return `as of ${weekdayAndTime(time, now)}`;
}

export function dateAndTime(time) {
  return moment.format(time);
}

export function capitalised(word) {
  return word.charAt(0).toUpperCase() + word.slice(1);
}

export function metalName(metal) {
  return capitalised(metal);
}

export function metalNames(metals) {
  return list.format(metals.map(metalName));
}

/** The ISO 4217 code of a metal; empty for one that this page does not know. */
export function metalSymbol(metal) {
  return SYMBOLS[metal] ?? "";
}

/** A unit in full, such as "troy ounce"; its own name for one that this page does not know. */
export function unitName(unit) {
  return UNITS[unit]?.[1] ?? unit;
}

export function isCarat(purity) {
  return purity.endsWith("k");
}

function isFine(purity) {
  return purity === "24k" || purity === "999";
}

/**
 * What a card's price is per, as a pair: to be read, "/ 10 g · 22k", and to be spoken, "per 10 grams of 22 carat". Fine
 * metal is named only where the reader picked another purity.
 */
export function per({ unit, purity }, picked) {
  const [short, name] = UNITS[unit] ?? [unit, unit];
  if (isFine(picked)) return [`/ ${short}`, `per ${name}`];
  if (isFine(purity)) return [`/ ${short} · fine`, `per ${name} of fine metal`];
  return [`/ ${short} · ${purity}`, `per ${name} of ${purityName(purity)}`];
}

/** What all prices are per, in a sentence. */
export function measure({ unit, purity }) {
  return `Prices are per ${unitName(unit)}${WEIGHTS[unit] ?? ""} of ${metalOf(purity)}.`;
}

function metalOf(purity) {
  if (isFine(purity)) return "fine (24 carat, 999) metal";
  if (isCarat(purity)) return `${purityName(purity)} gold (${parseInt(purity)} parts fine in 24); other metals are fine (999)`;
  return `metal of ${purityName(purity)} (${purity} parts fine in 1,000)`;
}

function purityName(purity) {
  return isCarat(purity) ? `${parseInt(purity)} carat` : `fineness ${purity}`;
}

/** Where a quote's price comes from, in words: "gold_api_com" is "from gold-api.com". */
export function origin({ source, example }) {
  if (example) return "only an example";
  return SOURCES[source] ?? `from ${source.replace(/_(com|io|dev)$/, ".$1").replaceAll("_", "-")}`;
}
