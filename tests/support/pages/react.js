import { useWebSocketPrices } from "/client/v1/react.js";

const { createElement } = globalThis.React;
const { createRoot, flushSync } = globalThis.ReactDOM;

let root = null;

/** Keeps what every rendering got, with the url that it was rendered for. */
function Prices({ url, options }) {
  const { error, ...result } = useWebSocketPrices(...(options ? [url, options] : [url]));
  const { message, code = null, why = null } = error ?? {};
  window.renderings.push({ url, ...result, error: error && { message, code, why } });
  return null;
}

window.renderings = [];
window.latest = () => window.renderings.at(-1);

/** Renders at once, the first time and with another url or other options. */
window.render = (url, options) => {
  root ??= createRoot(document.body.appendChild(document.createElement("div")));
  flushSync(() => root.render(createElement(Prices, { url, options })));
};

window.unmount = () => {
  root.unmount();
  root = null;
};

window.ready = true;
