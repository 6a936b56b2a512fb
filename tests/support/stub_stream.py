"""A price server whose every message a test sends itself, for real browsers: pages, stream and its HTTP on one port."""

import contextlib
import json
import logging
import mimetypes
import queue
import select
import threading
from collections.abc import Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from socket import MSG_PEEK
from typing import Any, Protocol

from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import Server, ServerConnection, serve
from websockets.typing import Subprotocol

from tests.support.product import CLIENT, ROOT

EVENTS_PATH = "/api/v1/stream/"
POLL_PATH = "/api/v1/prices/"
# Where the files below each address are; the first that is there counts.
SERVED = [("/static/", folder) for folder in (ROOT / "clients/js", *ROOT.glob("*/static"))] + [("/client/v1/", CLIENT)]
TIMEOUT = 10.0  # seconds for a browser to do what a test waits for

# A browser opens connections ahead of need and drops them: no news to a test's reader.
quiet = logging.getLogger("tests.support.stub_stream")
quiet.propagate = False
quiet.addHandler(logging.NullHandler())


class StubConnection:
    """One browser's connection; `offered` are its subprotocols, `received` holds its messages in order.

    `heartbeat` is the one that it requested last: each `subscribe` has it, so `received` goes without.
    """

    def __init__(self, connection: ServerConnection) -> None:
        self.received: list[dict[str, Any]] = []
        self.subprotocol = connection.subprotocol
        self.offered = _offered(connection.request)
        self.close_code: int | None = None
        self.heartbeat: int | None = None
        self._connection = connection
        self._news = threading.Condition()
        self._closed = False

    def send(self, *messages: Mapping[str, Any] | str) -> None:
        """Send messages; a string goes as it is."""
        for message in messages:
            self._connection.send(message if isinstance(message, str) else json.dumps(message))

    def close(self, code: int, reason: str = "") -> None:
        self._connection.close(code, reason)

    def wait_for(self, type: str, count: int = 1) -> dict[str, Any]:
        """The `count`-th message of this type, waited for."""
        self._wait(lambda: len(self.all(type)) >= count)
        return self.all(type)[count - 1]

    def wait_until_closed(self) -> None:
        self._wait(lambda: self._closed)

    def all(self, type: str) -> list[dict[str, Any]]:
        """The messages of this type so far."""
        return [message for message in self.received if message["type"] == type]

    def has_closed(self) -> bool:
        return self._closed

    def listen(self, answer: Callable[[dict[str, Any]], None] = lambda message: None) -> None:
        """Take in and answer messages until the connection ends."""
        try:
            for text in self._connection:
                message = json.loads(text)
                answer(message)
                with self._news:
                    self.heartbeat = message.pop("heartbeat", self.heartbeat)
                    self.received.append(message)
                    self._news.notify_all()
        except ConnectionClosed:
            pass
        with self._news:
            self._closed = True
            self.close_code = self._connection.close_code
            self._news.notify_all()

    def _wait(self, condition: Callable[[], bool]) -> None:
        with self._news:
            assert self._news.wait_for(condition, TIMEOUT), f"in vain; the browser sent {self.received}"


