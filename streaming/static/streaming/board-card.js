/** One metal on the board. */

import * as format from "./board-format.js";
import { measureOf } from "./board-measure.js";
import { convertQuote } from "./units.js";

/** What may be said of a price, from the worst; a card carries those that apply. */
export const MARKS = {
  unconnected: "Last known",
  example: "Example",
  fallback: "Fallback",
  simulated: "Simulated",
  stale: "Stale",
  close: "Last close",
  live: "Live",
};

const DIRECTIONS = { "-1": "down", 0: "none", 1: "up" };
const ARROWS = { down: "▼", none: "", up: "▲" };

export class Card {
  #parts;
  /** As it came over the wire: per gram of fine metal. */
  #quote = null;
  #currency;
  #measure;

  /**
   * @param {string} metal  Its name on the wire.
   * @param {HTMLTemplateElement} template  Its first element becomes the card; `data-part` names what this fills in.
   * @param {import("./board-measure.js").Measure} measure
   */
  constructor(metal, template, measure) {
    this.element = template.content.firstElementChild.cloneNode(true);
    this.element.dataset.metal = metal;
    const parts = [...this.element.querySelectorAll("[data-part]")];
    this.#parts = Object.fromEntries(parts.map((part) => [part.dataset.part, part]));
    this.#parts.name.textContent = format.metalName(metal);
    this.#parts.symbol.textContent = format.metalSymbol(metal);
    this.#parts.amount.addEventListener("animationend", () => delete this.element.dataset.flash);
    this.express(measure);
  }

  /** The marks that the price's own data calls for: `example`, `fallback`, `simulated`, `stale`, or none. */
  get marks() {
    if (!this.#quote) return [];
    const { source, stale, example } = this.#quote;
    // A fallback price is old by nature: to call it stale too would say nothing.
    if (source === "fallback") return [example ? "example" : "fallback"];
    return [source === "simulated" && "simulated", stale && "stale"].filter(Boolean);
  }

  /** Shows a quote as it came over the wire, or with null that there is none. */
  show(quote, currency) {
    this.#flash(quote);
    this.#quote = quote;
    this.#currency = currency;
    this.#showFigures();
  }

  /** Shows all figures in another measure, as far as it is one for this metal. */
  express(measure) {
    this.#measure = measureOf(this.element.dataset.metal, measure);
    const [unit, spokenUnit] = format.per(this.#measure, measure.purity);
    this.#write({ unit, spokenUnit });
    this.#showFigures();
  }

  #showFigures() {
    const quote = this.#quote && convertQuote(this.#quote, this.#measure);
    const amount = format.money(quote?.price, this.#currency);
    this.element.style.setProperty("--length", amount.length);
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
   * Says how old the price is and what is to be known about it. `now` is the server's clock; `atBest` is the mark of a
   * price that nothing else is to be said of: `live`, `close`, or null while it is not known which.
   */
  tick(now, connected, atBest) {
    const marks = connected ? this.marks : ["unconnected", ...this.marks];
    const shown = this.#quote ? (marks.length ? marks : [atBest].filter(Boolean)) : [];
    this.#showAge(now, shown[0] === "close" ? format.asOf : format.age);
    this.element.dataset.trust = shown[0] ?? "none";
    this.#write({ marks: shown.map((mark) => MARKS[mark]).join(" · ") });
  }

  #showAge(now, inWords) {
    const quotedAt = Date.parse(this.#quote?.timestamp);
    const known = !Number.isNaN(quotedAt);
    this.#write({ age: known ? inWords(quotedAt, now) : this.#quote ? "" : "Waiting for a price" });
    this.#parts.age.dateTime = known ? this.#quote.timestamp : "";
    this.#parts.age.title = known ? `Quoted ${format.dateAndTime(quotedAt)}` : "";
  }

  #showChange(quote) {
    const compared = quote?.previousClose != null;
    const direction = compared ? DIRECTIONS[Math.sign(quote.change)] : "none";
    this.#parts.change.dataset.direction = direction;
    this.#parts.change.hidden = !quote;
    this.#write({
      arrow: ARROWS[direction],
      difference: compared ? format.difference(quote.change, quote.price) : format.NOTHING,
      percent: compared ? format.percent(quote.changePercent) : "",
      against: compared ? "since the previous close" : "no previous close yet",
    });
  }

  #showRange(quote) {
    const width = quote?.high - quote?.low;
    this.#parts.range.hidden = !(width > 0);
    if (width > 0) this.#parts.range.style.setProperty("--at", (quote.price - quote.low) / width);
  }

  #flash(quote) {
    const move = DIRECTIONS[Math.sign(quote?.price - this.#quote?.price)];
    if (move === "up" || move === "down") this.element.dataset.flash = move;
  }

  #write(texts) {
    for (const [part, text] of Object.entries(texts)) write(this.#parts[part], text);
  }
}

/** Sets an element's text only where it differs, so that a reader can select and copy what stands still. */
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
