/**
 * Live prices as elements of any page.
 *
 *     <script type="module" src="https://prices.example/client/v1/element.js"></script>
 *     <swarna-price metal="gold" purity="916" unit="10gram"></swarna-price>
 *     <swarna-sheet rows="gold:916:10gram,silver:999:kg" lang="hi"></swarna-sheet>
 *
 * All elements of a page share one connection to their server: the one that served this module, or, where a bundler did,
 * the one that the attribute `server` names. What stands in an element is shown until its first price; where nothing does,
 * its rows are there from the beginning, and the page around them does not move.
 */

import { each, fill, showNotices } from "./dom.js";
import { formats, localeOf } from "./format.js";
import { LivePrices } from "./live.js";
import { defaultSheet, MOST_ROWS, parse, written } from "./rows.js";
import { N_, wordsIn } from "./words.js";

/** @typedef {import("./format.js").Formats} Formats */
/** @typedef {import("./dom.js").Parts} Parts */
/** @typedef {import("./marks.js").Notice} Notice */
/** @typedef {import("./rows.js").Row} Row */
/** @typedef {import("./rows.js").Sheet} Sheet */
/** @typedef {import("./words.js").Words} Words */

/** Where the addresses of the server that served this module begin; null in a bundle, and in Node. */
const HOME = /^(https?:.*\/)static\/client\/[^/]+$/.exec(import.meta.url)?.[1] ?? null;

const STYLES = `
:host {
  display: inline-block;
  --up: var(--swarna-up, #0a6a3a);
  --down: var(--swarna-down, #b3261e);
  --warning: var(--swarna-warning, #8a5a00);
  --line: var(--swarna-line, color-mix(in srgb, currentcolor 18%, transparent));
  --quiet: var(--swarna-quiet, color-mix(in srgb, currentcolor 75%, transparent));
  font-variant-numeric: tabular-nums;
  line-height: 1.4;
}
@supports (color: light-dark(red, red)) {
  :host {
    --up: var(--swarna-up, light-dark(#0a6a3a, #63d393));
    --down: var(--swarna-down, light-dark(#b3261e, #ff938a));
    --warning: var(--swarna-warning, light-dark(#8a5a00, #f0c14b));
  }
}
:host([hidden]), [hidden] { display: none; }
* { box-sizing: border-box; margin: 0; }
a { color: inherit; text-decoration: underline dotted; text-underline-offset: 3px; }
.name { font-weight: 600; }
.quiet { color: var(--quiet); font-size: 0.85em; font-weight: 400; }
.amount { font-weight: 650; letter-spacing: -0.01em; }
.change, .marks { font-size: 0.85em; font-weight: 600; white-space: nowrap; }
/* Its line is there without it. */
.change::before { content: "\\200b"; }
[data-trust]:not([data-trust="live"]) .amount { color: var(--quiet); }
[data-trust="live"] .marks { color: var(--up); }
:is([data-trust="example"], [data-trust="fallback"], [data-trust="simulated"], [data-trust="stale"]) .marks { color: var(--warning); }
[data-trust="unconnected"] .marks { color: var(--down); }
[data-direction="up"] { color: var(--up); }
[data-direction="down"] { color: var(--down); }
.notice { font-size: 0.85em; }
.notice:not([data-tone="plain"]) { padding-inline-start: 0.6em; border-inline-start: 3px solid var(--warning); }
.notice[data-tone="danger"] { border-color: var(--down); }

.price { display: grid; gap: 0.1em; }
.price .head { display: flex; flex-wrap: wrap; align-items: baseline; gap: 0 0.5em; }
.price .marks { margin-inline-start: auto; }
.price .amount { font-size: 1.5em; line-height: 1.2; }
.price .foot { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 0 1em; }

/* In a sentence: the amount, and its mark unless that is what everybody hopes for. Frameworks write false as "false". */
:host([compact]:not([compact="false"])) { display: inline-flex; align-items: baseline; gap: 0.35em; }
:host([compact]:not([compact="false"])) :is(.view, .price, .head, .figure) { display: contents; }
:host([compact]:not([compact="false"])) :is(.name, .quiet, .change, .foot, :is(.marks, .notices):empty, [data-trust="live"] .marks) { display: none; }
:host([compact]:not([compact="false"])) .amount { order: -1; font-size: inherit; }

:host(swarna-sheet) { display: block; }
.sheet { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(20em, 100%), 1fr)); gap: 0 2.5em; }
.row { display: grid; grid-template-columns: 1fr auto; gap: 0 0.75em; padding-block: 0.5em; border-bottom: 1px solid var(--line); }
.row :is(.about, .change) { display: block; }
.about .quiet { color: inherit; font-size: inherit; }
.row dd { text-align: end; }
.row .amount { font-size: 1.15em; }
.source { display: inline-block; margin-top: 0.6em; }
.notices:not(:empty) { display: grid; gap: 0.4em; margin-top: 0.6em; }
`;

