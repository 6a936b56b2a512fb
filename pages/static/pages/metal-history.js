/** A metal's history on its page: its chart, the figures of the chosen range, and the table of the last days. */

import { directionOf, write } from "../client/dom.js";
import { CandleHistory } from "./candles.js";
import { format, locale, root, timeZone } from "./page.js";
import { rangeFigures } from "./range-figures.js";
import { fetchCandles } from "./rest-candles.js";

/** @typedef {import("../client/swarna-client.js").Candle} Candle */
/** @typedef {import("../client/swarna-client.js").Interval} Interval */
/** @typedef {import("../client/swarna-client.js").Metal} Metal */
/** @typedef {import("../client/swarna-client.js").PriceUpdate} PriceUpdate */
/** @typedef {import("./amounts.js").Amounts} Amounts */
/** @typedef {import("./chart.js").PriceChart} PriceChart */
/** @typedef {import("./chart.js").Style} Style */

/**
 * @typedef {object} Range
 * @property {Interval} interval  Of its candles.
 * @property {number|null} most  The number of candles that it can hold; null for any number.
 * @property {number|null} span  Its length in milliseconds; null for all there is.
 */

const DAY = 86_400_000;
const DAYS_SHOWN = 10;

export class MetalHistory {
  #elements;
  #amounts;
  #history;
  #metal;
  #now;
  /** @type {Record<string, Range>} */
  #ranges;
  #name;
  /** As many candles as an answer of the API has at most. */
  #mostByRest;
  /** @type {(() => PriceChart)|null}  Once the library is there; it is called once there is a candle. */
  #newChart = null;
  /** @type {PriceChart|null} */
  #chart = null;
  /** The beginning of the oldest candle that is drawn. */
  #oldest = "";
  /** @type {Style} */
  #style = "line";

