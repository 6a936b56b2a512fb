import { useWebSocketPrices } from "/static/streaming/use-websocket-prices.js";

const { createElement } = globalThis.React;
const { createRoot, flushSync } = globalThis.ReactDOM;

let root = null;

/** Keeps what every rendering got, with the url that it was rendered for. */
function Prices({ url }) {
  const { error, ...result } = useWebSocketPrices(url);
  window.renderings.push({ url, ...result, error: error && { message: error.message, code: error.code ?? null } });
  return null;
}

window.renderings = [];
window.latest = () => window.renderings.at(-1);

/** Renders at once, the first time and with another url. */
window.render = (url) => {
  root ??= createRoot(document.body.appendChild(document.createElement("div")));
  flushSync(() => root.render(createElement(Prices, { url })));
};

window.unmount = () => {
  root.unmount();
  root = null;
};

window.ready = true;
