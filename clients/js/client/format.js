/**
 * Numbers, times and names as people read them, in one language and locale. pages/formats.py writes the same.
 *
 * Amounts are taken as numbers, or as units.js's digits. Digits are Latin in every language.
 */

import { purityLabel } from "./units.js";
import { ENGLISH, N_ } from "./words.js";

/** @typedef {import("./units.js").Metal} Metal */
/** @typedef {import("./units.js").Purity} Purity */
/** @typedef {import("./units.js").Unit} Unit */
/** @typedef {import("./words.js").Language} Language */
/** @typedef {import("./words.js").Words} Words */
/** @typedef {number|string|null|undefined} Amount */
/** @typedef {ReturnType<typeof formats>} Formats */
/**
 * @typedef {object} Place  Where the prices are read.
 * @property {string} [locale]  By default the browser's.
 * @property {string} [timeZone]  By default the browser's.
 */

export const NOTHING = "—";
const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** @type {Record<Unit, string>} */
export const UNITS = {
  gram: N_("g"),
  "8gram": N_("8 g"),
  "10gram": N_("10 g"),
  "100gram": N_("100 g"),
  tola: N_("tola"),
  kg: N_("kg"),
  troy_ounce: N_("troy oz"),
};
/** @type {Record<Unit, string>} */
const PER = {
  gram: N_("per g"),
  "8gram": N_("per 8 g"),
  "10gram": N_("per 10 g"),
  "100gram": N_("per 100 g"),
  tola: N_("per tola"),
  kg: N_("per kg"),
  troy_ounce: N_("per troy oz"),
};
/** @type {Record<Metal, string>} */
const METALS = { gold: N_("Gold"), silver: N_("Silver"), platinum: N_("Platinum"), palladium: N_("Palladium") };
/** @type {Record<string, string>} */
const SOURCES = { fallback: N_("set by staff"), simulated: N_("from a simulated market") };

/** @type {Record<string, string>}  Short signs of currencies; others are written by their code. */
const SIGNS = { EUR: "€", GBP: "£", INR: "₹", USD: "$" };
/** @type {Record<string, string>}  Whose English is written where prices are in a currency. */
const ENGLISH_OF = { AED: "AE", EUR: "150", GBP: "GB", INR: "IN", SGD: "SG", USD: "US" };

/**
 * The locale of a language where prices are in a currency: `en-IN` and `hi-IN` for INR. pages/languages.py has the same.
 * @param {Language} language @param {string} currency
 */
export function localeOf(language, currency) {
  return `${language}-${language === "en" ? (ENGLISH_OF[currency] ?? "001") : "IN"}`;
}

/**
 * Formats in the language of `words`, which are among them. None needs its `this`.
 * @param {Words} words
 * @param {Place} [place]
 */
export function formats(words, { locale, timeZone } = {}) {
  const { _, plural, language } = words;
  const digits = locale && `${locale}-u-nu-latn`;
  return Object.freeze({
    ...{ _, plural, language },
    ...amountFormats(digits),
    ...timeFormats(words, digits, timeZone),
    ...nameFormats(words, numbers(digits, 2)),
  });
}

/**
 * @param {string|undefined} locale @param {number} maximumFractionDigits @param {Intl.NumberFormatOptions} [sign]
 * @returns {(value: number|string) => string}
 */
function numbers(locale, maximumFractionDigits, sign) {
  const { format } = new Intl.NumberFormat(locale, { minimumFractionDigits: 2, maximumFractionDigits, ...sign });
  return (value) => format(/** @type {Intl.StringNumericLiteral} */ (value));
}

/** @param {string|undefined} locale */
function amountFormats(locale) {
  const [two, four] = [numbers(locale, 2), numbers(locale, 4)];
  const signed = /** @type {const} */ ({ signDisplay: "exceptZero" });
  const [signedTwo, signedFour] = [numbers(locale, 2, signed), numbers(locale, 4, signed)];
  // A gram of silver in dollars is worth little more than one: two decimals would hide its moves.
  const isSmall = (/** @type {Amount} */ price) => Math.abs(Number(price)) < 10;

  /** An amount without its currency; a dash for none. @param {Amount} value */
  const amount = (value) => (value == null ? NOTHING : (isSmall(value) ? four : two)(value));

  /** An amount with its currency, as "₹13,221.39". @param {Amount} value @param {string} [currency] */
  const money = (value, currency = "") => {
    if (value == null) return NOTHING;
    return `${SIGNS[currency] ?? (currency && `${currency}\u00a0`)}${amount(value)}`;
  };

  /** A difference, with its sign and as many decimals as its price. @param {number|string} value @param {Amount} price */
  const difference = (value, price) => (isSmall(price) ? signedFour : signedTwo)(value);

  /** Percent as on the wire, with its sign: 1.08 means 1.08 %. @param {number} value */
  const percent = (value) => `${signedTwo(value)}%`;

  return { amount, money, difference, percent };
}

