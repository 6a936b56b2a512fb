/**
 * A metal's page: its price, kept up to date; its chart, which goes on where its history ends; and all of it in the measure
 * that the reader picks. The server wrote the page with all that it shows; this script goes on from there.
 */

import { write, writeTimes } from "../client/dom.js";
import { convert } from "../client/units.js";
import { Amounts } from "./amounts.js";
import { Card } from "./board-card.js";
import { LivePage } from "./live-page.js";
import { MetalHistory } from "./metal-history.js";
import { elements, format } from "./page.js";
import { lastShown, remember } from "./reader-choice.js";

/** @typedef {import("../client/units.js").Metal} Metal */
/** @typedef {import("../client/units.js").Purity} Purity */
/** @typedef {import("../client/units.js").Unit} Unit */
/** @typedef {import("./chart.js").Style} Style */

/** A stream that has not begun by then is not waited for any longer: history alone is better than nothing. */
const LONGEST_WAIT = 2_000;
const STYLE = "swarna.chart";

/** @type {import("./live-page.js").State} */
const state = JSON.parse(elements.state.textContent);
const metal = /** @type {Metal} */ (elements.metal.dataset.metal);
const card = new Card(elements.now, format);
const amounts = new Amounts(format, state.currency, card.row);
const metalHistory = new MetalHistory(metal, elements, amounts, () => live.now ?? Infinity);
const page = { metals: () => [metal], show: update, refresh };
const live = new LivePage(state, elements, page, { candles: metalHistory.intervals });

// Another reader's browser prefers another language.
const { lang } = document.documentElement;
if (!new URL(location.href).searchParams.has("lang")) history.replaceState(null, "", withChoice(location.href, { lang }));
const board = /** @type {HTMLAnchorElement} */ (elements.board);
if (lastShown()) board.href = withChoice(board.href, { rows: lastShown() });
elements.measure.addEventListener("change", pickMeasure);
elements.ranges.addEventListener("click", pickRange);
elements.styles.addEventListener("click", pickStyle);
elements.languages.addEventListener("click", ({ target }) => {
  if (target instanceof HTMLAnchorElement) remember({ lang: target.lang });
});
live.client.addEventListener("prices", ({ detail }) => metalHistory.take(detail.message));
// Fetched once the stream has begun, the history goes on in it without a gap.
const begun = new Promise((resolve) => {
  live.client.addEventListener("prices", resolve, { once: true });
  setTimeout(resolve, LONGEST_WAIT);
});
live.client.subscribe([metal]);
show();
live.start();
await begun;
await metalHistory.open();
new IntersectionObserver(drawInView, { rootMargin: "25%" }).observe(elements.chart);

// --- the price of now ------------------------------------------------------------------------------------------------

/** @param {import("../client/swarna-client.js").Prices} update */
function update({ message }) {
  show();
  if (elements.asof) write(elements.asof, format.dateAndTime(Date.parse(message.timestamp)));
}

function show() {
  const quote = live.quotes[metal] ?? null;
  card.show(quote, live.currency, live.receipt);
  for (const cell of /** @type {NodeListOf<HTMLElement>} */ (elements.measures?.querySelectorAll("td") ?? [])) {
    const of = { unit: /** @type {Unit} */ (cell.dataset.unit), purity: /** @type {Purity} */ (cell.dataset.purity) };
    write(cell, format.amount(quote && convert(quote.price, of)));
  }
}

function refresh() {
  card.refresh(live);
  writeTimes(elements.figures, live, (at, now) => metalHistory.when(at, now));
  // The same price in other measures is as good as the card's.
  elements.nowinall.dataset.trust = elements.now.dataset.trust;
  write(elements.marksinall, elements.now.querySelector('[data-part="marks"]')?.textContent ?? "");
}

// --- the measure -----------------------------------------------------------------------------------------------------

function pickMeasure() {
  const { unit, purity } = /** @type {Record<string, HTMLSelectElement>} */ (/** @type {unknown} */ (elements.measure));
  card.row = { metal, unit: /** @type {Unit} */ (unit.value), purity: /** @type {Purity} */ (purity.value) };
  amounts.measure = card.row;
  show();
  amounts.rewrite(document);
  metalHistory.express();
  const words = { per: format.per(card.row.unit), purity: format.purity(metal, card.row.purity) };
  for (const element of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[data-measure]"))) {
    const name = /** @type {"unit"|"purity"|"per"} */ (element.dataset.measure);
    if (element instanceof HTMLInputElement) element.value = name === "per" ? "" : card.row[name];
    else if (name !== "unit") write(element, words[name]);
  }
  choose({ unit: card.row.unit, purity: card.row.purity });
}

/** Writes what the reader chose into the page's address, so that a link shows the same, and into its links. @param {Record<string, string>} chosen */
function choose(chosen) {
  history.replaceState(null, "", withChoice(location.href, chosen));
  const { range, ...measure } = chosen;
  for (const link of elements.ranges.querySelectorAll("a")) link.href = withChoice(link.href, measure);
  for (const link of elements.languages.querySelectorAll("a")) link.href = withChoice(link.href, chosen);
  const csv = /** @type {HTMLAnchorElement} */ (elements.csv);
  csv.href = withChoice(csv.href, measure);
}

/** @param {string} address @param {Record<string, string>} chosen */
function withChoice(address, chosen) {
  const url = new URL(address);
  for (const [name, value] of Object.entries(chosen)) url.searchParams.set(name, value);
  return url.href;
}

// --- the chart -------------------------------------------------------------------------------------------------------

/** Draws the chart as soon as it is in view: its library is larger than all the rest. @type {IntersectionObserverCallback} */
async function drawInView(entries, observer) {
  if (!entries.some(({ isIntersecting }) => isIntersecting)) return;
  observer.disconnect();
  await metalHistory.draw(await import("./chart.js"), recallStyle());
  delete elements.styles.dataset.idle;
  showStyle(recallStyle());
}

/** @param {MouseEvent} event */
function pickRange(event) {
  const link = event.target instanceof Element ? event.target.closest("a") : null;
  const name = link?.dataset.range;
  // Without a chart the link leads to the server's own line of that range.
  if (!link || !name || !metalHistory.isDrawn || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  for (const each of elements.ranges.querySelectorAll("a")) each.removeAttribute("aria-current");
  link.setAttribute("aria-current", "true");
  choose({ range: name });
  metalHistory.choose(name);
}

/** @param {MouseEvent} event */
function pickStyle({ target }) {
  const style = target instanceof HTMLElement ? target.dataset.style : undefined;
  if (style !== "line" && style !== "candles") return;
  showStyle(style);
  metalHistory.show(style);
  try {
    localStorage.setItem(STYLE, style);
  } catch {
    // It holds until the page is left.
  }
}

/** @param {Style} style */
function showStyle(style) {
  for (const button of /** @type {NodeListOf<HTMLElement>} */ (elements.styles.querySelectorAll("button"))) {
    button.setAttribute("aria-pressed", String(button.dataset.style === style));
  }
}

/** The style that the reader picked the last time, if the browser keeps it. @returns {Style} */
function recallStyle() {
  try {
    return localStorage.getItem(STYLE) === "candles" ? "candles" : "line";
  } catch {
    return "line";
  }
}
