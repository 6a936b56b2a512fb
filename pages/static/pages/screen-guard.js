/**
 * Keeps a screen going that nobody can touch. It loads the page anew when the screen's own script has stopped or never
 * began, when its style sheet is not there, and when another version is served. A classic script, so that it runs where
 * modules fail or are not known. Where this could not be loaded either, the page's own refresh does.
 *
 * Nothing is loaded anew unless the server has just answered with the page: an error's page in its place, a browser's or
 * a proxy's, would not come back by itself.
 */

(() => {
  const SECOND = 1_000;
  const HOUR = 3_600 * SECOND;
  const CHECK_EVERY = 10 * SECOND;
  /** The checks without a sign of life after which the page is loaded anew: a minute. */
  const SILENT_CHECKS = 6;
  /** The checks from one look at the served version to the next. */
  const RELEASE_EVERY = 6;
  const TIMEOUT = 8 * SECOND;

  const { root, release } = document.documentElement.dataset;
  let silent = 0;
  let checks = 0;

  // Not by the clock: a device that slept has missed no sign.
  addEventListener("screenalive", () => {
    if (isStyled()) silent = 0;
  });
  // Not in step with all other screens.
  setTimeout(() => setInterval(check, CHECK_EVERY), Math.random() * CHECK_EVERY);

  function check() {
    silent += 1;
    checks += 1;
    if (silent >= SILENT_CHECKS) {
      // The page's own refresh would not see first whether the server answers.
      stop();
      reload();
    } else if (release && checks % RELEASE_EVERY === 0) reloadIfReplaced();
  }

  function isStyled() {
    return getComputedStyle(document.documentElement).getPropertyValue("--ground") !== "";
  }

  async function reloadIfReplaced() {
    try {
      const { release: served } = await (await get(`${root}client/v1/release.json`)).json();
      if (!served || served === release) return;
      // The page may be another host's, which has its version still, or a proxy's while no host answers.
      const page = await (await get(location.href)).text();
      if (page.includes(`data-release="${served}"`) && isDue(served)) location.reload();
    } catch {
      // It is not known now; the next look may tell.
    }
  }

  /** Once an hour for each release: where hosts of two releases answer by turns, each page would find the other. */
  function isDue(/** @type {string} */ served) {
    const key = `swarna.reloaded ${served}`;
    try {
      if (Math.abs(Date.now() - Number(sessionStorage.getItem(key) ?? NaN)) < HOUR) return false;
      sessionStorage.setItem(key, String(Date.now()));
    } catch {
      // Without such a memory, each time is the first.
    }
    return true;
  }

  async function reload() {
    try {
      if ((await get(location.href)).ok) location.reload();
    } catch {
      // The server is away: the next check tries again.
    }
  }

  /** @param {string} url */
  function get(url) {
    return fetch(url, { cache: "no-store", signal: AbortSignal.timeout?.(TIMEOUT) });
  }
})();