class StubRequest:
    """One request of a browser by HTTP, which is answered as a whole or as an event stream."""

    def __init__(self, connection: ServerConnection, request: Request) -> None:
        self.path = request.path
        self.headers = request.headers
        self._socket = connection.socket

    def answer(self, status: int, headers: Mapping[str, str], body: bytes = b"") -> None:
        """Send a whole answer."""
        length = {} if status in (204, 304) else {"Content-Length": str(len(body))}
        self._send_head(status, {**length, **headers})
        self.write(body)

    def begin(self, content_type: str, headers: Mapping[str, str]) -> None:
        """Send the head of an answer that ends with the connection."""
        self._send_head(200, {"Content-Type": content_type, "Cache-Control": "no-store", **headers})

    def send_event(self, message: Mapping[str, Any]) -> None:
        """Send a message as an event."""
        position = f"id: {message['epoch']}:{message['seq']}\n" if message["type"] == "priceUpdate" else ""
        self.write(f"{position}event: {message['type']}\ndata: {json.dumps(message)}\n\n".encode())

    def write(self, data: bytes) -> None:
        self._socket.sendall(data)

    def has_gone(self) -> bool:
        """Return True once the browser has closed the connection."""
        try:
            return bool(select.select([self._socket], [], [], 0)[0]) and not self._socket.recv(1, MSG_PEEK)
        except (OSError, ValueError):
            return True

    def _send_head(self, status: int, headers: Mapping[str, str]) -> None:
        lines = [f"{name}: {value}" for name, value in {**headers, "Connection": "close"}.items()]
        self.write("\r\n".join([f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", *lines, "", ""]).encode())


class Autopilot(Protocol):
    """Serves clients by itself, in place of a test."""

    def websocket(self, connection: StubConnection) -> None: ...

    def stream(self, request: StubRequest) -> None: ...

    def poll(self, request: StubRequest) -> None: ...


class StubStream:
    """A context manager; `pages` gives the text of an HTML page by its path, beside the project's own files.

    Every new connection is sent what `greeting` holds then; or `autopilot` serves all clients, of all transports. The
    server knows nothing of events and polls without one, as an older one does.
    """

    def __init__(
        self, pages: Mapping[str, Callable[[], str]] | None = None, autopilot: Autopilot | None = None
    ) -> None:
        self.greeting: list[Mapping[str, Any]] = []
        self.requests: list[StubRequest] = []
        self.pages = dict(pages or {})
        self._autopilot = autopilot
        self._connections: queue.Queue[StubConnection] = queue.Queue()
        self._port = 0
        self._server: Server | None = None

    def __enter__(self) -> "StubStream":
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    @property
    def http_url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def port(self) -> int:
        return self._port

    def start(self) -> None:
        """Listen; after a `stop` on the same port."""
        self._server = serve(
            self._serve,
            "127.0.0.1",
            self._port,
            process_request=self._answer,
            subprotocols=[Subprotocol("swarnaai-v1")],
            ping_interval=None,
            # On a busy machine a browser takes its time to send a request on a connection that it opened.
            open_timeout=TIMEOUT,
            close_timeout=1,
            logger=quiet,
        )
        self._port = self._server.socket.getsockname()[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """End every connection (1001) and refuse new ones. Harmless when stopped."""
        if self._server is not None:
            self._server.shutdown()
            self._server = None

    def connection(self) -> StubConnection:
        """The next connection that a browser opens, waited for."""
        return self._connections.get(timeout=TIMEOUT)

    def has_connection(self) -> bool:
        """Return True if a browser has opened another connection that the test has not taken."""
        return not self._connections.empty()

    def _serve(self, socket: ServerConnection) -> None:
        connection = StubConnection(socket)
        connection.send(*self.greeting)
        self._connections.put(connection)
        if self._autopilot is None:
            connection.listen()
        else:
            self._autopilot.websocket(connection)

    def _answer(self, connection: ServerConnection, request: Request) -> Response | None:
        if self._server is None:  # by a connection that was opened before the stop
            connection.close_socket()
            return None
        if request.headers.get("Upgrade") == "websocket":
            return None
        path = request.path.partition("?")[0]
        if path in (EVENTS_PATH, POLL_PATH):
            return self._answer_client(connection, StubRequest(connection, request))
        if path in self.pages:
            # As strict as the site may become: the board must do without inline scripts and styles.
            return _response(
                self.pages[path]().encode(), "text/html", {"Content-Security-Policy": "default-src 'self'"}
            )
        files = (folder / path.removeprefix(below) for below, folder in SERVED if path.startswith(below))
        if file := next(filter(Path.is_file, files), None):
            return _response(file.read_bytes(), mimetypes.guess_type(file.name)[0] or "text/plain", {})
        return connection.respond(HTTPStatus.NOT_FOUND, f"no {path}\n")

    def _answer_client(self, connection: ServerConnection, request: StubRequest) -> Response | None:
        self.requests.append(request)
        if self._autopilot is None:
            return connection.respond(HTTPStatus.NOT_FOUND, f"no {request.path}\n")
        with contextlib.suppress(OSError):
            (self._autopilot.stream if request.path.startswith(EVENTS_PATH) else self._autopilot.poll)(request)
        connection.close_socket()  # with it, the handshake is over
        return None


def _offered(request: Request | None) -> list[str]:
    """The subprotocols that a browser offers, in its order."""
    assert request is not None
    return [name.strip() for name in request.headers["Sec-WebSocket-Protocol"].split(",")]


def _response(body: bytes, content_type: str, headers: Mapping[str, str]) -> Response:
    about = {"Content-Type": f"{content_type}; charset=utf-8", "Content-Length": str(len(body)), "Connection": "close"}
    return Response(HTTPStatus.OK, "OK", Headers({**about, **headers}), body)


# --- what such a server says ---------------------------------------------------------------------------------------


def quote(price: float, **fields: Any) -> dict[str, Any]:
    """A metal's entry in `data`, quoted at the start of 2026-11-02 in India unless said otherwise."""
    change = fields.get("change", 20.21)
    return {
        "price": price,
        "change": change,
        "changePercent": 0.15,
        "high": price + 60,
        "low": price - 100,
        "open": price - 40,
        "previousClose": round(price - change, 4),
        "timestamp": "2026-11-01T18:30:00.000Z",
        "source": "gold_api_com",
        "stale": False,
    } | fields


def price_update(seq: int, **quotes: Any) -> dict[str, Any]:
    """A priceUpdate of these metals; other arguments replace its top-level fields."""
    top_level = {"changes", "timestamp", "snapshot", "currency", "epoch"} & quotes.keys()
    return {
        "type": "priceUpdate",
        "data": {metal: quotes[metal] for metal in quotes if metal not in top_level},
        "changes": [],
        "timestamp": "2026-11-01T18:30:01.000Z",
        "seq": seq,
        "snapshot": False,
        "currency": "INR",
        "unit": "gram",
    } | {name: quotes[name] for name in top_level}


def move(metal: str, old: float, new: float) -> dict[str, Any]:
    """An entry in `changes`."""
    percent = round((new - old) / old * 100, 2)
    direction = "up" if new > old else "down"
    return {"metal": metal, "oldPrice": old, "newPrice": new, "changePercent": percent, "direction": direction}


def subscribed(*metals: str, interval: int | None = None, id: Any = None) -> dict[str, Any]:
    """The answer to a subscribe."""
    return {"type": "subscribed", "metals": list(metals), "interval": interval} | ({"id": id} if id else {})


def status(feed: str = "live", market: str = "open", **fields: Any) -> dict[str, Any]:
    """A status message, with this feed for all metals; other arguments are added to its fields."""
    metals = {} if feed == "down" else dict.fromkeys(("gold", "silver", "platinum", "palladium"), feed)
    return {"type": "status", "feed": feed, "market": market, "source": "gold_api_com", "metals": metals} | fields
