/** Prices and notices, written into the elements of a page. */

import { ageText, MARKS, marksShown } from "./marks.js";
import { convertQuote } from "./units.js";

/** @typedef {import("./format.js").Formats} Formats */
/** @typedef {import("./live.js").LivePrices} LivePrices */
/** @typedef {import("./marks.js").Mark} Mark */
/** @typedef {import("./marks.js").Notice} Notice */
/** @typedef {import("./rows.js").Row} Row */
/** @typedef {import("./swarna-client.js").Quote} Quote */
/** @typedef {import("./units.js").Converted<Quote>} Converted */
/** @typedef {"up"|"down"|"none"} Direction */
/**
 * The elements of a row: the box around all, and in it; `why` is the link to what its price was made of.
 * @typedef {Record<"box"|"name"|"purity"|"unit"|"amount"|"change"|"marks", HTMLElement> &
 *   {age: HTMLTimeElement, why?: HTMLAnchorElement}} Parts
 */

/** @type {Record<Direction, string>} */
export const ARROWS = { down: "▼", none: "", up: "▲" };
/** The text that was reported last: an error that comes with each second is reported once. */
let reported = "";

/**
 * Writes all that is shown of a row into its elements, also while there is no price of it.
 * @param {Parts} parts @param {Row} row @param {LivePrices} live @param {Formats} format
 * @throws {RangeError} for a price that cannot be shown; the one of before stands, and is not said to be of now.
 */
export function fill(parts, { metal, purity, unit }, live, format) {
  const { _ } = format;
  const quote = live.quotes[metal] ?? null;
  const converted = readable(parts, format, () => quote && convertQuote(quote, { unit, purity }));
  const { direction, arrow, difference, percent } = changeOf(converted, format);
  write(parts.name, format.metal(metal));
  write(parts.purity, format.purity(metal, purity));
  write(parts.unit, format.per(unit));
  write(parts.amount, format.money(converted?.price, live.currency));
  write(parts.change, percent && `${arrow} ${difference} (${percent})`.trimStart());
  parts.change.dataset.direction = direction;
  const marks = marksShown(quote, live.isCurrent, live.atBest(metal));
  showMarks(parts, marks, format);
  if (!quote && live.hasBegun) write(parts.marks, _("No price"));
  if (quote) writeAge(parts.age, quote, marks[0], live, format);
  else write(parts.age, live.hasBegun ? "" : _("Waiting for a price"));
  if (!parts.why) return;
  const why = quote && live.receipt ? `${live.receipt}#${metal}` : "";
  write(parts.why, quote?.source ? format.origin(quote) : "");
  parts.why.hidden = !why;
  if (why && parts.why.getAttribute("href") !== why) parts.why.href = why;
}

/** @template T @param {Parts} parts @param {Formats} format @param {() => T} read @returns {T} */
function readable(parts, format, read) {
  try {
    return read();
  } catch (error) {
    showMarks(parts, ["unconnected"], format);
    throw error;
  }
}

/** @param {Parts} parts @param {Mark[]} marks @param {Formats} format */
function showMarks(parts, marks, { _ }) {
  const trust = marks[0] ?? "none";
  parts.box.dataset.trust = trust;
  // A page that shows this in an element of ours styles it by `::part(stale)` and the like.
  parts.marks.setAttribute("part", `marks ${trust}`);
  write(parts.marks, marks.map((mark) => _(MARKS[mark])).join(" · "));
}

/**
 * The difference of a converted quote from the previous close, in words; these are empty where there is none.
 * @param {Converted|null} quote @param {Formats} format
 */
export function changeOf(quote, { difference, percent }) {
  if (quote?.previousClose == null) return { direction: directionOf(0), arrow: "", difference: "", percent: "" };
  const direction = directionOf(Number(quote.change));
  return {
    direction,
    arrow: ARROWS[direction],
    difference: difference(quote.change, quote.price),
    percent: percent(quote.changePercent),
  };
}

/** @param {number} change @returns {Direction} */
export function directionOf(change) {
  return change > 0 ? "up" : change < 0 ? "down" : "none";
}

/**
 * Writes how old a price is. While the server's time is not known, what it has just written itself of the same price stays.
 * @param {HTMLElement} element  A `<time>`.
 * @param {Quote} quote @param {Mark|undefined} mark  Its most serious one.
 * @param {LivePrices} live @param {Formats} format
 */
export function writeAge(element, quote, mark, { now, nowAtLeast, isCurrent }, format) {
  const age = /** @type {HTMLTimeElement} */ (element);
  const at = Number.isNaN(Date.parse(quote.timestamp)) ? "" : quote.timestamp;
  if (now === null && isCurrent && age.dateTime === at && age.dataset.by !== "clock") return;
  age.dataset.by = now === null ? "" : "clock";
  age.dateTime = at;
  write(age, ageText(quote, mark, now, format, nowAtLeast));
}

/**
 * Writes the times in a box anew, as a weekday grows old. While now is not known, those that the server has just written stay,
 * and others have their date.
 * @param {Element} box @param {LivePrices} live @param {(time: number, now: number) => string} words
 */
export function writeTimes(box, { now, isCurrent }, words) {
  if (now === null && isCurrent) return;
  for (const time of box.querySelectorAll("time")) {
    if (time.dateTime) write(time, words(Date.parse(time.dateTime), now ?? Infinity));
  }
}

/** Shows notices. Screen readers speak each change, so there is one only with their text. @param {HTMLElement} list @param {Notice[]} notices */
export function showNotices(list, notices) {
  const items = notices.map(noticeItem);
  if (said(items) !== said([...list.children])) list.replaceChildren(...items);
}

/** @param {Element[]} notices */
function said(notices) {
  return notices.map(({ textContent }) => textContent).join("\n");
}

/** @param {Notice} notice */
function noticeItem([tone, headline, text]) {
  const item = document.createElement("p");
  const strong = document.createElement("strong");
  strong.textContent = headline;
  item.className = "notice";
  item.setAttribute("part", `notice ${tone}`);
  item.dataset.tone = tone;
  item.append(strong, ` ${text}`);
  return item;
}

/**
 * Sets an element's text only where it differs, so that a reader can select and copy it meanwhile.
 * @param {Element} element @param {string} text
 */
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * Does something with each, also where it fails with one: that is reported, and the others are as they should be.
 * @template T @param {Iterable<T>} all @param {(one: T) => void} action
 * @returns {boolean}  True if it failed with none.
 */
export function each(all, action) {
  let isDone = true;
  for (const one of all) {
    try {
      action(one);
    } catch (error) {
      isDone = false;
      report(error);
    }
  }
  return isDone;
}

/** @param {unknown} error */
function report(error) {
  if (String(error) === reported) return;
  reported = String(error);
  // As if nobody had caught it: for the console, and for whatever a page has for its errors.
  setTimeout(() => {
    throw error;
  });
}
