/**
 * A page of live prices: it goes on from the state in which the server wrote it, and says at any moment how it is
 * connected, what the market does, and what is to be read before a price is used.
 */

import { showNotices, write } from "../client/dom.js";
import { LivePrices } from "../client/live.js";
import { connectionText, marketText } from "../client/marks.js";
import { format, release, root } from "./page.js";

/** @typedef {import("../client/live.js").State} State */
/** @typedef {import("../client/swarna-client.js").Metal} Metal */
/** @typedef {import("../client/swarna-client.js").Options} Options */
/** @typedef {import("../client/swarna-client.js").Prices} Prices */

/**
 * @typedef {object} Page  A page's own part.
 * @property {() => Metal[]} metals  Those that it shows.
 * @property {(update: Prices) => void} show  Shows `quotes`, as an update has brought them.
 * @property {() => void} refresh  Shows, at each second and change, how old prices are, and their marks.
 * @property {boolean} [isGuarded]  True if another script loads the page anew where it is replaced.
 */

const TIMEOUT = 10_000;

export class LivePage extends LivePrices {
  #elements;
  #page;
  #wasLost = false;

  /**
   * @param {State} state
   * @param {Record<string, HTMLElement>} elements  By id: `notices`, `unstarted`; where they are shown, `market`, `connection`
   *   and its `connectiontext`; and `reconnect`, where there are hands to press it.
   * @param {Page} page
   * @param {Partial<Options>} [options]  Of the client.
   */
  constructor(state, elements, page, options) {
    // HTML that a browser took from its cache, as after Back, may be of any time.
    super(root, options, state, !isFromCache());
    this.#elements = elements;
    this.#page = page;
  }

  /** Connects, and shows from now on what comes. The page says no longer that its script has not started. */
  start() {
    const { client } = this;
    this.#elements.unstarted.remove();
    this.#elements.reconnect?.addEventListener("click", () => client.connect());
    client.addEventListener("connection", ({ detail: { state } }) => {
      if (state === "open" && this.#wasLost) this.#reloadIfReplaced();
      this.#wasLost = state !== "open" && (this.#wasLost || state === "waiting");
    });
    this.follow((update) => {
      try {
        if (update) this.#page.show(update);
      } finally {
        this.refresh();
      }
    });
  }

  /** Shows anew what depends on the time or the connection. */
  refresh() {
    const { reconnect, market, notices } = this.#elements;
    this.#page.refresh();
    this.#showConnection();
    if (market) write(market, marketText(this.status, this.client.serverTime, format));
    showNotices(notices, this.notices(this.#page.metals(), format, reconnect !== undefined));
  }

  #showConnection() {
    const { connection, reconnect, connectiontext } = this.#elements;
    if (!connection) return;
    const current = this.client.connection;
    connection.dataset.state = current.state;
    if (reconnect) reconnect.hidden = !["waiting", "closed"].includes(current.state);
    write(connectiontext, connectionText(current, this.client.transport, this.untilRetry, format));
  }

  /** Loads the page anew where the server came back with another version: old scripts may not understand it. */
  async #reloadIfReplaced() {
    if (!release || this.#page.isGuarded) return;
    try {
      const { release: served } = await (await get(`${root}client/v1/release.json`)).json();
      if (!served || served === release) return;
      // While hosts start one by one, the page may be another's still, or a proxy's of an error.
      const page = await (await get(location.href)).text();
      if (page.includes(`data-release="${served}"`)) location.reload();
    } catch {
      // It is fetched again after the next interruption.
    }
  }
}

/** @param {string} url */
function get(url) {
  return fetch(url, { cache: "no-store", signal: AbortSignal.timeout?.(TIMEOUT) });
}

/** Returns true where the browser took the page's HTML from its cache. */
function isFromCache() {
  const [navigation] = performance.getEntriesByType("navigation");
  return navigation instanceof PerformanceNavigationTiming && navigation.transferSize === 0;
}
