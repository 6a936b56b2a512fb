import { SwarnaClient } from "/client/v1/swarna-client.js";

/** Makes a client that keeps a record of its events; the test connects it. */
window.newClientAt = (url, options) => {
  const client = new SwarnaClient(url, { jitter: 0, ...options });
  window.client = client;
  window.events = [];
  for (const type of ["prices", "status", "heartbeat", "subscribed", "connection", "transport", "error"]) {
    client.addEventListener(type, ({ detail }) => window.events.push({ type, detail }));
  }
  return client;
};
window.newClient = (options) => window.newClientAt("/ws/prices/", options);
window.eventsOf = (type) => window.events.filter((event) => event.type === type).map(({ detail }) => detail);
/** The new prices of all moves that were passed to the page so far. */
window.moves = () => window.eventsOf("prices").flatMap(({ changes }) => changes.map(({ newPrice }) => newPrice));
window.waits = () => window.eventsOf("connection").filter(({ state }) => state === "waiting");
window.ready = true;
