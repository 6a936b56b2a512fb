/**
 * The words of pages and widgets, in their reader's language.
 *
 *     const { _, plural } = await wordsIn("hi");
 *     _("Market open"); // "बाज़ार खुला"
 *     _("Market open · closes {time}", { time: "5:00 pm" });
 *     plural("{count} source", "{count} sources", 3); // "3 स्रोत"
 *
 * The code says everything in English. What it says by `_`, `plural` and `N_`, with its texts as literals, is extracted by
 * `make words` into locale/, and comes back as the catalogs in words/.
 */

/** @typedef {keyof typeof LANGUAGES} Language */
/** @typedef {{[english: string]: string|string[]|undefined}} Catalog */
/** @typedef {Record<string, string|number>} Values */

/** The languages, by their codes, each in its own words; `LANGUAGES` of swarna/settings.py. */
export const LANGUAGES = Object.freeze({
  en: "English",
  hi: "हिन्दी",
  gu: "ગુજરાતી",
  mr: "मराठी",
  ta: "தமிழ்",
  te: "తెలుగు",
});

/**
 * Each address stands here in full, since only such addresses follow their files when these are served by hash.
 * @type {Record<Language, () => Promise<{default: Catalog}>>}
 */
const CATALOGS = {
  en: async () => ({ default: {} }),
  hi: () => import("./words/hi.js"),
  gu: () => import("./words/gu.js"),
  mr: () => import("./words/mr.js"),
  ta: () => import("./words/ta.js"),
  te: () => import("./words/te.js"),
};

/** Marks a text for translation that is passed to `_` later. @template {string} Text @param {Text} text @returns {Text} */
export const N_ = (text) => text;

/** The words of one language. Its functions need no `this`. */
export class Words {
  #catalog;
  #rules;

  /** @param {Language} language @param {Catalog} catalog  Texts by their English; two for `plural`. */
  constructor(language, catalog) {
    this.language = language;
    this.#catalog = catalog;
    this.#rules = new Intl.PluralRules(language);
  }

  /** A text in the language, with values in place of their names in braces. @param {string} english @param {Values} [values] */
  _ = (english, values = {}) => {
    const text = this.#catalog[english];
    return filled(typeof text === "string" ? text : english, values);
  };

  /**
   * The form of a text for a number, which is `{count}` in it.
   * @param {string} one  The English for one.
   * @param {string} other
   * @param {number} count
   * @param {Values} [values]
   */
  plural = (one, other, count, values = {}) => {
    const forms = this.#catalog[one];
    const [ofOne = one, ofOthers = other] = Array.isArray(forms) ? forms : [];
    return filled(this.#rules.select(count) === "one" ? ofOne : ofOthers, { count, ...values });
  };
}

/**
 * The language of a tag such as `hi-IN`; English for one that is not here.
 * @param {string} [tag]
 * @returns {Language}
 */
export function languageOf(tag = "") {
  const code = tag.toLowerCase().split("-")[0];
  return Object.hasOwn(LANGUAGES, code) ? /** @type {Language} */ (code) : "en";
}

/**
 * The words of a language, once they are loaded; English where they cannot be, so that a page goes on.
 * @param {string} [tag]  As `<html lang>` has it.
 */
export async function wordsIn(tag) {
  const language = languageOf(tag);
  try {
    return new Words(language, (await CATALOGS[language]()).default);
  } catch {
    return ENGLISH;
  }
}

/** The code's own words. */
export const ENGLISH = new Words("en", {});

/** @param {string} text @param {Values} values */
function filled(text, values) {
  return text.replace(/\{(\w+)\}/g, (name, key) => String(values[key] ?? name));
}
