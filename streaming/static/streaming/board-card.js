/** The card of one metal on the board. */

import * as format from "../client/format.js";
import { ageText, MARKS, marksShown } from "../client/marks.js";
import { convertQuote } from "../client/units.js";
import { offerMeasure } from "./board-measure.js";

/** @typedef {import("../client/swarna-client.js").Quote} Quote */
/** @typedef {import("../client/units.js").Converted<Quote>} Converted */
/** @typedef {import("../client/swarna-client.js").Metal} Metal */
/** @typedef {import("../client/marks.js").Mark} Mark */

const ARROWS = { down: "▼", none: "", up: "▲" };

export class Card {
  #parts;
  /** @type {Quote|null}  As on the wire: per gram of fine metal. */
  #quote = null;
  /** @type {string|undefined} */
  #currency;
  #measure;

  /**
   * @param {Metal} metal
   * @param {string} symbol
   * @param {HTMLTemplateElement} template  Its first element becomes the card; `data-part` names the parts to fill in.
   * @param {() => void} expressed  Called once the reader has picked another measure.
   */
  constructor(metal, symbol, template, expressed) {
    const copy = /** @type {DocumentFragment} */ (template.content.cloneNode(true));
    this.element = /** @type {HTMLElement} */ (copy.firstElementChild);
    this.element.dataset.metal = metal;
    const parts = /** @type {NodeListOf<HTMLElement>} */ (copy.querySelectorAll("[data-part]"));
    this.#parts = Object.fromEntries([...parts].map((part) => [part.dataset.part, part]));
    this.#write({ name: format.capitalised(metal), symbol });
    this.#parts.why.ariaLabel = `Why? The price of ${metal}`;
    this.#parts.amount.addEventListener("animationend", () => delete this.element.dataset.flash);
    const { unit, purity } = /** @type {Record<string, HTMLSelectElement>} */ (this.#parts);
    this.#measure = offerMeasure(metal, unit, purity, () => {
      this.#showFigures();
      expressed();
    });
  }

  /** The measure of the shown figures, which the reader picks. */
  get measure() {
    return this.#measure();
  }

  /** The shown quote, as on the wire. */
  get quote() {
    return this.#quote;
  }

  /**
   * Shows a quote as on the wire, and leads to its receipt; null for none.
   * @param {Quote|null} quote @param {string} [currency] @param {number} [seq]  The position as of which it is shown.
   */
  show(quote, currency, seq) {
    this.#flash(quote);
    this.#quote = quote;
    this.#currency = currency;
    this.#showFigures();
    this.#parts.why.hidden = !quote || !seq;
    if (quote && seq) this.#parts.why.setAttribute("href", receiptOf(this.element.dataset.metal ?? "", seq));
  }

  #showFigures() {
    const quote = this.#quote && convertQuote(this.#quote, this.measure);
    const amount = format.money(quote?.price, this.#currency);
    this.element.style.setProperty("--length", String(amount.length));
    this.#write({
      amount,
      open: format.amount(quote?.open),
      high: format.amount(quote?.high),
      low: format.amount(quote?.low),
      previousClose: format.amount(quote?.previousClose),
      origin: quote?.source ? format.origin(quote) : "",
    });
    this.#showChange(quote);
    this.#showRange(quote);
  }

  /**
   * Shows how old the price is, and its marks.
   * @param {number} now  By the server's clock.
   * @param {boolean} connected
   * @param {Mark|null} atBest  The mark of a price without any other: `live`, `close`, or null while it is unknown.
   */
  refresh(now, connected, atBest) {
    const shown = marksShown(this.#quote, connected, atBest);
    this.#showAge(now, shown[0]);
    this.element.dataset.trust = shown[0] ?? "none";
    this.#write({ marks: shown.map((mark) => MARKS[mark]).join(" · ") });
  }

  /** @param {number} now @param {Mark|undefined} mark */
  #showAge(now, mark) {
    const timestamp = this.#quote?.timestamp ?? "";
    const quotedAt = Date.parse(timestamp);
    const known = !Number.isNaN(quotedAt);
    const age = /** @type {HTMLTimeElement} */ (this.#parts.age);
    write(age, this.#quote ? ageText(this.#quote, mark, now) : "Waiting for a price");
    age.dateTime = known ? timestamp : "";
    age.title = known ? `Quoted ${format.dateAndTime(quotedAt)}` : "";
  }

  /** @param {Converted|null} quote */
  #showChange(quote) {
    const compared = quote?.previousClose != null;
    const direction = compared ? directionOf(Number(quote.change)) : "none";
    this.#parts.change.dataset.direction = direction;
    this.#parts.change.hidden = !quote;
    this.#write({
      arrow: ARROWS[direction],
      difference: compared ? format.difference(quote.change, quote.price) : format.NOTHING,
      percent: compared ? format.percent(quote.changePercent) : "",
      against: compared ? "since the previous close" : "no previous close yet",
    });
  }

  /** @param {Converted|null} quote */
  #showRange(quote) {
    const [low, high, price] = [quote?.low, quote?.high, quote?.price].map(Number);
    this.#parts.range.hidden = !(high > low);
    if (high > low) this.#parts.range.style.setProperty("--at", String((price - low) / (high - low)));
  }

  /** @param {Quote|null} quote */
  #flash(quote) {
    const move = quote && this.#quote ? directionOf(quote.price - this.#quote.price) : "none";
    if (move !== "none") this.element.dataset.flash = move;
  }

  /** @param {Record<string, string>} texts  By part. */
  #write(texts) {
    for (const [part, text] of Object.entries(texts)) write(this.#parts[part], text);
  }
}

/**
 * The page that says why a metal's price was shown as of a publication, though it may have come with an earlier one.
 * @param {string} metal @param {number} seq
 */
export function receiptOf(metal, seq) {
  return `/why/${seq}/#${metal}`;
}

/** @param {number} change */
function directionOf(change) {
  return change > 0 ? "up" : change < 0 ? "down" : "none";
}

/**
 * Sets an element's text only where it differs, so that a reader can select and copy it meanwhile.
 * @param {Element} element @param {string} text
 */
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
