/** The prices in a frame of other people's pages: keeps those that came with the page up to date. */

import { each, fill } from "../client/dom.js";
import { parse } from "../client/rows.js";
import { LivePage } from "./live-page.js";
import { elements, format } from "./page.js";

/** @typedef {import("../client/dom.js").Parts} Parts */

const rows = [.../** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[data-row]"))].map(rowIn);
const metals = [...new Set(rows.map(({ row }) => row.metal))];
const live = new LivePage(JSON.parse(elements.state.textContent), elements, {
  metals: () => metals,
  show: () => {},
  refresh: () => each(rows, ({ row, parts }) => fill(parts, row, live, format)),
});

if (metals.length) live.client.subscribe(metals);
live.start();

/** @param {HTMLElement} box */
function rowIn(box) {
  const found = /** @type {NodeListOf<HTMLElement>} */ (box.querySelectorAll("[data-part]"));
  const parts = Object.fromEntries([...found].map((part) => [part.dataset.part, part]));
  return { row: parse(box.dataset.row ?? "").rows[0], parts: /** @type {Parts} */ ({ box, ...parts }) };
}
