/** The measure of the board's prices, a unit and a purity, which the reader picks and the browser remembers. */

import * as format from "./board-format.js";
import { recall, remember } from "./board-memory.js";
import { PURITIES, UNITS } from "./units.js";

/** @typedef {Required<import("./units.js").Measure>} Measure */

/**
 * Fills the two controls, picks in them what was picked last time, and calls `express` whenever a reader picks another.
 * @param {HTMLSelectElement} unit
 * @param {HTMLSelectElement} purity
 * @param {(measure: Measure) => void} express
 * @returns {Measure}  The measure picked now.
 */
export function offerMeasures(unit, purity, express) {
  const picked = () => /** @type {Measure} */ ({ unit: unit.value, purity: purity.value });
  unit.append(...UNITS.map((name) => new Option(format.unitName(name), name)));
  purity.append(
    group("Carat (gold)", PURITIES.filter(format.isCarat)),
    group("Fineness (all metals)", PURITIES.filter((name) => !format.isCarat(name))),
  );
  for (const control of [unit, purity]) {
    const key = `swarna.${control.name}`;
    const remembered = [...control.options].find(({ value }) => value === recall(key));
    if (remembered) remembered.selected = true;
    control.addEventListener("change", () => {
      remember(key, control.value);
      express(picked());
    });
  }
  return picked();
}

/**
 * The measure for one metal. Carats are for gold: jewellers buy and sell no silver or platinum by carat, so the other
 * metals stay fine where a carat is picked. A fineness is for any metal.
 * @param {string} metal @param {Measure} measure @returns {Measure}
 */
export function measureOf(metal, { unit, purity }) {
  return { unit, purity: format.isCarat(purity) && metal !== "gold" ? "999" : purity };
}

/** @param {string} label @param {string[]} names */
function group(label, names) {
  const made = document.createElement("optgroup");
  made.label = label;
  made.append(...names.map((name) => new Option(name, name)));
  return made;
}
