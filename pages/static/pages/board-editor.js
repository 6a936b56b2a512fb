/** The choice of a board's rows, and of their order. It is loaded once a reader opens it. */

import { defaultSheet, MOST_ROWS, nameOf } from "../client/rows.js";
import { finenesses, UNITS, WEIGHTS_OF } from "../client/units.js";

/** @typedef {import("../client/format.js").Formats} Formats */
/** @typedef {import("../client/rows.js").Row} Row */
/** @typedef {import("../client/units.js").Metal} Metal */
/** @typedef {import("../client/units.js").Purity} Purity */
/** @typedef {import("../client/units.js").Unit} Unit */

export class Editor {
  #list = document.createElement("ol");
  /** @type {Row[]} */
  #rows;
  #listed;
  #format;
  #chosen;
  #add;

  /**
   * @param {HTMLElement} element  The editor is built in it.
   * @param {object} board
   * @param {readonly Row[]} board.rows  Those of the board now.
   * @param {readonly Metal[]} board.listed
   * @param {string} board.currency
   * @param {Formats} board.format
   * @param {(rows: Row[]) => void} board.chosen  Called with all rows once the reader has changed any.
   */
  constructor(element, { rows, listed, currency, format, chosen }) {
    const { _ } = format;
    this.#rows = [...rows];
    this.#listed = listed;
    this.#format = format;
    this.#chosen = chosen;
    this.#add = button(_("Add a row"), () => this.#append());
    const usual = defaultSheet(currency).filter(({ metal }) => listed.includes(metal));
    const reset = button(_("Usual rows"), () => this.#change(usual));
    const ends = document.createElement("div");
    ends.className = "editor-ends";
    ends.append(this.#add, reset);
    element.append(this.#list, ends);
    this.#build();
  }

  /** Puts the focus on the first control. */
  focus() {
    this.#list.querySelector("select")?.focus();
  }

  #append() {
    const present = new Set(this.#rows.map(nameOf));
    const candidates = this.#listed.flatMap((metal) =>
      finenesses(metal).map((purity) => ({ metal, purity, unit: WEIGHTS_OF[metal][0] })),
    );
    const row = candidates.find((each) => !present.has(nameOf(each)));
    if (row) this.#change([...this.#rows, row], this.#rows.length, "metal");
  }

  /** @param {number} at @param {number} by */
  #move(at, by) {
    const rows = [...this.#rows];
    rows.splice(at + by, 0, ...rows.splice(at, 1));
    const isAtEnd = at + by === 0 || at + by === rows.length - 1;
    this.#change(rows, at + by, isAtEnd ? (by < 0 ? "down" : "up") : by < 0 ? "up" : "down");
  }

  /** @param {number} at */
  #remove(at) {
    const rows = this.#rows.filter((_, n) => n !== at);
    this.#change(rows, Math.min(at, rows.length - 1), rows.length > 1 ? "remove" : "metal");
  }

  /** Shows other rows, with the focus on a control of one of them. @param {Row[]} rows @param {number} [at] @param {string} [control] */
  #change(rows, at, control) {
    this.#rows = rows;
    this.#build();
    const item = at === undefined ? null : this.#list.children[at];
    /** @type {HTMLElement|null|undefined} */ (item?.querySelector(`[name="${control}"]`))?.focus();
    this.#chosen(this.#rows);
  }

  #build() {
    this.#list.replaceChildren(...this.#rows.map((row, at) => this.#item(row, at)));
    this.#add.disabled = this.#rows.length >= MOST_ROWS;
  }

  /** @param {Row} row @param {number} at */
  #item(row, at) {
    const { metal, purity, per } = this.#format;
    const name = `${metal(row.metal)} ${purity(row.metal, row.purity)} ${per(row.unit)}`;
    const item = document.createElement("li");
    const selects = [this.#metals(row, at, name), this.#purities(row, at, name), this.#weights(row, at, name)];
    item.append(...selects, this.#moves(at, name));
    return item;
  }

  /** @param {Row} row @param {number} at @param {string} name  The row's. */
  #metals(row, at, name) {
    const { _, metal } = this.#format;
    const options = this.#listed.map((each) => new Option(metal(each), each));
    return select("metal", _("Metal: {row}", { row: name }), row.metal, options, (value) => {
      const other = /** @type {Metal} */ (value);
      const has = finenesses(other).includes(row.purity);
      this.#replace(at, { metal: other, purity: has ? row.purity : "999", unit: row.unit }, "metal");
    });
  }

  /** @param {Row} row @param {number} at @param {string} name */
  #purities(row, at, name) {
    const { _, purity } = this.#format;
    const options = purities(row).map((each) => new Option(purity(row.metal, each), each));
    return select("purity", _("Purity: {row}", { row: name }), row.purity, options, (value) =>
      this.#replace(at, { ...row, purity: /** @type {Purity} */ (value) }, "purity"),
    );
  }

  /** @param {Row} row @param {number} at @param {string} name */
  #weights(row, at, name) {
    const { _, unit } = this.#format;
    const usual = WEIGHTS_OF[row.metal];
    const others = UNITS.filter((each) => !usual.includes(each));
    /** @param {readonly Unit[]} units */
    const weights = (units) => units.map((each) => new Option(unit(each), each));
    const groups = [group(_("Usual"), weights(usual)), group(_("Others"), weights(others))];
    return select("unit", _("Weight: {row}", { row: name }), row.unit, groups, (value) =>
      this.#replace(at, { ...row, unit: /** @type {Unit} */ (value) }, "unit"),
    );
  }

  /** @param {number} at @param {string} name */
  #moves(at, name) {
    const { _ } = this.#format;
    const last = this.#rows.length - 1;
    const moves = document.createElement("div");
    moves.className = "editor-moves";
    moves.append(
      button("↑", () => this.#move(at, -1), "up", _("Move up: {row}", { row: name }), at === 0),
      button("↓", () => this.#move(at, 1), "down", _("Move down: {row}", { row: name }), at === last),
      button("✕", () => this.#remove(at), "remove", _("Remove: {row}", { row: name }), last === 0),
    );
    return moves;
  }

  /** @param {number} at @param {Row} row @param {string} control */
  #replace(at, row, control) {
    this.#change(this.#rows.with(at, row), at, control);
  }
}

/** The purities to choose from, with the row's own, which an address may name to the digit. @param {Row} row @returns {Purity[]} */
function purities({ metal, purity }) {
  const named = finenesses(metal);
  return named.includes(purity) ? named : [...named, purity];
}

/**
 * @param {string} name @param {string} label @param {string} value
 * @param {HTMLElement[]} options @param {(value: string) => void} changed
 */
function select(name, label, value, options, changed) {
  const made = document.createElement("select");
  made.name = name;
  // Firefox before 119 has no property of it.
  made.setAttribute("aria-label", label);
  made.append(...options);
  made.value = value;
  made.addEventListener("change", () => changed(made.value));
  return made;
}

/** @param {string} label @param {HTMLOptionElement[]} options */
function group(label, options) {
  const made = document.createElement("optgroup");
  made.label = label;
  made.append(...options);
  return made;
}

/** @param {string} text @param {() => void} pressed @param {string} [name] @param {string} [label] @param {boolean} [disabled] */
function button(text, pressed, name = "", label = text, disabled = false) {
  const made = document.createElement("button");
  Object.assign(made, { type: "button", textContent: text, name, disabled });
  made.setAttribute("aria-label", label);
  made.addEventListener("click", pressed);
  return made;
}
