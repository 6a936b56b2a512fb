/** The card of one row on the board: as the server wrote it, or made here of the same template, and kept up to date. */

import { changeOf, directionOf, write, writeAge } from "../client/dom.js";
import { isOfTheMarket, MARKS, marksShown } from "../client/marks.js";
import { nameOf, parse } from "../client/rows.js";
import { convertQuote } from "../client/units.js";

/** @typedef {import("../client/format.js").Formats} Formats */
/** @typedef {import("../client/live.js").LivePrices} LivePrices */
/** @typedef {import("../client/marks.js").Mark} Mark */
/** @typedef {import("../client/rows.js").Row} Row */
/** @typedef {import("../client/swarna-client.js").Quote} Quote */
/** @typedef {import("../client/units.js").Converted<Quote>} Converted */

/** The box of a sparkline, and the prices from which on one is written smaller; pages/cards.py has the same. */
const [WIDTH, HEIGHT] = [96, 32];
const [LONG, VERY_LONG] = [13, 17];

export class Card {
  #parts;
  #format;
  /** @type {Quote|null}  As on the wire: per gram of fine metal. */
  #quote = null;
  /** False after a quote that cannot be shown: the one of before stands, and is not of now. */
  #isReadable = true;

  /** @param {HTMLElement} element  Its `data-row` names the row, and `data-part` the parts to fill in. @param {Formats} format */
  constructor(element, format) {
    this.element = element;
    this.row = parse(element.dataset.row ?? "").rows[0];
    this.#format = format;
    const parts = /** @type {NodeListOf<HTMLElement>} */ (element.querySelectorAll("[data-part]"));
    this.#parts = Object.fromEntries([...parts].map((part) => [part.dataset.part, part]));
    this.#parts.amount.addEventListener("animationend", () => delete element.dataset.flash);
  }

  /** A new card, without a price. @param {Row} row @param {HTMLTemplateElement} template @param {Formats} format */
  static of(row, template, format) {
    const copy = /** @type {DocumentFragment} */ (template.content.cloneNode(true));
    const element = /** @type {HTMLElement} */ (copy.firstElementChild);
    element.dataset.row = nameOf(row);
    element.dataset.metal = row.metal;
    const card = new Card(element, format);
    const [name, purity] = [format.metal(row.metal), format.purity(row.metal, row.purity)];
    card.#write({ name, purity, per: format.per(row.unit), whose: ` ${name} ${purity}` });
    const root = document.documentElement.dataset.root ?? "/";
    const { lang } = document.documentElement;
    card.#parts.name.setAttribute("href", `${root}${row.metal}/?unit=${row.unit}&purity=${row.purity}&lang=${lang}`);
    return card;
  }

  /** The shown quote, as on the wire. */
  get quote() {
    return this.#quote;
  }

  /**
   * Shows a quote as on the wire, and leads to its receipt; null for none. Throws a RangeError if it cannot be shown.
   * @param {Quote|null} quote @param {string} currency @param {string|null} receipt  The address of the page of the receipt.
   */
  show(quote, currency, receipt) {
    this.#isReadable = false;
    const converted = quote && convertQuote(quote, this.row);
    this.#isReadable = true;
    this.#flash(quote);
    this.#quote = quote;
    const format = this.#format;
    const amount = format.money(converted?.price, currency);
    this.element.dataset.length = amount.length <= LONG ? "" : amount.length <= VERY_LONG ? "long" : "very-long";
    this.#write({
      amount,
      open: converted ? format.amount(converted.open) : "",
      high: converted ? format.amount(converted.high) : "",
      low: converted ? format.amount(converted.low) : "",
      previousClose: converted ? format.amount(converted.previousClose) : "",
      bid: converted?.bid == null ? "" : format.amount(converted.bid),
      ask: converted?.ask == null ? "" : format.amount(converted.ask),
      origin: quote?.source ? format.origin(quote) : "",
    });
    this.#parts.bidding.hidden = converted?.bid == null;
    this.#parts.asking.hidden = converted?.ask == null;
    this.#showChange(converted);
    this.#showRange(converted);
    const why = receipt && quote ? `${receipt}#${this.row.metal}` : null;
    this.#parts.why.hidden = why === null;
    if (why) this.#parts.why.setAttribute("href", why);
  }

  /**
   * Draws the sparkline of the last 24 hours of trading.
   * @param {readonly number[]} closes  Of the market, per gram, oldest first. The shown price follows, unless staff set it.
   */
  draw(closes) {
    const quote = this.#quote;
    const points = quote && isOfTheMarket(quote) && closes.length ? [...closes, quote.price] : closes;
    const [low, high] = [Math.min(...points), Math.max(...points)];
    const across = WIDTH / (points.length - 1);
    // A price that stands still is drawn in the middle.
    const down = (/** @type {number} */ price) => (high > low ? (high - price) / (high - low) : 0.5) * HEIGHT;
    const placed = points.map((price, n) => `${(n * across).toFixed()} ${down(price).toFixed()}`);
    setAttribute(this.#parts.sparkline, "d", quote && placed.length > 1 ? `M${placed.join("L")}` : "");
  }

  /**
   * Shows how old the price is, and its marks.
   * @param {LivePrices} live
   */
  refresh(live) {
    const { _ } = this.#format;
    const shown = marksShown(this.#quote, live.isCurrent && this.#isReadable, live.atBest(this.row.metal));
    this.element.dataset.trust = shown[0] ?? "none";
    this.#write({ marks: shown.map((mark) => _(MARKS[mark])).join(" · ") });
    this.#showAge(live, shown[0]);
  }

  /** @param {LivePrices} live @param {Mark|undefined} mark */
  #showAge(live, mark) {
    const age = /** @type {HTMLTimeElement} */ (this.#parts.age);
    if (this.#quote) {
      writeAge(age, this.#quote, mark, live, this.#format);
      age.title = age.dateTime && this.#format.dateAndTime(Date.parse(age.dateTime));
    } else {
      write(age, this.#format._("Waiting for a price"));
      age.dateTime = age.title = "";
    }
  }

  /** @param {Converted|null} quote */
  #showChange(quote) {
    const { _, amount } = this.#format;
    const change = changeOf(quote, this.#format);
    const compared = change.percent !== "";
    for (const part of [this.#parts.change, this.#parts.sparkline?.parentElement]) {
      part?.setAttribute("data-direction", change.direction);
    }
    // Beside a change it is only heard, as the previous close is seen below.
    this.#parts.against.classList.toggle("unseen", compared);
    this.#write({
      arrow: change.arrow,
      difference: quote && !compared ? amount(null) : change.difference,
      percent: change.percent,
      against: !quote ? "" : compared ? _("since the previous close") : _("no previous close yet"),
    });
  }

  /** @param {Converted|null} quote */
  #showRange(quote) {
    const [low, high, price] = [quote?.low, quote?.high, quote?.price].map(Number);
    const isRange = high > low;
    this.#parts.range.toggleAttribute("hidden", !isRange);
    if (isRange) setAttribute(this.#parts.at, "d", `M${Math.round((100 * (price - low)) / (high - low))} 0v8`);
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

/** @param {Element} element @param {string} name @param {string} value */
function setAttribute(element, name, value) {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}
