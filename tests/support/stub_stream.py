"""A price server whose every message a test sends itself, for real browsers: pages and stream on one port."""

import json
import logging
import mimetypes
import queue
import threading
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import Server, ServerConnection, serve
from websockets.typing import Subprotocol

from tests.support.product import ROOT

STATIC_URL = "/static/streaming/"
STATIC_FILES = ROOT / "streaming/static/streaming"
TIMEOUT = 10.0  # seconds for a browser to do what a test waits for

# A browser opens connections ahead of need and drops them: no news to a test's reader.
quiet = logging.getLogger("tests.support.stub_stream")
quiet.propagate = False
quiet.addHandler(logging.NullHandler())


class StubConnection:
    """One browser's connection; `offered` are its subprotocols, `received` holds its messages in order."""

    def __init__(self, connection: ServerConnection) -> None:
        self.received: list[dict[str, Any]] = []
        self.subprotocol = connection.subprotocol
        self.offered = _offered(connection.request)
        self.close_code: int | None = None
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

    def listen(self) -> None:
        """Take in messages until the connection ends."""
        try:
            for text in self._connection:
                with self._news:
                    self.received.append(json.loads(text))
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


class StubStream:
    """A context manager; `pages` gives the text of an HTML page by its path, beside the project's own files.

    Every new connection is sent what `greeting` holds then.
    """

    def __init__(self, pages: Mapping[str, Callable[[], str]] | None = None) -> None:
        self.greeting: list[Mapping[str, Any]] = []
        self._pages = pages or {}
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

    def start(self) -> None:
        """Listen; after a `stop` on the same port."""
        self._server = serve(
            self._serve,
            "127.0.0.1",
            self._port,
            process_request=self._page,
            subprotocols=[Subprotocol("swarnaai-v1")],
            ping_interval=None,
            open_timeout=1,
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
        connection.listen()

    def _page(self, connection: ServerConnection, request: Request) -> Response | None:
        if request.headers.get("Upgrade") == "websocket":
            return None
        path = request.path.partition("?")[0]
        if path in self._pages:
            # As strict as the site may become: the board must do without inline scripts and styles.
            return _response(
                self._pages[path]().encode(), "text/html", {"Content-Security-Policy": "default-src 'self'"}
            )
        file = STATIC_FILES / path.removeprefix(STATIC_URL)
        if path.startswith(STATIC_URL) and file.is_file():
            return _response(file.read_bytes(), mimetypes.guess_type(file.name)[0] or "text/plain", {})
        return connection.respond(HTTPStatus.NOT_FOUND, f"no {path}\n")


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


def subscribed(*metals: str, interval: int | None = None, id: str | None = None) -> dict[str, Any]:
    """The answer to a subscribe."""
    return {"type": "subscribed", "metals": list(metals), "interval": interval} | ({"id": id} if id else {})


def status(feed: str = "live", market: str = "open", **fields: Any) -> dict[str, Any]:
    """A status message, with this feed for all metals; other arguments are added to its fields."""
    metals = {} if feed == "down" else dict.fromkeys(("gold", "silver", "platinum", "palladium"), feed)
    return {"type": "status", "feed": feed, "market": market, "source": "gold_api_com", "metals": metals} | fields
