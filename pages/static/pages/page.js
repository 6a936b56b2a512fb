/** The page that a script is on: its elements, its language and formats, and where the site's addresses begin. */

import { formats } from "../client/format.js";
import { wordsIn } from "../client/words.js";

const { lang, dataset } = document.documentElement;

/** @type {string}  The path of the board, which ends with a slash; all others begin with it. */
export const root = dataset.root ?? "/";
/** The locale of the page's language. */
export const locale = dataset.locale ?? lang;
/** The time zone that times are written in. */
export const timeZone = dataset.timeZone ?? "UTC";
/** A name of all files that were served with the page; empty where they have no hashes. */
export const release = dataset.release ?? "";
export const format = formats(await wordsIn(lang), { locale, timeZone });
export const { _, plural } = format;
const named = /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[id]"));
/** The page's elements, by id. @type {Record<string, HTMLElement>} */
export const elements = Object.fromEntries([...named].map((element) => [element.id, element]));
