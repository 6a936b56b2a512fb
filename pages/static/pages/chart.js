/** A chart of candles, drawn by TradingView's library, in the page's colours, language and time zone. */

import { clockIn } from "./zoned-time.js";

/** @typedef {import("../client/swarna-client.js").Candle} Candle */
/** @typedef {typeof import("./vendor/lightweight-charts.standalone.production.mjs")} Library */
/** @typedef {import("./vendor/lightweight-charts.standalone.production.mjs").UTCTimestamp} UTCTimestamp */
/** @typedef {ReturnType<typeof import("./vendor/lightweight-charts.standalone.production.mjs").createChart>} Chart */
/** @typedef {"line"|"candles"} Style */
/** @typedef {UTCTimestamp|string} Time  Seconds, or the date of a day. */
/** @typedef {{open: number, high: number, low: number, close: number}} Prices  In the shown measure. */
/** @typedef {Prices & {time: Time, value: number}} Bar  For a series of either style. */

/**
 * @typedef {object} Options
 * @property {string} locale
 * @property {string} timeZone
 * @property {(price: number) => string} amount  A price for people.
 * @property {(candle: Candle) => Prices} express  A candle's prices in the shown measure.
 * @property {(candle: Candle|null) => void} pointed  Called with the candle under the pointer; null once it has left.
 */

/** TradingView's library, which is large: a page loads it when its chart comes into view. @returns {Promise<Library>} */
export function loadLibrary() {
  return import("./vendor/lightweight-charts.standalone.production.mjs");
}

export class PriceChart {
  #library;
  #element;
  #options;
  #chart;
  #clock;
  /** @type {Style} */
  #style = "line";
  #series;
  /** @type {Map<string, Time>}  Of the drawn candles, oldest first, by their starts. */
  #times = new Map();
  /** @type {Map<unknown, Candle>}  By time. */
  #candles = new Map();
  /** @type {{[style in keyof typeof TIMES]?: Intl.DateTimeFormat}}  To make one takes longer than to use it. */
  #formats = {};
  #newest = "";
  #newestTime = 0;