/**
 * @typedef {object} Kind  The contents of one of the elements.
 * @property {(element: HTMLElement, live: LivePrices) => Sheet} sheet  The rows that its attributes name.
 * @property {(notices: Notice[], hasPrices: boolean) => Notice[]} notices  Those of all that it shows.
 * @property {(rows: Parts[], source: HTMLElement) => Node} layout
 */

/** @type {Record<import("./rows.js").Wrong, string>} */
const WRONG = {
  metal: N_("“{text}” names no metal that is listed here."),
  purity: N_("“{text}” has a purity that its metal is not sold in."),
  unit: N_("“{text}” has no unit that is known here."),
  form: N_("“{text}” is not written as metal:purity:unit."),
};

/** @type {Map<string, LivePrices>}  By where their server's addresses begin. */
const servers = new Map();
/** @type {Map<string, Formats>}  By locale. */
const formatsByLocale = new Map();
/** @type {CSSStyleSheet|undefined} */
let styles;

// In Node, where pages are rendered before a browser has them, there are no elements.
const Base = globalThis.HTMLElement ?? /** @type {typeof HTMLElement} */ (class {});

/** An element that shows rows of prices, in the language that the nearest `lang` names. */
class PricesElement extends Base {
  #kind;
  #view;
  #notices;
  /** @type {AbortController|null} */
  #running = null;
  /** @type {Parts[]} */
  #parts = [];
  /** @type {string|null}  The rows and the language that are laid out; null for what stands in the element. */
  #laidOut = "";

