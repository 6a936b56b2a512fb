// The same stream by uWebSockets, C++ in Node, as its documentation would have it: clients subscribe to a topic, and a
// publication is one `publish`.
//
//   node uws.js PORT PAYLOADS
//
// publisher.js has its standard input and output.
const uWS = require("@trufflesuite/uws-js-unofficial");
const { Publisher } = require("./publisher");

const [port, payloads] = process.argv.slice(2);
const app = uWS.App();
const publisher = new Publisher(payloads, (message) => app.publish("prices", JSON.stringify(message)));

app.ws("/*", {
  maxPayloadLength: 16 * 1024,
  idleTimeout: 0, // it neither pings nor drops anyone, as server.js does not
  open(ws) {
    ws.subscribe("prices");
    ws.send(JSON.stringify(publisher.current));
  },
  message(ws, message) {
    if (JSON.parse(Buffer.from(message)).type === "ping") ws.send(JSON.stringify({ type: "pong" }));
  },
});
app.listen("127.0.0.1", Number(port), (socket) => {
  if (!socket) process.exit(1);
});
