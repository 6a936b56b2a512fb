/** A metal's candles by REST. */

/** @typedef {import("../client/swarna-client.js").Candle} Candle */
/** @typedef {import("../client/swarna-client.js").Interval} Interval */
/** @typedef {{data: Candle[], next: string|null}} Page */

const TIMEOUT = 15_000;
/** Before any price. */
const BEGINNING = "1900-01-01";

/**
 * The newest candles of an interval, oldest first; all for null. Rejects where the API has another answer than these.
 * @param {URL|string} address  Of the metal's candles in the API.
 * @param {Interval} interval
 * @param {number|null} most
 * @param {number} limit  As many as the API gives at once.
 * @returns {Promise<Candle[]>}
 */
export async function fetchCandles(address, interval, most, limit) {
  if (most !== null) return (await page(address, { interval, limit: String(most) })).data;
  const all = [];
  /** @type {string|null} */
  let from = BEGINNING;
  while (from) {
    const { data, next } = await page(address, { interval, limit: String(limit), from });
    all.push(...data);
    // Its time alone: behind a proxy, the server may not know under which address it is reached.
    const after = next && new URL(next).searchParams.get("from");
    if (after === from) throw new Error(`${address}: after the page from ${from} comes the same`);
    from = after;
  }
  return all;
}

/** @param {URL|string} address @param {Record<string, string>} query @returns {Promise<Page>} */
async function page(address, query) {
  const url = new URL(address, document.baseURI);
  url.search = new URLSearchParams(query).toString();
  const response = await fetch(url, { headers: { Accept: "application/json" }, signal: AbortSignal.timeout?.(TIMEOUT) });
  if (!response.ok) throw new Error(`${url.pathname}: ${response.status}`);
  return response.json();
}
