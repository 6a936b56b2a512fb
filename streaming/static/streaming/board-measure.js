/** The measure of a card's prices, a weight and a purity, which the reader picks there and the browser remembers. */

import * as format from "../client/format.js";
import { PURITIES_OF, purityLabel, UNITS, WEIGHTS_OF } from "../client/units.js";
import { recall, remember } from "./board-memory.js";

/** @typedef {import("../client/units.js").Metal} Metal */
/** @typedef {import("../client/units.js").Measure} Measure */
/** @typedef {import("../client/units.js").Purity} Purity */
/** @typedef {import("../client/units.js").Unit} Unit */

/**
 * Fills the two controls of a metal's card, picks in them what was picked last time, and calls `express` whenever a reader
 * picks another.
 * @param {Metal} metal
 * @param {HTMLSelectElement} unit
 * @param {HTMLSelectElement} purity
 * @param {() => void} express
 * @returns {() => Measure}  The measure picked at any time.
 */
export function offerMeasure(metal, unit, purity, express) {
  const name = format.capitalised(metal);
  unit.ariaLabel = `${name} per`;
  purity.ariaLabel = `${name} of purity`;
  const usual = WEIGHTS_OF[metal];
  unit.append(group("Usual", usual), group("Others", UNITS.filter((each) => !usual.includes(each))));
  // A shop's "22K" is the hallmark 916, and no screen here shows the carat to the digit, 22/24, by that name.
  const finenesses = PURITIES_OF[metal].filter((each) => !each.endsWith("k"));
  purity.append(...finenesses.map((each) => new Option(purityLabel(metal, each), each)));
  unit.value = "gram";
  for (const control of [unit, purity]) {
    const key = `swarna.${control.name}`;
    // What was picked for all metals at once, as boards once had it, holds for each until another is picked for it.
    const remembered = recall(`${key}.${metal}`) ?? recall(key) ?? "";
    const option = [...control.options].find(({ value, label }) => {
      return value === remembered || label.startsWith(`${remembered.toUpperCase()} ·`);
    });
    if (option) option.selected = true;
    control.addEventListener("change", () => {
      remember(`${key}.${metal}`, control.value);
      express();
    });
  }
  return () => ({ unit: /** @type {Unit} */ (unit.value), purity: /** @type {Purity} */ (purity.value) });
}

/** @param {string} label @param {readonly Unit[]} names */
function group(label, names) {
  const made = document.createElement("optgroup");
  made.label = label;
  made.append(...names.map((name) => new Option(format.UNITS[name], name)));
  return made;
}
