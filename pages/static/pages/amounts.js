/**
 * The amounts on a metal's page, in the measure that its reader picked. An element with an amount has it per gram of fine
 * metal in `data-gram`, as the server or a script wrote it; a difference has in `data-less` what it is more than; and one
 * with `data-money` is written with its currency.
 */

import { write } from "../client/dom.js";
import { convert } from "../client/units.js";

/** @typedef {import("../client/format.js").Formats} Formats */
/** @typedef {import("../client/units.js").Measure} Measure */
/** @typedef {number|string|null|undefined} Amount */

export class Amounts {
  #format;
  #currency;

  /** @param {Formats} format @param {string} currency @param {Measure} measure */
  constructor(format, currency, measure) {
    this.#format = format;
    this.#currency = currency;
    this.measure = measure;
  }

  /** The digits of an amount per gram in the measure. @param {number|string} gram */
  converted(gram) {
    return convert(gram, this.measure);
  }

  /** An amount per gram for people, in the measure and with its currency. @param {Amount} gram */
  money(gram) {
    return gram == null ? this.#format.money(null) : this.#format.money(this.converted(gram), this.#currency);
  }

  /** Writes an amount per gram into an element. @param {HTMLElement} element @param {Amount} gram @param {Amount} [less] */
  write(element, gram, less) {
    element.dataset.gram = gram == null ? "" : String(gram);
    if (less !== undefined) element.dataset.less = less === null ? "" : String(less);
    this.#express(element);
  }

  /** Writes all amounts within an element anew. @param {ParentNode} root */
  rewrite(root) {
    for (const element of root.querySelectorAll("[data-gram]")) this.#express(/** @type {HTMLElement} */ (element));
  }

  /** @param {HTMLElement} element */
  #express(element) {
    const { gram, less, money } = element.dataset;
    const format = this.#format;
    if (!gram || less === "") write(element, format.amount(null));
    else if (money !== undefined) write(element, this.money(gram));
    else if (less === undefined) write(element, format.amount(this.converted(gram)));
    else {
      const [to, from] = [this.converted(gram), this.converted(less)];
      write(element, format.difference(Number(to) - Number(from), to));
    }
  }
}
