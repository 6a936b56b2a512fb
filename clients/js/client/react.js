import { useEffect, useState } from "react";
import { SwarnaClient } from "./swarna-client.js";

/** @typedef {import("./swarna-client.js").GivenOptions & {metals?: import("./swarna-client.js").Named[]|undefined}} Options */
/** @typedef {import("./swarna-client.js").Connection} Connection */

/**
 * @typedef {object} Result
 * @property {import("./swarna-client.js").Quotes} prices
 * @property {string|null} currency  That of the prices, such as `INR`; null before the first ones.
 * @property {string|null} unit  The weight that they are of: `gram`.
 * @property {boolean} connected
 * @property {Problem|null} error
 * @property {import("./swarna-client.js").Status|null} status
 */

/** @typedef {Error & {code?: string|number, why?: Connection["why"]}} Problem */

/** @type {Result} */
const NOTHING_YET = { prices: {}, currency: null, unit: null, connected: false, error: null, status: null };

/**
 * Live metal prices in a React component.
 *
 *     const { prices, currency, unit, connected, error } = useWebSocketPrices("wss://prices.example/ws/prices/");
 *
 * @param {string} url  As for SwarnaClient. With another url the result starts afresh.
 * @param {Options} [options]  As for SwarnaClient:
 *   `token`, `interval` and the rest; and `metals`, the names to subscribe to, by default all. Options are compared by
 *   value: after a change a new connection is made, and the prices stay until it is open.
 * @returns {Result}
 *   `prices`: the quotes by metal. They stay when the connection is lost: show them as live only while `connected`, and
 *   unless `status.feed` is `down`.
 *   `error`: the reason why the connection is lost, or the server's last rejection; null once connected. `error.code` is
 *   the close code or the server's error code; `error.why` is that of the client's `connection`, such as `unauthorized`,
 *   which needs another `token`. `status`: the server's last `status` message.
 */
export function useWebSocketPrices(url, options = {}) {
  const [state, setState] = useState({ url, ...NOTHING_YET });
  const value = JSON.stringify(options);

  useEffect(() => {
    const effect = new AbortController();
    /** @param {Partial<Result>} news */
    const show = (news) => setState((known) => ({ ...(known.url === url ? known : { url, ...NOTHING_YET }), ...news }));
    // StrictMode runs each effect twice: waiting for a microtask opens only one connection.
    Promise.resolve()
      .then(() => effect.signal.aborted || follow(url, options, show, effect.signal))
      .catch((error) => show({ error }));
    return () => effect.abort();
  }, [url, value]);

  // Prices of another url must not be shown for this one, not even until the effect has run.
  const { prices, currency, unit, connected, error, status } = state.url === url ? state : NOTHING_YET;
  return { prices, currency, unit, connected, error, status };
}

/**
 * Passes prices, status, errors and connection of the server at `url` to `show`, until `signal` aborts.
 * @param {string} url
 * @param {Options} options
 * @param {(news: Partial<Result>) => void} show
 * @param {AbortSignal} signal
 */
function follow(url, { metals, ...options }, show, signal) {
  const client = new SwarnaClient(url, options);
  if (metals) client.subscribe(metals);
  client.addEventListener("prices", ({ detail: { data: prices, message: { currency, unit } } }) => {
    show({ prices, currency, unit });
  }, { signal });
  client.addEventListener("status", ({ detail }) => show({ status: detail }), { signal });
  client.addEventListener("error", ({ detail }) => show({ error: problem(detail) }), { signal });
  client.addEventListener("connection", ({ detail }) => show(asResult(detail)), { signal });
  signal.addEventListener("abort", () => client.close());
  client.connect();
}

/** @param {Connection} connection @returns {Partial<Result>} */
function asResult(connection) {
  switch (connection.state) {
    case "open":
      return { connected: true, error: null };
    case "connecting":
      return { connected: false, status: null };
    default:
      return { connected: false, status: null, error: problem(connection) };
  }
}

/** @param {{code?: string|number, message?: string, reason?: string, why?: Connection["why"]}} what @returns {Problem} */
function problem({ code, message, reason, why }) {
  return Object.assign(new Error(message ?? (reason || "The connection was lost")), { code, why });
}