  /**
   * @param {Library} library
   * @param {HTMLElement} element  The chart fills it; it has a height of its own.
   * @param {Options} options
   */
  constructor(library, element, options) {
    this.#library = library;
    this.#element = element;
    this.#options = options;
    this.#clock = clockIn(options.timeZone);
    const { amount, locale } = options;
    this.#chart = library.createChart(element, {
      autoSize: true,
      // Its logo comes with a style element, which the page's policy refuses; the page names the library in words.
      layout: { attributionLogo: false, fontFamily: getComputedStyle(element).fontFamily },
      localization: {
        locale,
        priceFormatter: amount,
        tickmarksPriceFormatter: (/** @type {number[]} */ prices) => withoutEmptyDecimals(prices.map(amount)),
        timeFormatter: (/** @type {Time} */ time) => this.#inWords(time),
      },
      rightPriceScale: { borderVisible: false, scaleMargins: { top: 0.12, bottom: 0.08 } },
      timeScale: {
        borderVisible: false,
        timeVisible: true,
        fixLeftEdge: true,
        fixRightEdge: true,
        tickMarkFormatter: (/** @type {Time} */ time, /** @type {number} */ type) => this.#tick(time, type),
      },
      // The page scrolls under a wheel or a finger; the chart stands still.
      handleScroll: { vertTouchDrag: false, mouseWheel: false },
      handleScale: { mouseWheel: false },
    });
    this.#series = this.#addSeries();
    this.#chart.subscribeCrosshairMove(({ time }) => options.pointed(this.#candles.get(time) ?? null));
    for (const query of ["(prefers-color-scheme: dark)", "(forced-colors: active)"]) {
      matchMedia(query).addEventListener("change", () => this.#paint());
    }
    this.#paint();
  }

  /** Draws these candles, oldest first, and fits them in. @param {readonly Candle[]} candles @param {Style} style */
  show(candles, style) {
    if (style !== this.#style) {
      this.#chart.removeSeries(this.#series);
      this.#style = style;
      this.#series = this.#addSeries();
      this.#paint();
    }
    this.#times.clear();
    this.#candles.clear();
    [this.#newest, this.#newestTime] = ["", Number.NEGATIVE_INFINITY];
    this.#series.setData(candles.map((candle) => this.#bar(candle)));
    this.#chart.timeScale().fitContent();
  }

  /**
   * Draws candles that are new or others than before, oldest first.
   * @param {readonly Candle[]} candles
   * @returns {boolean}  False where one is older than the newest that is drawn: that needs `show`.
   */
  update(candles) {
    if (candles.some(({ start }) => start < this.#newest)) return false;
    for (const candle of candles) this.#series.update(this.#bar(candle));
    return true;
  }

  /** @param {Candle} candle @returns {Bar} */
  #bar(candle) {
    const time = this.#times.get(candle.start) ?? this.#newTime(candle);
    this.#times.set(candle.start, time);
    this.#candles.set(time, candle);
    this.#newest = candle.start;
    const prices = this.#options.express(candle);
    return { time, value: prices.close, ...prices };
  }

  /**
   * The time of a candle on the axis, where times only rise: of an hour that comes twice, when clocks are put back, the
   * second is drawn close behind the first.
   * @param {Candle} candle @returns {Time}
   */
  #newTime({ start, date }) {
    if (date) return date;
    this.#newestTime = Math.max(this.#clock(Date.parse(start)) / 1000, this.#newestTime + 1);
    return /** @type {UTCTimestamp} */ (this.#newestTime);
  }

  #addSeries() {
    const { AreaSeries, CandlestickSeries } = this.#library;
    return this.#style === "line" ? this.#chart.addSeries(AreaSeries) : this.#chart.addSeries(CandlestickSeries);
  }

  /** Takes the colours of the page, which change with the reader's scheme. */
  #paint() {
    const isForced = matchMedia("(forced-colors: active)").matches;
    const [paper, ink, quiet, rule, up, down, stroke] = this.#colours(isForced ? FORCED_COLOURS : COLOURS);
    this.#chart.applyOptions({
      layout: { background: { color: paper }, textColor: quiet },
      grid: { vertLines: { visible: false }, horzLines: { color: rule } },
      crosshair: {
        vertLine: { color: quiet, labelBackgroundColor: ink },
        horzLine: { color: quiet, labelBackgroundColor: ink },
      },
    });
    // In forced colours both are one colour: there a candle that rose is hollow.
    const risen = isForced ? paper : up;
    const filled = { upColor: risen, downColor: down };
    const bordered = { borderUpColor: up, borderDownColor: down, wickUpColor: up, wickDownColor: down };
    const area = { lineColor: stroke, topColor: faded(stroke, 0.22), bottomColor: faded(stroke, 0) };
    this.#series.applyOptions(this.#style === "line" ? { lineWidth: 2, ...area } : { ...filled, ...bordered });
  }

  /** Colours of CSS as the library reads them. @param {readonly string[]} values */
  #colours(values) {
    const probes = values.map((value) => {
      const probe = document.createElement("span");
      probe.style.color = value;
      return probe;
    });
    this.#element.append(...probes);
    const found = probes.map((probe) => getComputedStyle(probe).color);
    for (const probe of probes) probe.remove();
    return found;
  }

  /** A time as the pointer's label has it. @param {Time} time */
  #inWords(time) {
    return this.#written(time, typeof time === "number" ? "moment" : "date");
  }

  /** A mark on the axis. @param {Time} time @param {number} type  The library's `TickMarkType`: a year, month, day or time. */
  #tick(time, type) {
    const { Year, Month, DayOfMonth } = this.#library.TickMarkType;
    if (type === Year) return this.#written(time, "year");
    if (type === Month) return this.#written(time, "month");
    return this.#written(time, type === DayOfMonth ? "day" : "time");
  }

  /** @param {Time} time @param {keyof typeof TIMES} style */
  #written(time, style) {
    const { locale } = this.#options;
    const format = this.#formats[style] ?? new Intl.DateTimeFormat(locale, { timeZone: "UTC", ...TIMES[style] });
    this.#formats[style] = format;
    const written = format.format(typeof time === "number" ? time * 1000 : Date.parse(time));
    // As client/format.js has them.
    return written.replace("AM", "am").replace("PM", "pm");
  }
}

/** How times are written, of UTC, to which the chart's clock is put. @satisfies {Record<string, Intl.DateTimeFormatOptions>} */
const TIMES = {
  year: { year: "numeric" },
  month: { month: "short" },
  day: { day: "numeric" },
  time: { timeStyle: "short" },
  date: { dateStyle: "medium" },
  moment: { dateStyle: "medium", timeStyle: "short" },
};
/** Of the page: base.css and metal.css have them. */
const COLOURS = ["card", "ink", "quiet", "line", "up", "down", "stroke"].map((name) => `var(--${name})`);
/** The same where the reader's system sets all colours. */
const FORCED_COLOURS = ["Canvas", "CanvasText", "CanvasText", "GrayText", "CanvasText", "CanvasText", "CanvasText"];

/** The texts of an axis, on which no decimals are shown where all are zero. @param {string[]} amounts */
function withoutEmptyDecimals(amounts) {
  return amounts.every((text) => text.endsWith(".00")) ? amounts.map((text) => text.slice(0, -3)) : amounts;
}

/** @param {string} colour  As `getComputedStyle` has it. @param {number} share */
function faded(colour, share) {
  const [red, green, blue] = colour.match(/[\d.]+/g) ?? [];
  return `rgba(${red}, ${green}, ${blue}, ${share})`;
}