/** @param {Words} words @param {string|undefined} locale @param {string|undefined} timeZone */
function timeFormats({ _, plural }, locale, timeZone) {
  /** @param {Intl.DateTimeFormatOptions} options */
  const times = (options) => {
    const { format } = new Intl.DateTimeFormat(locale, { timeZone, ...options });
    // Locale data of different years has AM or am, and one of three spaces before it.
    return (/** @type {number} */ time) => format(time).replace("AM", "am").replace("PM", "pm").replace(/\s/g, " ");
  };
  const date = times({ year: "numeric", month: "short", day: "numeric" });
  const timeOfDay = times({ timeStyle: "medium" });
  const hourAndMinute = times({ timeStyle: "short" });
  const weekday = times({ weekday: "short" });

  /** The age of a time in milliseconds; beyond a day, its date. @param {number} time @param {number} now */
  const age = (time, now) => {
    const passed = now - time;
    if (passed < SECOND) return _("just now");
    if (passed < MINUTE) return plural("{count} s ago", "{count} s ago", Math.floor(passed / SECOND));
    if (passed < HOUR) return plural("{count} min ago", "{count} min ago", Math.floor(passed / MINUTE));
    if (passed < DAY) return plural("{count} h ago", "{count} h ago", Math.floor(passed / HOUR));
    return _("of {date}", { date: date(time) });
  };

  /** A time within six days, such as "Fri, 5:00 pm"; another with its date. @param {number} time @param {number} now */
  const weekdayAndTime = (time, now) =>
    `${Math.abs(time - now) < 6 * DAY ? weekday(time) : date(time)}, ${hourAndMinute(time)}`;

  /** A date with the time to the second. @param {number} time */
  const dateAndTime = (time) => `${date(time)}, ${timeOfDay(time)}`;

  /** The date of an example, which says more of it than an age. @param {number} time */
  const exampleOf = (time) => _("example price of {date}", { date: date(time) });

  /** When a last close was quoted. @param {number} time @param {number} now */
  const asOf = (time, now) => _("as of {time}", { time: weekdayAndTime(time, now) });

  return { age, asOf, exampleOf, date, timeOfDay, dateAndTime, weekdayAndTime };
}

/** @param {Words} words @param {(value: number) => string} number  A number with two decimals. */
function nameFormats({ _, plural }, number) {
  /** A metal's name. @param {string} name  As on the wire. */
  const metal = (name) => (Object.hasOwn(METALS, name) ? _(METALS[/** @type {Metal} */ (name)]) : name);

  /** @param {string[]} names */
  const metalNames = (names) => {
    const [last, ...others] = names.map(metal).reverse();
    return others.length ? _("{metals} and {metal}", { metals: others.reverse().join(", "), metal: last }) : last;
  };

  /** @param {Unit} name */
  const unit = (name) => _(UNITS[name]);

  /** The unit of a price: "per 10 g". @param {Unit} name */
  const per = (name) => _(PER[name]);

  /**
   * A purity: "22K · 916", "925"; where it is a carat to the digit, "22/24".
   * @param {Metal} of @param {Purity} name
   */
  const purity = (of, name) => {
    const [carat, fineness] = purityLabel(of, name).split("K · ");
    return fineness ? _("{carat}K · {fineness}", { carat, fineness }) : carat;
  };

  /**
   * The source of a quote, as "from gold-api.com" of "gold_api_com"; of several, "3 sources, ±0.05%".
   * @param {{source: string, example?: boolean, contributors?: number, dispersionPercent?: number}} quote
   */
  const origin = ({ source, example, contributors, dispersionPercent }) => {
    if (example) return _("not set by staff");
    if (contributors) {
      const percent = `${number(Number(dispersionPercent))}%`;
      return plural("{count} source, ±{percent}", "{count} sources, ±{percent}", contributors, { percent });
    }
    if (Object.hasOwn(SOURCES, source)) return _(SOURCES[source]);
    return _("from {source}", { source: source.replace(/_(com|io|dev)$/, ".$1").replaceAll("_", "-") });
  };

  return { metal, metalNames, unit, per, purity, origin };
}

/** Formats in English, and in the browser's locale and time zone. */
export const english = formats(ENGLISH);
