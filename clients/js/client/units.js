/**
 * Converts prices per gram of fine metal, as streamed, to other units and purities, to the same digits as the REST API
 * (`?unit=10gram&purity=916`).
 *
 *     convert(13221.39, { unit: "10gram", purity: "916" }); // "121107.9324"
 *
 * Computed in whole numbers (BigInt), rounded once. Results are strings, as the price of a kilogram may have eighteen
 * digits, and a number keeps only fifteen. `Intl.NumberFormat` formats them as they are; `Number(…)` gives the nearest
 * number, exact up to 99,999,999,999.9999.
 */

/** @typedef {"gram"|"8gram"|"10gram"|"100gram"|"tola"|"kg"|"troy_ounce"} Unit */
/** @typedef {"24k"|"23k"|"22k"|"20k"|"18k"|"14k"|"9k"} Carat */
/**
 * Parts in a thousand.
 * @typedef {"999"|"995"|"990"|"970"|"958"|"950"|"925"|"916"|"900"|"850"|"835"|"833"|"800"|"750"|"585"|"500"|"375"} Fineness
 */
/** @typedef {Carat|Fineness} Purity */
/** @typedef {import("./swarna-client.js").Metal} Metal */
/**
 * @typedef {object} Measure
 * @property {Unit} [unit]  By default gram, as streamed.
 * @property {Purity} [purity]  By default fine, as streamed.
 * @property {Metal} [metal]  Given it, a purity that the metal does not have is an error, as it is to the REST API.
 */
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
  ["8gram", [8n, 1n]],
  ["10gram", [10n, 1n]],
  ["100gram", [100n, 1n]],
  ["tola", [116_638_038n, 10_000_000n]],
  ["kg", [1000n, 1n]],
  ["troy_ounce", [311_034_768n, 10_000_000n]],
]);

/** @type {Carat[]} */
const CARATS = ["24k", "23k", "22k", "20k", "18k", "14k", "9k"];
/** @type {Fineness[]} */
const FINENESSES = [
  "999", "995", "990", "970", "958", "950", "925", "916", "900", "850", "835", "833", "800", "750", "585", "500", "375",
];

/**
 * The price of one part of alloy in parts of fine metal. A carat is a 24th; fine is 999, which prices are quoted for; 995
 * is 995/999 of it, and those below are plainly thousandths.
 * @type {Map<Purity, Fraction>}
 */
const FINE = new Map([
  ...CARATS.map((name) => /** @type {[Purity, Fraction]} */ ([name, [BigInt(parseInt(name, 10)), 24n]])),
  ...FINENESSES.map((name) => /** @type {[Purity, Fraction]} */ ([name, [BigInt(name), 1000n]])),
  ["999", [1n, 1n]],
  ["995", [995n, 999n]],
]);

/** The purities of each metal. @type {Readonly<Record<Metal, readonly Purity[]>>} */
export const PURITIES_OF = Object.freeze({
  gold: [...CARATS, "999", "995", "958", "916", "833", "750", "585", "375"],
  silver: ["24k", "999", "990", "970", "925", "900", "835", "800"],
  platinum: ["24k", "999", "950", "900", "850"],
  palladium: ["24k", "999", "950", "500"],
});

/** The weights by which each metal is usually sold in India. @type {Readonly<Record<Metal, readonly Unit[]>>} */
export const WEIGHTS_OF = Object.freeze({
  gold: ["gram", "8gram", "10gram", "100gram", "tola"],
  silver: ["10gram", "100gram", "kg"],
  platinum: ["gram", "10gram"],
  palladium: ["gram", "10gram"],
});

/** @type {{[name in Purity]?: string}}  What a shop calls the hallmarks of gold. */
const HALLMARKS = { 999: "24K", 958: "23K", 916: "22K", 833: "20K", 750: "18K", 585: "14K", 375: "9K" };

/** The names of all units and purities, as in the REST API. */
export const UNITS = Object.freeze([...GRAMS.keys()]);
export const PURITIES = Object.freeze([...FINE.keys()]);

/** @type {Amount[]} */
const AMOUNTS = ["price", "high", "low", "open", "previousClose", "bid", "ask"];
const STEPS = 10_000n; // four decimals

/**
 * A price per gram of fine metal as one per `unit` of metal of `purity`.
 * @param {number|string} price  As on the wire, or a string of such digits. May be a difference, below zero.
 * @param {Measure} [measure]  Of `UNITS` and `PURITIES`; by default as streamed.
 * @returns {string}  A decimal number with four decimals at most, half to even, and no zeros at its end.
 * @throws {RangeError} for an unknown unit, purity or metal, for a purity that the metal does not have, and for a price that
 *   is not a plain decimal number.
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
 * A metal's purities as shops name them, whose "22K" is the hallmark 916: by parts in a thousand.
 * @param {Metal} metal
 */
export function finenesses(metal) {
  return PURITIES_OF[metal].filter((each) => !each.endsWith("k"));
}

/**
 * A purity for people: "22K · 916", "925"; where it is a carat to the digit, "22/24".
 * @param {Metal} metal @param {Purity} purity @returns {string}
 */
export function purityLabel(metal, purity) {
  if (purity === "24k") return purityLabel(metal, "999");
  if (purity.endsWith("k")) return `${parseInt(purity, 10)}/24`;
  const carat = metal === "gold" ? HALLMARKS[purity] : undefined;
  return carat ? `${carat} · ${purity}` : purity;
}

/**
 * The converted price, as a number of published steps of 0.0001.
 * @param {number|string} price
 * @param {Measure} [measure]
 */
function steps(price, { unit = "gram", purity = "24k", metal } = {}) {
  const [isBelowZero, digits, ofOne] = decimal(price);
  const [grams, ofGrams] = known(GRAMS, unit, "unit");
  const [fine, ofFine] = known(FINE, purity, "purity");
  if (metal !== undefined) mustHave(metal, purity);
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

/** @param {Metal} metal @param {Purity} purity */
function mustHave(metal, purity) {
  if (!Object.hasOwn(PURITIES_OF, metal)) {
    throw new RangeError(`Unknown metal ${metal}. Choose from ${Object.keys(PURITIES_OF).join(", ")}`);
  }
  const has = PURITIES_OF[metal];
  if (!has.includes(purity)) throw new RangeError(`${metal} has no purity ${purity}. Choose from ${has.join(", ")}`);
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
