// A client as somebody would write it who knows only the owner's document: no subprotocol, no ids, three message
// types, and whatever else arrives is logged and ignored.
class PriceWebSocketClient {
  constructor(url) {
    this.url = url;
    this.reconnectAttempts = 0;
    this.maxReconnectAttempts = 5;
    this.reconnectDelay = 1000;
    this.updates = [];
    this.pongs = 0;
    this.ignored = [];
    this.opened = 0;
    this.closedByUser = false;
  }

  connect() {
    this.ws = new WebSocket(this.url);
    this.ws.onopen = () => {
      this.opened += 1;
      this.reconnectAttempts = 0;
      this.subscribeToMetals(["gold", "silver", "platinum", "palladium"]);
    };
    this.ws.onmessage = (event) => this.handleMessage(JSON.parse(event.data));
    this.ws.onclose = () => this.reconnect();
    this.ws.onerror = () => {};
  }

  subscribeToMetals(metals) {
    this.send({ type: "subscribe", metals });
  }

  send(message) {
    if (this.ws.readyState === WebSocket.OPEN) this.ws.send(JSON.stringify(message));
  }

  handleMessage(message) {
    switch (message.type) {
      case "priceUpdate":
        // The document's hook replaces its state by `data`, and prints `changePercent.toFixed(2)` of each change.
        this.prices = message.data;
        this.updates.push(message);
        message.changes.forEach((change) => change.changePercent.toFixed(2));
        break;
      case "pong":
        this.pongs += 1;
        break;
      default:
        this.ignored.push(message.type);
    }
  }

  reconnect() {
    if (this.closedByUser || this.reconnectAttempts >= this.maxReconnectAttempts) return;
    this.reconnectAttempts += 1;
    setTimeout(() => this.connect(), this.reconnectDelay * 2 ** (this.reconnectAttempts - 1));
  }

  close() {
    this.closedByUser = true;
    this.ws.close();
  }
}
window.PriceWebSocketClient = PriceWebSocketClient;