  /**
   * @param {Metal} metal
   * @param {Record<string, HTMLElement>} elements  By id: `metal`, `ranges`, `chart`, `legend`, `figures`, `days`, `csv`.
   * @param {Amounts} amounts
   * @param {() => number} now  The server's time; Infinity while that is unknown.
   */
  constructor(metal, elements, amounts, now) {
    this.#now = now;
    this.#metal = metal;
    this.#name = elements.metal.dataset.range ?? "";
    this.#ranges = rangesOf(elements.ranges);
    this.#mostByRest = Number(elements.csv.dataset.most);
    this.#elements = elements;
    this.#amounts = amounts;
    const address = `${root}api/v1/prices/${metal}/candles/`;
    this.#history = new CandleHistory(
      metal,
      (interval, most) => fetchCandles(address, interval, most, this.#mostByRest),
      (interval, candles) => this.#changed(interval, candles),
      () => write(this.#elements.legend, format._("The history cannot be read now. It will be fetched again.")),
    );
  }

  /** Loads the history. */
  async open() {
    await this.#history.load(this.#range.interval, this.#range.most);
    await this.#history.load("1d", DAYS_SHOWN + 1);
  }

  /** Draws the chart, in place of the server's. @param {typeof import("./chart.js")} module @param {Style} style */
  async draw(module, style) {
    const library = await module.loadLibrary();
    this.#style = style;
    this.#newChart = () => {
      const { chart } = this.#elements;
      chart.replaceChildren();
      chart.role = "img";
      chart.ariaLabel = format._("{metal}: the chart of its price", { metal: format.metal(this.#metal) });
      return new module.PriceChart(library, chart, {
        locale: `${locale}-u-nu-latn`,
        timeZone,
        amount: format.amount,
        express: (candle) => this.#express(candle),
        pointed: (candle) => this.#showLegend(candle),
      });
    };
    this.#redraw();
  }

  /** True once there is a chart, in which another range can be shown. */
  get isDrawn() {
    return this.#chart !== null;
  }

  /** Takes an update of the stream. @param {PriceUpdate} update */
  take(update) {
    this.#history.take(update);
  }

  /** Shows another range, as soon as it is loaded. @param {string} name */
  async choose(name) {
    this.#name = name;
    this.#elements.chart.ariaBusy = "true";
    await this.#history.load(this.#range.interval, this.#range.most);
    // Meanwhile the reader may have chosen another one.
    if (this.#name !== name) return;
    this.#elements.chart.ariaBusy = "false";
    this.#redraw();
    this.#showCsv();
  }

  /** @param {Style} style */
  show(style) {
    this.#style = style;
    this.#redraw();
  }

  /** Shows all in the measure that has been picked. The elements with amounts are the page's to write. */
  express() {
    this.#redraw();
  }

  /** The intervals of candles that the page wants from the stream. */
  get intervals() {
    return [...new Set(Object.values(this.#ranges).map(({ interval }) => interval))];
  }

  get #range() {
    return this.#ranges[this.#name];
  }

  get #candles() {
    return this.#history.shown(this.#range.interval)?.newest(this.#range.span) ?? [];
  }

  /** @param {Interval} interval @param {Candle[]|null} candles */
  #changed(interval, candles) {
    if (interval === this.#range.interval) {
      // As time passes, the oldest leave the range.
      const isCut = this.#candles.at(0)?.start !== this.#oldest;
      if (!candles || isCut || !this.#chart?.update(candles)) this.#redraw();
      else this.#showFigures();
    }
    if (interval === "1d") this.#showDays();
  }

  #redraw() {
    if (!this.#candles.length) return;
    this.#oldest = this.#candles[0].start;
    this.#chart ??= this.#newChart?.() ?? null;
    this.#chart?.show(this.#candles, this.#style);
    this.#showFigures();
  }

  /** @param {Candle} candle */
  #express({ open, high, low, close }) {
    const shown = (/** @type {number} */ gram) => Number(this.#amounts.converted(gram));
    return { open: shown(open), high: shown(high), low: shown(low), close: shown(close) };
  }

  // --- in words --------------------------------------------------------------------------------------------------------

  #showFigures() {
    this.#showLegend(null);
    const found = rangeFigures(this.#candles);
    this.#elements.figures.hidden = !found;
    if (!found) return;
    this.#showFigure("first", found.first);
    this.#showFigure("last", found.last);
    this.#showFigure("change", found.last, found.first);
    this.#showFigure("high", found.high);
    this.#showFigure("low", found.low);
    this.#showFigure("average", found.average);
    write(this.#figure("change", ".percent"), format.percent(found.changePercent));
    this.#showTime("high", found.highAt);
    this.#showTime("low", found.lowAt);
  }

  /** @param {string} name @param {number|string} gram @param {number} [less] */
  #showFigure(name, gram, less) {
    this.#amounts.write(this.#figure(name, "[data-gram]"), gram, less);
  }

  /** @param {string} name @param {string} start */
  #showTime(name, start) {
    const time = /** @type {HTMLTimeElement} */ (this.#figure(name, "time"));
    time.dateTime = start;
    write(time, this.when(Date.parse(start), this.#now()));
  }

  /** @param {string} name @param {string} selector @returns {HTMLElement} */
  #figure(name, selector) {
    const found = this.#elements.figures.querySelector(`[data-figure="${name}"] ${selector}`);
    return /** @type {HTMLElement} */ (found);
  }

  /** The beginning of one of the shown candles, for people. @param {number} at @param {number} now */
  when(at, now) {
    return this.#range.interval === "1d" ? format.date(at) : format.weekdayAndTime(at, now);
  }

  /** The candle under the pointer; the newest one for null. @param {Candle|null} pointed */
  #showLegend(pointed) {
    const candle = pointed ?? this.#candles.at(-1);
    if (!candle) return;
    const { _, amount } = format;
    const shown = (/** @type {number} */ gram) => amount(this.#amounts.converted(gram));
    const prices =
      this.#style === "line"
        ? [shown(candle.close)]
        : [
            `${_("Open")} ${shown(candle.open)}`,
            `${_("Highest")} ${shown(candle.high)}`,
            `${_("Lowest")} ${shown(candle.low)}`,
            `${_("Close")} ${shown(candle.close)}`,
          ];
    write(this.#elements.legend, [this.when(Date.parse(candle.start), this.#now()), ...prices].join(" · "));
  }

  #showCsv() {
    const { interval, most } = this.#range;
    const link = /** @type {HTMLAnchorElement} */ (this.#elements.csv);
    const url = new URL(link.href);
    url.searchParams.set("interval", interval);
    url.searchParams.set("limit", String(most ?? this.#mostByRest));
    link.href = url.href;
    const { _ } = format;
    const isCut = this.#candles.length > this.#mostByRest;
    const count = this.#mostByRest.toLocaleString("en");
    write(link, isCut ? _("The newest {count} candles as CSV", { count }) : _("These candles as CSV"));
  }

  #showDays() {
    const days = this.#history.shown("1d")?.all.slice(-DAYS_SHOWN - 1);
    if (!days) return;
    const compared = days.map((day, place) => ({ day, before: days[place - 1] })).slice(-DAYS_SHOWN);
    const rows = [...this.#elements.days.querySelectorAll("tr")];
    const needed = compared.reverse().map(({ day, before }, place) => this.#dayRow(rows[place], day, before));
    this.#elements.days.replaceChildren(...needed);
  }

  /**
   * A row of the table: one that is there, so that a reader can select its text meanwhile, or a new one.
   * @param {HTMLTableRowElement|undefined} row @param {Candle} day @param {Candle|undefined} before
   */
  #dayRow(row, day, before) {
    const shown = row?.querySelector("time") ? row : newRow();
    const time = /** @type {HTMLTimeElement} */ (shown.querySelector("time"));
    time.dateTime = day.date ?? "";
    write(time, format.date(Date.parse(day.start)));
    const [close, change, low, high] = /** @type {NodeListOf<HTMLElement>} */ (shown.querySelectorAll("[data-gram]"));
    this.#amounts.write(close, day.close);
    this.#amounts.write(change, day.close, before?.close ?? null);
    this.#amounts.write(low, day.low);
    this.#amounts.write(high, day.high);
    const percent = before ? (day.close / before.close - 1) * 100 : null;
    write(/** @type {Element} */ (shown.querySelector(".percent")), percent === null ? "" : format.percent(percent));
    shown.dataset.direction = directionOf(before ? day.close - before.close : 0);
    return shown;
  }
}

/** The ranges that a page links, by name. @param {HTMLElement} links @returns {Record<string, Range>} */
function rangesOf(links) {
  const ranges = [...links.querySelectorAll("a")].map(({ dataset: { range = "", interval, most, days } }) => {
    const its = { interval: /** @type {Interval} */ (interval), most: most ? Number(most) : null };
    return [range, { ...its, span: days ? Number(days) * DAY : null }];
  });
  return Object.fromEntries(ranges);
}

/** A row of the table of days, as the server writes it. */
function newRow() {
  const row = document.createElement("tr");
  const [head, close, change, low, high] = ["th", "td", "td", "td", "td"].map((name) => document.createElement(name));
  head.setAttribute("scope", "row");
  head.append(document.createElement("time"));
  for (const cell of [close, low, high]) cell.dataset.gram = "";
  const [difference, percent] = [document.createElement("span"), document.createElement("span")];
  [difference.className, percent.className] = ["difference", "percent"];
  [difference.dataset.gram, difference.dataset.less] = ["", ""];
  change.append(difference, " ", percent);
  row.append(head, close, change, low, high);
  return row;
}
