/** The prices in a frame of other people's pages: keeps those that came with the page up to date. */

import { fill, showNotices } from "../client/lines.js";
import { LivePrices } from "../client/live.js";
import { parse } from "../client/rows.js";
import { format, root } from "./page.js";

/** @typedef {import("../client/lines.js").Parts} Parts */
/** @typedef {import("../client/rows.js").Row} Row */

const notices = /** @type {HTMLElement} */ (document.getElementById("notices"));
const lines = [.../** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[data-row]"))].map(lineIn);
const rows = lines.map(({ row }) => row);
const prices = new LivePrices(root);

document.getElementById("unstarted")?.remove();
prices.show(show, new AbortController().signal);

function show() {
  if (prices.hasBegun) for (const { row, parts } of lines) fill(parts, prices.line(row, format));
  const found = prices.notices(rows, format);
  // Until the first prices, what is said of those that came with the page holds for them.
  if (prices.hasBegun || found.length > 0) showNotices(notices, found);
}

/** @param {HTMLElement} line @returns {{row: Row, parts: Parts}} */
function lineIn(line) {
  const found = /** @type {NodeListOf<HTMLElement>} */ (line.querySelectorAll("[data-part]"));
  const parts = Object.fromEntries([...found].map((part) => [part.dataset.part, part]));
  return { row: parse(line.dataset.row ?? "").rows[0], parts: /** @type {Parts} */ ({ line, ...parts }) };
}
