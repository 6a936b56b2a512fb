/**
 * Converts prices per gram of fine metal, as streamed, to other units and purities, to the same digits as the REST API
 * (`?unit=10gram&purity=22k`).
 *
 *     convert(13221.39, { unit: "10gram", purity: "22k" }); // "121196.075"
 *
 * Computed in whole numbers (BigInt), rounded once. Results are strings, as the price of a kilogram may have eighteen
 * digits, and a number keeps only fifteen. `Intl.NumberFormat` formats them as they are; `Number(…)` gives the nearest
 * number, exact up to 99,999,999,999.9999.
 */

/** @typedef {"gram"|"10gram"|"tola"|"kg"|"troy_ounce"} Unit */
/** @typedef {"24k"|"22k"|"18k"|"14k"|"999"|"995"|"916"|"750"|"585"} Purity */
/** @typedef {{unit?: Unit, purity?: Purity}} Measure  Each by default as streamed. */
/** @typedef {[numerator: bigint, denominator: bigint]} Fraction */
/** @typedef {"price"|"high"|"low"|"open"|"previousClose"|"bid"|"ask"} Amount */
/** @typedef {{price: number, change: number} & {[name in Amount]?: number|null}} Amounts */

/**
 * A quote with its amounts as strings, and otherwise as it was.
 * @template Q
 * @typedef {{[name in keyof Q]: name extends Amount|"change" ? string|Exclude<Q[name], number> : Q[name]}} Converted
 */

/** @type {Map<Unit, Fraction>}  Grams in a unit; prices/domain/units.py has the same. */
const GRAMS = new Map([
  ["gram", [1n, 1n]],
  ["10gram", [10n, 1n]],
  ["tola", [116_638_038n, 10_000_000n]],
  ["kg", [1000n, 1n]],
  ["troy_ounce", [311_034_768n, 10_000_000n]],
]);

/**
 * Parts of fine metal in parts of alloy. The trade calls 999 fine: prices are quoted for it.
 * @type {Map<Purity, Fraction>}
 */
const FINE = new Map([
  ["24k", [24n, 24n]],
  ["22k", [22n, 24n]],
  ["18k", [18n, 24n]],
  ["14k", [14n, 24n]],
  ["999", [1n, 1n]],
  ["995", [995n, 1000n]],
  ["916", [916n, 1000n]],
  ["750", [750n, 1000n]],
  ["585", [585n, 1000n]],
]);

/** The names of units and purities, as in the REST API. */
export const UNITS = Object.freeze([...GRAMS.keys()]);
export const PURITIES = Object.freeze([...FINE.keys()]);

/** @type {Required<Measure>}  The measure of streamed prices. */
const AS_STREAMED = { unit: "gram", purity: "24k" };
/** @type {Amount[]} */
const AMOUNTS = ["price", "high", "low", "open", "previousClose", "bid", "ask"];
const STEPS = 10_000n; // four decimals

/**
 * A price per gram of fine metal as one per `unit` of metal of `purity`.
 * @param {number|string} price  As on the wire, or a string of such digits. May be a difference, below zero.
 * @param {Measure} [measure]  Of `UNITS` and `PURITIES`; by default as streamed.
 * @returns {string}  A decimal number with four decimals at most, half to even, and no zeros at its end.
 * @throws {RangeError} for an unknown unit or purity, and a price that is not a plain decimal number.
 */
export function convert(price, measure) {
  return written(steps(price, measure));
}

/**
 * A quote (an entry of `data` in a `priceUpdate`) per `unit` of metal of `purity`, with its amounts as strings, like
 * `convert`'s, and otherwise unchanged.
 *
 * Each amount is converted by itself, except `change`, which stays the difference of `price` and `previousClose`, and
 * `changePercent`, which is the same in all units.
 * @template {Amounts} Q
 * @param {Q} quote  Per gram of fine metal. Absent amounts stay absent.
 * @param {Measure} [measure]  As for `convert`.
 * @returns {Converted<Q>}
 * @throws {RangeError} as `convert`.
 */
export function convertQuote(quote, measure) {
  /** @type {Record<string, unknown>} */
  const converted = { ...quote };
  for (const name of AMOUNTS) {
    const amount = quote[name];
    if (amount != null) converted[name] = convert(amount, measure);
  }
  if (quote.change != null) converted.change = written(difference(quote, measure));
  return /** @type {Converted<Q>} */ (converted);
}

/** @param {Amounts} quote @param {Measure} [measure] */
function difference({ change, price, previousClose }, measure) {
  // The seed's own server sends no previous close.
  return previousClose == null ? steps(change, measure) : steps(price, measure) - steps(previousClose, measure);
}

/**
 * The converted price, as a number of published steps of 0.0001.
 * @param {number|string} price
 * @param {Measure} [measure]
 */
function steps(price, { unit = AS_STREAMED.unit, purity = AS_STREAMED.purity } = AS_STREAMED) {
  const [isBelowZero, digits, ofOne] = decimal(price);
  const [grams, ofGrams] = known(GRAMS, unit, "unit");
  const [fine, ofFine] = known(FINE, purity, "purity");
  const magnitude = rounded(digits * grams * fine * STEPS, ofOne * ofGrams * ofFine);
  return isBelowZero ? -magnitude : magnitude;
}

/**
 * A number's sign, its digits, and by what these are to be divided.
 * @param {number|string} price
 * @returns {[boolean, bigint, bigint]}
 */
function decimal(price) {
  const [text, sign, whole, decimals = ""] = /^(-?)(\d+)(?:\.(\d+))?$/.exec(String(price)) ?? [];
  if (text === undefined) throw new RangeError(`${price} is not a price: give a number such as 13221.39`);
  return [sign === "-", BigInt(whole + decimals), 10n ** BigInt(decimals.length)];
}

/**
 * @template Name
 * @param {Map<Name, Fraction>} table
 * @param {Name} name
 * @param {string} kind
 */
function known(table, name, kind) {
  const found = table.get(name);
  if (!found) throw new RangeError(`Unknown ${kind} ${name}. Choose from ${[...table.keys()].join(", ")}`);
  return found;
}

/**
 * A fraction that is not below zero as the nearest whole number; halfway, as the even one.
 * @param {bigint} part
 * @param {bigint} whole
 */
function rounded(part, whole) {
  const down = part / whole;
  const twice = (part % whole) * 2n;
  return twice > whole || (twice === whole && down % 2n === 1n) ? down + 1n : down;
}

/** @param {bigint} steps */
function written(steps) {
  const [sign, magnitude] = steps < 0n ? ["-", -steps] : ["", steps];
  const decimals = String(magnitude % STEPS).padStart(4, "0").replace(/0+$/, "");
  return `${sign}${magnitude / STEPS}${decimals && `.${decimals}`}`;
}
