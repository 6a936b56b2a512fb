/**
 * The reader's choice of rows and language, in a cookie, so that the server writes the page by it at once; and the rows that
 * a tab's board showed last, which may be another reader's choice, for the way back to it.
 */

import { finenesses, purityLabel, UNITS } from "../client/units.js";

/** @typedef {import("../client/units.js").Metal} Metal */
/** @typedef {import("../client/units.js").Unit} Unit */
/** @typedef {import("../client/rows.js").Row} Row */
/** @typedef {{rows?: string, lang?: string}} Choice */

const COOKIE = "swarna_board";
const SHOWN = "swarna.rows";
const A_YEAR = 365 * 24 * 60 * 60;
const OLDER_KEYS = /^swarna\.(metals|unit|purity)(\.|$)/;

/** Remembers a choice, and what was chosen before beside it, unless the browser refuses cookies. @param {Choice} choice */
export function remember(choice) {
  const query = recalled();
  for (const [name, value] of Object.entries(choice)) query.set(name, value);
  const path = document.documentElement.dataset.root ?? "/";
  const secure = location.protocol === "https:" ? "; Secure" : "";
  try {
    const value = encodeURIComponent(query.toString());
    // biome-ignore lint/suspicious/noDocumentCookie: the Cookie Store API would leave the choice to a later moment
    document.cookie = `${COOKIE}=${value}; Path=${path}; Max-Age=${A_YEAR}; SameSite=Lax${secure}`;
  } catch {
    // The address has the rows, too.
  }
}

function recalled() {
  try {
    const found = document.cookie.split("; ").find((each) => each.startsWith(`${COOKIE}=`));
    return new URLSearchParams(found && decodeURIComponent(found.slice(COOKIE.length + 1)));
  } catch {
    return new URLSearchParams();
  }
}

/** Notes the rows that the board shows, for the way back from other pages of this tab. @param {string} rows */
export function noteShown(rows) {
  try {
    sessionStorage.setItem(SHOWN, rows);
  } catch {
    // The way back leads to the reader's own rows.
  }
}

/** The rows that this tab's board showed last; empty if it showed none. */
export function lastShown() {
  try {
    return sessionStorage.getItem(SHOWN) ?? "";
  } catch {
    return "";
  }
}

/**
 * Takes over the rows that a reader picked on a board of version 0.2, which kept them in the browser's storage, and
 * removes them there. Null for none, and where rows are in the address or in the cookie. It goes with version 1.0.
 * @param {readonly Metal[]} listed
 * @returns {Row[]|null}
 */
export function takeOlderChoice(listed) {
  if (new URLSearchParams(location.search).has("rows") || recalled().has("rows")) return null;
  const picked = (stored("swarna.metals") ?? "").split(" ");
  const metals = listed.filter((metal) => picked.includes(metal));
  /** @param {string} what @param {Metal} metal */
  const of = (what, metal) => stored(`swarna.${what}.${metal}`) ?? stored(`swarna.${what}`);
  if (!metals.length && !listed.some((metal) => of("unit", metal) ?? of("purity", metal))) return null;
  const rows = (metals.length ? metals : listed).map((metal) => {
    const [unit, purity] = [of("unit", metal), of("purity", metal)?.toLowerCase()];
    return {
      metal,
      unit: UNITS.find((each) => each === unit) ?? "gram",
      purity: finenesses(metal).find((each) => each === purity || carat(metal, each) === purity) ?? "999",
    };
  });
  for (const key of Object.keys(localStorage).filter((each) => OLDER_KEYS.test(each))) localStorage.removeItem(key);
  return rows;
}

/** @param {Metal} metal @param {import("../client/units.js").Purity} purity */
function carat(metal, purity) {
  return purityLabel(metal, purity).split(" · ")[0].toLowerCase();
}

/** @param {string} name */
function stored(name) {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}
