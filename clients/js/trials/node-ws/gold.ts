import { SwarnaClient } from "swarna-client";
import { WebSocket } from "ws";

const client = new SwarnaClient("ws://127.0.0.1:3001/", { WebSocket, transports: ["websocket"] });
client.subscribe(["gold"]);
client.addEventListener("prices", ({ detail: { data, message } }) => {
  console.log(data.gold?.price, message.currency, "per", message.unit);
});
client.connect();
