// The seed document's server, as it describes it: a Set of clients, one JSON.stringify a publication, a `send` for each
// client.
//
//   node server.js PORT PAYLOADS [--deflate THRESHOLD]
//
// PAYLOADS has recorded price updates, one a line. Standard input takes `publish INTERVAL-MS COUNT`; standard output
// says, for each publication, its seq and the CLOCK_MONOTONIC nanosecond before it was built, and then `done`.
const fs = require("node:fs");
const readline = require("node:readline");
const WebSocket = require("ws");

const [port, payloads, , threshold] = process.argv.slice(2);
const MAX_CONNECTIONS = process.env.WS_MAX_CONNECTIONS || 100;
const recorded = fs.readFileSync(payloads, "utf8").trim().split("\n").map((line) => JSON.parse(line));

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
    this.seq = 0;
    this.current = { ...recorded[0], seq: 0 };
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
    this.wss.on("listening", () => console.log("listening"));
  }

  handleClientMessage(ws, message) {
    if (message.type === "subscribe") ws.metals = message.metals;
    if (message.type === "ping") ws.send(JSON.stringify({ type: "pong" }));
  }

  sendCurrentPrices(ws) {
    ws.send(JSON.stringify(this.current));
  }

  publish() {
    const at = process.hrtime.bigint();
    this.seq += 1;
    this.current = { ...recorded[this.seq % recorded.length], seq: this.seq };
    this.broadcast(this.current);
    return `${this.seq} ${at}`;
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

const server = new PriceStreamServer();
server.start();

// Publications by absolute deadlines. Their times are printed at the end, when that delays none of them.
function run(interval, count) {
  const began = performance.now();
  const stamps = [];
  const next = () => {
    stamps.push(server.publish());
    if (stamps.length === count) console.log(`${stamps.join("\n")}\ndone`);
    else setTimeout(next, began + stamps.length * interval - performance.now());
  };
  next();
}

readline.createInterface({ input: process.stdin }).on("line", (line) => {
  const [, interval, count] = line.split(" ").map(Number);
  run(interval, count);
});
