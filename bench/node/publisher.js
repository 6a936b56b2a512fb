// The publications of a Node server, from a timer: no database, no Redis.
//
// Standard input takes `publish INTERVAL-MS COUNT`; standard output says, for each publication, its seq and the
// CLOCK_MONOTONIC nanosecond before it was built, and then `done`.
const fs = require("node:fs");
const readline = require("node:readline");

class Publisher {
  // `payloads` is a file of recorded price updates, one a line; `broadcast` is called with each publication.
  constructor(payloads, broadcast) {
    this.recorded = fs.readFileSync(payloads, "utf8").trim().split("\n").map((line) => JSON.parse(line));
    this.broadcast = broadcast;
    this.seq = 0;
    this.current = { ...this.recorded[0], seq: 0 };
    readline.createInterface({ input: process.stdin }).on("line", (line) => {
      const [, interval, count] = line.split(" ").map(Number);
      this.run(interval, count);
    });
  }

  publish() {
    const at = process.hrtime.bigint();
    this.seq += 1;
    this.current = { ...this.recorded[this.seq % this.recorded.length], seq: this.seq };
    this.broadcast(this.current);
    return `${this.seq} ${at}`;
  }

  // Publish by absolute deadlines. The times are printed at the end, when that delays no publication.
  run(interval, count) {
    const began = performance.now();
    const stamps = [];
    const next = () => {
      stamps.push(this.publish());
      if (stamps.length === count) console.log(`${stamps.join("\n")}\ndone`);
      else setTimeout(next, began + stamps.length * interval - performance.now());
    };
    next();
  }
}

module.exports = { Publisher };
