/**
 * The screen of a shop, `/screen/`: the prices of the rows that its address names, as large as fits, all day. When they
 * are not of now, it shows that in plain sight. screen-guard.js loads the page anew should this script stop.
 */

import { changeOf, directionOf, each, write, writeAge } from "../client/dom.js";
import { MARKS, marksShown } from "../client/marks.js";
import { parse } from "../client/rows.js";
import { convertQuote } from "../client/units.js";
import { LivePage } from "./live-page.js";
import { _, elements, format } from "./page.js";

/** @typedef {import("../client/swarna-client.js").Quote} Quote */

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
/** A file that does not come is not waited for any longer: prices must not look live before they are. */
const PATIENCE = 3 * SECOND;
/** A price of two digits and more: its currency, its whole number and its decimals. */
const PARTS = /^(\D*)(\d.*\d)(\.\d+)$/;
/** A little room, as a browser rounds the sizes of letters. */
const ROOM = 1.01;
/** Between two words of a line, and the shortest line that a row is made for, in the size of its letters. */
const [GAP, LEAST_WORDS] = [1, 22];

class Row {
  #parts;
  /** @type {Quote|null}  As on the wire: per gram of fine metal. */
  #quote = null;

  /** @param {HTMLElement} element  Its `data-row` names the row, and `data-part` the parts to fill in. */
  constructor(element) {
    const parts = /** @type {NodeListOf<HTMLElement>} */ (element.querySelectorAll("[data-part]"));
    this.element = element;
    this.measure = parse(element.dataset.row ?? "").rows[0];
    this.#parts = Object.fromEntries([...parts].map((part) => [part.dataset.part, part]));
    this.#parts.amount.addEventListener("animationend", () => delete element.dataset.flash);
  }

  /** The width of the price, in the size of its letters. */
  get priceWidth() {
    return widthOf(this.#parts.amount);
  }

  /** That of the wider of the two lines around it. */
  get wordsWidth() {
    const { what, marks, change, age } = this.#parts;
    return Math.max(widthOf(what) + widthOf(marks), widthOf(change) + widthOf(age));
  }

  /** Throws a RangeError if it cannot be shown. @param {Quote|null} quote  Null for none. @param {string} currency */
  show(quote, currency) {
    const converted = quote && convertQuote(quote, this.measure);
    const move = quote && this.#quote ? directionOf(quote.price - this.#quote.price) : "none";
    if (move !== "none") this.element.dataset.flash = move;
    this.#quote = quote;
    this.#showAmount(format.money(converted?.price, currency));
    const { direction, ...change } = changeOf(converted, format);
    this.element.dataset.direction = direction;
    for (const name of /** @type {const} */ (["arrow", "difference", "percent"])) write(this.#parts[name], change[name]);
  }

  /** The currency and the decimals are small, so that the whole number is large. @param {string} text */
  #showAmount(text) {
    const { amount } = this.#parts;
    if (amount.dataset.shown === text) return;
    amount.dataset.shown = text;
    const [, currency, whole, decimals] = PARTS.exec(text) ?? [];
    amount.replaceChildren(...(whole ? [small(currency), whole, small(decimals)] : [text]));
  }

  /** Shows how old the price is, and its marks. @param {boolean} isShown  False if one of now could not be shown. */
  refresh(isShown) {
    const marks = marksShown(this.#quote, live.isCurrent && isShown, live.atBest(this.measure.metal));
    this.element.dataset.trust = marks[0] ?? "none";
    write(this.#parts.marks, marks.map((mark) => _(MARKS[mark])).join(" · "));
    if (!this.#quote) write(this.#parts.age, _("Waiting for a price"));
    else writeAge(this.#parts.age, this.#quote, marks[0], live, format);
  }
}

const rows = [.../** @type {NodeListOf<HTMLElement>} */ (elements.rows.querySelectorAll(".row"))].map((row) => new Row(row));
const live = new LivePage(
  JSON.parse(elements.state.textContent),
  elements,
  { metals, show, refresh, isGuarded: true },
  // The clock goes, and a dead connection is known, within seconds.
  { heartbeatInterval: 5 * SECOND, heartbeatTimeout: 5 * SECOND },
);
/** True while all rows are of the last update: a price that cannot be shown leaves an old one among new ones. */
let isWhole = true;
/** @type {WakeLockSentinel|undefined} */
let wakeLock;

if (rows.length) start();
// No metal is listed, as the page says. The guard loads it anew each minute, and one day there is one.
else elements.unstarted.remove();
stayAwake();
setInterval(stayAwake, MINUTE);
document.addEventListener("visibilitychange", stayAwake);
document.addEventListener("click", fillTheScreen);

function start() {
  show();
  live.client.subscribe(metals());
  if (document.readyState === "complete") endRefresh();
  else addEventListener("load", endRefresh, { once: true });
  setTimeout(connect, PATIENCE);
}

/**
 * Ends the page's own refresh, which would load it anew whether or not the server answers, and connects. Without its
 * element the refresh would still come: a stop ends it, once all is loaded, and before anything is requested here.
 */
function endRefresh() {
  document.querySelector('meta[http-equiv="refresh"]')?.remove();
  stop();
  connect();
}

function connect() {
  if (elements.unstarted.isConnected) live.start();
}

function metals() {
  return [...new Set(rows.map((row) => row.measure.metal))];
}

function show() {
  isWhole = each(rows, (row) => row.show(live.quotes[row.measure.metal] ?? null, live.currency));
}

/** Makes prices and words as large as the longest of them allow, in the device's own font. */
function fit() {
  const widest = (/** @type {(row: Row) => number} */ width) => Math.max(...rows.map(width)) * ROOM;
  elements.rows.style.setProperty("--ems", String(widest((row) => row.priceWidth)));
  elements.rows.style.setProperty("--words", String(Math.max(widest((row) => row.wordsWidth) + GAP, LEAST_WORDS)));
}

function refresh() {
  for (const row of rows) row.refresh(isWhole);
  fit();
  const { now } = live;
  write(elements.date, now === null ? "" : format.date(now));
  write(elements.time, now === null ? "" : format.timeOfDay(now));
  if (isWhole) dispatchEvent(new Event("screenalive"));
}

async function stayAwake() {
  if (document.hidden || wakeLock?.released === false) return;
  try {
    wakeLock = await navigator.wakeLock?.request("screen");
  } catch {
    // The device decides, as with an empty battery; it is requested again in a minute.
  }
}

/** A browser fills the screen only after a touch, which may be anywhere. */
async function fillTheScreen() {
  try {
    await document.documentElement.requestFullscreen?.({ navigationUI: "hide" });
  } catch {
    // It is filled as far as the browser allows.
  }
}

/** @param {HTMLElement} element */
function widthOf(element) {
  return element.getBoundingClientRect().width / Number.parseFloat(getComputedStyle(element).fontSize);
}

/** @param {string} text */
function small(text) {
  const made = document.createElement("small");
  made.append(text);
  return made;
}
