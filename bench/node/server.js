// The seed document's server, as it describes it: a Set of clients, one JSON.stringify a publication, a `send` for each
// client.
//
//   node server.js PORT PAYLOADS [--deflate THRESHOLD]
//
// publisher.js has its standard input and output.
const WebSocket = require("ws");
const { Publisher } = require("./publisher");

const [port, payloads, , threshold] = process.argv.slice(2);
const MAX_CONNECTIONS = process.env.WS_MAX_CONNECTIONS || 100;

// The seed's "Server Configuration", with the threshold in both places where it stands there.
const perMessageDeflate = {
  zlibDeflateOptions: { threshold: Number(threshold), concurrencyLimit: 10 },
  zlibInflateOptions: { chunkSize: 2048 },
  threshold: Number(threshold),
  concurrencyLimit: 10,
  clientMaxNoContextTakeover: false,
  clientMaxWindowBits: 15,
  serverMaxNoContextTakeover: false,
  serverMaxWindowBits: 15,
  compression: true,
};

class PriceStreamServer {
  constructor() {
    this.clients = new Set();
    this.publisher = new Publisher(payloads, (message) => this.broadcast(message));
  }

  start() {
    const options = {
      host: "127.0.0.1",
      port: Number(port),
      maxPayload: 16 * 1024,
      handleProtocols: (protocols) => (protocols.has("swarnaai-v1") ? "swarnaai-v1" : false),
    };
    this.wss = new WebSocket.Server(threshold ? { ...options, perMessageDeflate } : options);
    this.wss.on("connection", (ws) => {
      if (this.clients.size >= MAX_CONNECTIONS) {
        ws.close(1008, "Server at capacity");
        return;
      }
      this.clients.add(ws);
      this.sendCurrentPrices(ws);
      ws.on("message", (message) => this.handleClientMessage(ws, JSON.parse(message)));
      ws.on("close", () => this.clients.delete(ws));
      ws.on("error", () => this.clients.delete(ws));
    });
  }

  handleClientMessage(ws, message) {
    if (message.type === "subscribe") ws.metals = message.metals;
    if (message.type === "ping") ws.send(JSON.stringify({ type: "pong" }));
  }

  sendCurrentPrices(ws) {
    ws.send(JSON.stringify(this.publisher.current));
  }

  broadcast(message) {
    const messageString = JSON.stringify(message);
    this.clients.forEach((ws) => {
      if (ws.readyState === WebSocket.OPEN) {
        ws.send(messageString);
      }
    });
  }
}

new PriceStreamServer().start();
