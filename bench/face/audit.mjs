/**
 * Looks at pages of a running server as a phone does, in a Chromium of its own, and prints one line of JSON.
 *
 *     node audit.mjs lighthouse URL RUNS   Lighthouse on its own throttling: scores (0 to 100) and CLS, a list each
 *     node audit.mjs loads URL             bytes as sent, until the first price and until all is live; the first price in ms
 *                                          without JavaScript, and on a slow phone
 */

import { launch } from "chrome-launcher";
import lighthouse from "lighthouse";
import puppeteer from "puppeteer-core";

const ARGUMENTS = ["--headless", "--no-sandbox", "--disable-background-networking", "--disable-component-update"];
const CATEGORIES = ["performance", "accessibility", "best-practices", "seo"];
const PHONE = { width: 390, height: 844, deviceScaleFactor: 2, isMobile: true, hasTouch: true };
/** Of what a chart alone needs. */
const CHART = /lightweight-charts/;
const LONGEST = 60_000;
const [, , what, url, runs = "1"] = process.argv;

const browser = await launch({ chromePath: process.env.CHROMIUM, chromeFlags: ARGUMENTS, logLevel: "silent" });
try {
  const found = what === "lighthouse" ? await scores(Number(runs)) : await loads();
  console.log(JSON.stringify(found));
} finally {
  browser.kill();
}

/** @param {number} times */
async function scores(times) {
  const found = { cls: [], failed: [], ...Object.fromEntries(CATEGORIES.map((name) => [name, []])) };
  for (let run = 0; run < times; run++) {
    const { lhr } = await lighthouse(url, { port: browser.port, logLevel: "silent", onlyCategories: CATEGORIES });
    if (lhr.runtimeError) throw new Error(lhr.runtimeError.message);
    for (const name of CATEGORIES) found[name].push(Math.round(lhr.categories[name].score * 100));
    found.cls.push(lhr.audits["cumulative-layout-shift"].numericValue);
    found.failed = CATEGORIES.flatMap((name) => lhr.categories[name].auditRefs)
      .filter(({ id, weight }) => weight && lhr.audits[id].score !== null && lhr.audits[id].score < 0.9)
      .map(({ id }) => id);
  }
  return found;
}

async function loads() {
  const tab = await puppeteer.connect({ browserURL: `http://127.0.0.1:${browser.port}`, defaultViewport: PHONE });
  const found = await inAPage(tab, live);
  const without = await inAPage(tab, async (page) => {
    await page.setJavaScriptEnabled(false);
    return await firstPrice(page);
  });
  const slow = await inAPage(tab, async (page) => {
    const devtools = await page.createCDPSession();
    await devtools.send("Emulation.setCPUThrottlingRate", { rate: 4 });
    await devtools.send("Network.enable");
    const throughput = 400_000 / 8;
    const speed = { offline: false, latency: 400, downloadThroughput: throughput, uploadThroughput: throughput };
    await devtools.send("Network.emulateNetworkConditions", speed);
    return await firstPrice(page);
  });
  await tab.disconnect();
  return { ...found, without, slow };
}

/** @param {import("puppeteer-core").Browser} tab @param {(page: import("puppeteer-core").Page) => Promise<any>} look */
async function inAPage(tab, look) {
  const context = await tab.createBrowserContext();
  const page = await context.newPage();
  page.setDefaultTimeout(LONGEST);
  try {
    return await look(page);
  } finally {
    await context.close();
  }
}

/**
 * The bytes of page and style sheets, which the first price needs, and of all until the page is connected.
 * @param {import("puppeteer-core").Page} page
 */
async function live(page) {
  const devtools = await page.createCDPSession();
  await devtools.send("Network.enable");
  const requests = new Map();
  let frames = 0;
  devtools.on("Network.responseReceived", ({ requestId, type, response }) => requests.set(requestId, { type, url: response.url, bytes: 0 }));
  devtools.on("Network.loadingFinished", ({ requestId, encodedDataLength }) => {
    const request = requests.get(requestId);
    if (request) request.bytes = encodedDataLength;
  });
  devtools.on("Network.webSocketFrameReceived", ({ response }) => (frames += response.payloadData.length));
  await page.goto(url);
  await page.waitForSelector('#connection[data-state="open"]');
  await page.waitForNetworkIdle({ idleTime: 1_000 });
  const all = [...requests.values()].filter((request) => !CHART.test(request.url));
  const sum = (of) => of.reduce((bytes, request) => bytes + request.bytes, 0);
  const needed = all.filter(({ type }) => type === "Document" || type === "Stylesheet");
  return { first: sum(needed), live: sum(all) + frames, requests: all.length };
}

/**
 * Milliseconds from the start of the navigation until a price is painted; null if none is within ten seconds.
 * @param {import("puppeteer-core").Page} page
 */
async function firstPrice(page) {
  const going = page.goto(url);
  let at = null;
  // Polled from here, as timers of a page without JavaScript do not run.
  for (const end = performance.now() + 10_000; at === null && performance.now() < end; ) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    at = await page.evaluate(paintedPrice).catch(() => null); // between two documents
  }
  await going;
  return at;
}

/** In the page: its age where a price is in it and something is painted, else null. */
function paintedPrice() {
  const isThere = /\d/.test(document.querySelector('[data-part="amount"]')?.textContent ?? "");
  const isPainted = performance.getEntriesByName("first-contentful-paint").length > 0;
  return isThere && isPainted ? performance.now() : null;
}