  /** @param {Kind} kind */
  constructor(kind) {
    super();
    this.#kind = kind;
    this.#view = made("div", "view");
    this.#notices = made("div", "notices");
    this.#notices.role = "status";
    const shadow = this.attachShadow({ mode: "open" });
    styles ??= styleSheet();
    shadow.adoptedStyleSheets = [styles];
    shadow.append(this.#view, this.#notices);
    this.#clear();
  }

  connectedCallback() {
    this.#start();
  }

  disconnectedCallback() {
    this.#running?.abort();
    this.#running = null;
  }

  attributeChangedCallback() {
    if (this.#running) this.#start();
  }

  async #start() {
    this.#running?.abort();
    this.#running = new AbortController();
    const { signal } = this.#running;
    const words = await wordsIn(languageOf(this));
    if (signal.aborted) return;
    try {
      const live = pricesOf(this.getAttribute("server") ?? HOME);
      live.follow(() => this.#show(live, words), signal);
    } catch (error) {
      this.#clear();
      // For whoever writes the page. Its readers see what stands in the element.
      console.error(`<${this.localName}>: ${/** @type {Error} */ (error).message}`);
    }
  }

  /** @param {LivePrices} live @param {Words} words */
  #show(live, words) {
    const format = formatOf(words, live.currency);
    const sheet = this.#kind.sheet(this, live);
    const hasPrices = live.hasBegun && sheet.rows.some(({ metal }) => metal in live.quotes);
    if (hasPrices || (sheet.rows.length > 0 && !this.textContent?.trim())) {
      this.#layOut(sheet.rows, new URL(live.root), format);
      each(sheet.rows.entries(), ([n, row]) => fill(this.#parts[n], row, live, format));
    } else {
      this.#clear();
    }
    const metals = [...new Set(sheet.rows.map(({ metal }) => metal))];
    const notices = [...misunderstandings(sheet, format), ...live.notices(metals, format)];
    showNotices(this.#notices, this.#kind.notices(notices, hasPrices));
  }

  /** Shows what stands in the element in the page, and no price of before. */
  #clear() {
    if (this.#laidOut === null) return;
    this.#laidOut = null;
    this.#view.replaceChildren(document.createElement("slot"));
  }

  /** @param {Row[]} rows @param {URL} root @param {Formats} format */
  #layOut(rows, root, format) {
    const wanted = `${written(rows)} ${format.language}`;
    if (this.#laidOut === wanted) return;
    this.#laidOut = wanted;
    this.#parts = rows.map(parts);
    this.#view.lang = this.#notices.lang = format.language;
    this.#view.replaceChildren(this.#kind.layout(this.#parts, boardLink(root, rows, format)));
  }
}

/** @type {Kind} */
const PRICE = {
  sheet(element) {
    const [metal, purity, unit] = ["metal", "purity", "unit"].map((name) => element.getAttribute(name));
    return parse(`${metal ?? ""}:${purity ?? "999"}:${unit ?? "gram"}`);
  },
  // Its mark has to do, beside a price; several on one page would say the same.
  notices: (notices, hasPrices) => (hasPrices ? [] : notices.slice(0, 1)),
  layout: ([{ box, name, purity, unit, amount, change, marks, age, why = "" }]) => {
    return named(
      box,
      "price",
      made("div", "head", name, purity, marks),
      made("div", "figure", amount, " ", unit),
      change,
      made("div", "foot", age, why),
    );
  },
};

/** @type {Kind} */
const SHEET = {
  sheet(element, live) {
    const rows = element.getAttribute("rows");
    if (rows !== null) return parse(rows);
    return { rows: defaultSheet(live.currency).filter(({ metal }) => metal in live.quotes), mistakes: [], leftOut: 0 };
  },
  notices: (notices) => notices,
  layout(rows, source) {
    const list = made("dl", "sheet");
    for (const { box, name, purity, unit, amount, change, marks, age } of rows) {
      const about = made("span", "about quiet", unit, " · ", age);
      const metal = made("dt", "metal", name, " ", purity, " ", marks, about);
      list.append(named(box, "row", metal, made("dd", "figure", amount, change)));
    }
    return made("div", "all", list, source);
  },
};

/** `<swarna-price metal="gold" purity="916" unit="10gram">`: one price. */
export class SwarnaPrice extends PricesElement {
  static observedAttributes = ["metal", "purity", "unit", "lang", "server"];

  constructor() {
    super(PRICE);
  }
}

/** `<swarna-sheet rows="gold:916:10gram,silver:999:kg">`: several; without `rows`, those that are usual in the currency. */
export class SwarnaSheet extends PricesElement {
  static observedAttributes = ["rows", "lang", "server"];

  constructor() {
    super(SHEET);
  }
}

for (const [name, element] of Object.entries({ "swarna-price": SwarnaPrice, "swarna-sheet": SwarnaSheet })) {
  // Another copy of this module may have come first.
  if (globalThis.customElements && !customElements.get(name)) customElements.define(name, element);
}

// --- what elements share ---------------------------------------------------------------------------------------------

/** @param {string|null} server @returns {LivePrices} */
function pricesOf(server) {
  if (server === null) throw new Error('name the server, such as server="https://prices.example/"');
  const address = new URL(server.replace(/\/?$/, "/"), document.baseURI);
  address.protocol = address.protocol.replace(/^ws/, "http");
  const root = address.href;
  const live = servers.get(root) ?? new LivePrices(root);
  servers.set(root, live);
  return live;
}

/**
 * The language that the nearest `lang` names, around the elements too of which this one is a part.
 * @param {Element} element @returns {string}
 */
function languageOf(element) {
  const near = element.closest("[lang]");
  const root = element.getRootNode();
  return !near && root instanceof ShadowRoot ? languageOf(root.host) : (near?.getAttribute("lang") ?? "");
}

/** @param {Words} words @param {string} currency */
function formatOf(words, currency) {
  const locale = localeOf(words.language, currency);
  const found = formatsByLocale.get(locale) ?? formats(words, { locale });
  formatsByLocale.set(locale, found);
  return found;
}

/** @param {Sheet} sheet @param {Formats} format @returns {Notice[]} */
function misunderstandings({ mistakes, leftOut }, { _, plural }) {
  /** @type {Notice[]} */
  const notices = [];
  if (mistakes.length > 0) {
    const text = mistakes.map(({ text, wrong }) => _(WRONG[wrong], { text })).join(" ");
    notices.push(["warning", _("Not all rows are understood."), text]);
  }
  if (leftOut > 0) {
    const text = plural("{count} more is left out.", "{count} more are left out.", leftOut);
    notices.push(["warning", _("The first {most} rows are shown.", { most: MOST_ROWS }), text]);
  }
  return notices;
}

// --- what they are made of -------------------------------------------------------------------------------------------

function styleSheet() {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(STYLES);
  return sheet;
}

/** @returns {Parts} */
function parts() {
  return {
    box: document.createElement("div"),
    name: made("span", "name"),
    purity: made("span", "purity quiet"),
    unit: made("span", "unit quiet"),
    amount: made("span", "amount"),
    change: made("span", "change"),
    marks: made("span", "marks"),
    age: made("time", "age quiet"),
    why: link("why quiet", ""),
  };
}

/** The board of the server with the same rows. @param {URL} root @param {Row[]} rows @param {Formats} format */
function boardLink(root, rows, { _, language }) {
  const made = link("source quiet", _("All prices at {host}", { host: root.host }));
  made.href = new URL(`?${new URLSearchParams({ rows: written(rows), lang: language })}`, root).href;
  return made;
}

/** A link that leaves the page that shows prices where it is. @param {string} names @param {string} text */
function link(names, text) {
  const anchor = made("a", names, text);
  anchor.target = "_blank";
  anchor.rel = "noopener";
  return anchor;
}

/**
 * @template {keyof HTMLElementTagNameMap} Name
 * @param {Name} name
 * @param {string} names  Its classes, of which the first is its part.
 * @param {(Node|string)[]} children
 */
function made(name, names, ...children) {
  return named(document.createElement(name), names, ...children);
}

/**
 * @template {HTMLElement} E
 * @param {E} element @param {string} names @param {(Node|string)[]} children
 */
function named(element, names, ...children) {
  element.className = names;
  // jsdom and happy-dom, in which others test their pages, have no `part`.
  element.setAttribute("part", names.split(" ")[0]);
  element.append(...children);
  return element;
}
