/** What the board's prices are per: a unit of metal of a purity, which the reader picks and the browser remembers. */

import * as format from "./board-format.js";
import { recall, remember } from "./board-memory.js";
import { PURITIES, UNITS } from "./units.js";

/** @typedef {{unit: string, purity: string}} Measure  Of units.js. */

/**
 * Fills the two controls, picks in them what was picked last time, and calls `express` whenever a reader picks another.
 * @param {HTMLSelectElement} unit
 * @param {HTMLSelectElement} purity
 * @param {(measure: Measure) => void} express
 * @returns {Measure}  What is picked now.
 */
export function offerMeasures(unit, purity, express) {
  const picked = () => ({ unit: unit.value, purity: purity.value });
  unit.append(...UNITS.map((name) => new Option(format.unitName(name), name)));
  purity.append(
    group("Carat (gold)", PURITIES.filter(format.isCarat)),
    group("Fineness (all metals)", PURITIES.filter((name) => !format.isCarat(name))),
  );
  for (const control of [unit, purity]) {
    const key = `swarna.${control.name}`;
    const remembered = recall(key);
    if ([...control.options].some(({ value }) => value === remembered)) control.value = remembered;
    control.addEventListener("change", () => {
      remember(key, control.value);
      express(picked());
    });
  }
  return picked();
}

/**
 * The measure that holds for one metal. Carats are gold's: silver or platinum of 22 carat is nothing that a jeweller
 * buys or sells, so where a carat is picked the other metals stay fine. A fineness is any metal's.
 */
export function measureOf(metal, { unit, purity }) {
  return { unit, purity: format.isCarat(purity) && metal !== "gold" ? "999" : purity };
}

function group(label, names) {
  const made = document.createElement("optgroup");
  made.label = label;
  made.append(...names.map((name) => new Option(name, name)));
  return made;
}
