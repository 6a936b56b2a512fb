/**
 * The rows of a sheet of prices, as an address or an element names them: `gold:916:10gram,silver:999:kg`. The server reads
 * the same (pages/rows.py).
 */

import { PURITIES_OF, UNITS } from "./units.js";

/** @typedef {import("./units.js").Metal} Metal */
/** @typedef {import("./units.js").Purity} Purity */
/** @typedef {import("./units.js").Unit} Unit */
/** @typedef {{metal: Metal, purity: Purity, unit: Unit}} Row  A metal in a purity, per unit. */
/** @typedef {"metal"|"purity"|"unit"|"form"} Wrong  The part of a row that is not understood. */
/** @typedef {{text: string, wrong: Wrong}} Mistake  A row that is not understood, cut short. */

/**
 * @typedef {object} Sheet
 * @property {Row[]} rows  Each once.
 * @property {Mistake[]} mistakes  The first of them.
 * @property {number} leftOut  The number of further rows.
 */

/** As many as a screen shows. */
export const MOST_ROWS = 24;
/** A longer list of mistakes is no help. */
const MOST_MISTAKES = 3;
const LONGEST_TEXT = 40;

/** @type {Map<string, Metal>}  By name and ISO code. */
const METALS = new Map([
  ["gold", "gold"],
  ["silver", "silver"],
  ["platinum", "platinum"],
  ["palladium", "palladium"],
  ["xau", "gold"],
  ["xag", "silver"],
  ["xpt", "platinum"],
  ["xpd", "palladium"],
]);

const FINE_PER_GRAM = "gold,silver,platinum,palladium";
const OF_EUROPE = "gold,gold:750:gram,silver:999:kg,platinum,palladium";
/** @type {Map<string, string>}  The rows by which the trade in a currency quotes metals. */
const CUSTOMARY = new Map([
  ["INR", "gold:999:10gram,gold:916:10gram,gold:750:10gram,silver:999:kg,platinum,palladium"],
  ["USD", "gold:999:troy_ounce,silver:999:troy_ounce,platinum:999:troy_ounce,palladium:999:troy_ounce"],
  ["AED", `gold:999:gram,gold:916:gram,gold:750:gram,${FINE_PER_GRAM}`],
  ["EUR", OF_EUROPE],
  ["GBP", OF_EUROPE],
  ["CHF", OF_EUROPE],
]);

/**
 * The rows that a text names. A metal goes by its name or ISO code; `gold` alone is `gold:999:gram`. What is not
 * understood is among the mistakes.
 * @param {string} text
 * @returns {Sheet}
 */
export function parse(text) {
  /** @type {Map<string, Row>} */
  const rows = new Map();
  /** @type {Mistake[]} */
  const mistakes = [];
  let leftOut = 0;
  for (const stripped of text.split(",").map((each) => each.trim())) {
    if (!stripped) continue;
    const row = rowOf(stripped);
    if (typeof row === "string") {
      if (mistakes.length < MOST_MISTAKES) mistakes.push({ text: clipped(stripped), wrong: row });
    } else if (rows.size < MOST_ROWS) {
      rows.set(nameOf(row), row);
    } else if (!rows.has(nameOf(row))) {
      leftOut += 1;
    }
  }
  return { rows: [...rows.values()], mistakes, leftOut };
}

/** @param {string} text @returns {Row|Wrong} */
function rowOf(text) {
  const [name, ...rest] = text.split(":").map((part) => part.trim().toLowerCase());
  if (rest.length > 2) return "form";
  const metal = METALS.get(name);
  if (!metal) return "metal";
  const [purity = "999", unit = "gram"] = rest;
  const known = PURITIES_OF[metal].find((each) => each === purity);
  if (!known) return "purity";
  const per = UNITS.find((each) => each === unit);
  // Both are fine metal: one sheet has one text.
  return per ? { metal, purity: known === "24k" ? "999" : known, unit: per } : "unit";
}

/** A row as `parse` reads it. @param {Row} row */
export function nameOf({ metal, purity, unit }) {
  return `${metal}:${purity}:${unit}`;
}

/** Rows as `parse` reads them. @param {Row[]} rows */
export function written(rows) {
  return rows.map(nameOf).join(",");
}

/**
 * The rows by which the trade in a currency quotes metals; where that is not known, each metal, fine, per gram.
 * @param {string} currency
 */
export function defaultSheet(currency) {
  return parse(CUSTOMARY.get(currency) ?? FINE_PER_GRAM).rows;
}

/** @param {string} text */
function clipped(text) {
  const letters = [...text];
  return letters.length > LONGEST_TEXT ? `${letters.slice(0, LONGEST_TEXT).join("")}…` : text;
}
