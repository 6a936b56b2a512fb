import { useEffect, useState } from "react";
import { SwarnaClient } from "./swarna-client.js";

/** @typedef {Partial<import("./swarna-client.js").Options> & {metals?: import("./swarna-client.js").Named[]}} Options */
/** @typedef {import("./swarna-client.js").Connection} Connection */

/**
 * @typedef {object} Result
 * @property {import("./swarna-client.js").Quotes} prices
 * @property {boolean} connected
 * @property {Problem|null} error
 * @property {import("./swarna-client.js").Status|null} status
 */

/** @typedef {Error & {code?: string|number, why?: Connection["why"]}} Problem */

/** @type {Result} */
const NOTHING_YET = { prices: {}, connected: false, error: null, status: null };

/**
 * Live metal prices in a React component.
 *
 *     const { prices, connected, error } = useWebSocketPrices("wss://prices.example/ws/prices/");
 *
 * @param {string} url  As for SwarnaClient. With another url the result starts afresh.
 * @param {Options} [options]  As for SwarnaClient:
 *   `token`, `interval` and the rest; and `metals`, the names of those wanted, all where absent. They are compared by
 *   value. Where one changes, another connection is made, and until it is there the prices stay.
 * @returns {Result}
 *   `prices`: the quotes by metal. They stay when the connection is lost: show them as live only while `connected`, and
 *   unless `status.feed` is `down`.
 *   `error`: why there is no connection, or what the server rejected; null again once connected. `error.code` is the
 *   close code or the server's error code; `error.why` is that of the client's `connection`, such as `unauthorized`, on
 *   which another `token` is due. `status`: the server's last `status` message.
 */
export function useWebSocketPrices(url, options = {}) {
  const [state, setState] = useState({ url, ...NOTHING_YET });
  const value = JSON.stringify(options);

  useEffect(() => {
    const effect = new AbortController();
    /** @param {Partial<Result>} news */
    const show = (news) => setState((known) => ({ ...(known.url === url ? known : { url, ...NOTHING_YET }), ...news }));
    // StrictMode undoes an effect at once and runs it again: by waiting for that, only one connection is opened.
    Promise.resolve()
      .then(() => effect.signal.aborted || follow(url, options, show, effect.signal))
      .catch((error) => show({ error }));
    return () => effect.abort();
  }, [url, value]);

  // What another url brought must not be shown for this one, not even until the effect has run.
  const { prices, connected, error, status } = state.url === url ? state : NOTHING_YET;
  return { prices, connected, error, status };
}

/**
 * Passes what the server at `url` says to `show`, until `signal` aborts.
 * @param {string} url
 * @param {Options} options
 * @param {(news: Partial<Result>) => void} show
 * @param {AbortSignal} signal
 */
function follow(url, { metals, ...options }, show, signal) {
  const client = new SwarnaClient(url, options);
  if (metals) client.subscribe(metals);
  client.addEventListener("prices", ({ detail }) => show({ prices: detail.data }), { signal });
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
