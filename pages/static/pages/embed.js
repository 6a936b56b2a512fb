/** The prices in a frame of other people's pages: keeps those that came with the page up to date. */

import { each, fill } from "../client/lines.js";
import { parse } from "../client/rows.js";
import { LivePage } from "./live.js";
import { format } from "./page.js";

/** @typedef {import("../client/lines.js").Parts} Parts */

const page = /** @type {Record<string, HTMLElement>} */ (
  Object.fromEntries([...document.querySelectorAll("[id]")].map((element) => [element.id, element]))
);
const rows = [.../** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[data-row]"))].map(rowIn);
const metals = [...new Set(rows.map(({ row }) => row.metal))];
const live = new LivePage(JSON.parse(page.state.textContent), page, {
  metals: () => metals,
  show: () => {},
  refresh: () => each(rows, ({ row, parts }) => fill(parts, row, live, format)),
});

if (metals.length) live.client.subscribe(metals);
live.start();

/** @param {HTMLElement} line */
function rowIn(line) {
  const found = /** @type {NodeListOf<HTMLElement>} */ (line.querySelectorAll("[data-part]"));
  const parts = Object.fromEntries([...found].map((part) => [part.dataset.part, part]));
  return { row: parse(line.dataset.row ?? "").rows[0], parts: /** @type {Parts} */ ({ line, ...parts }) };
}
