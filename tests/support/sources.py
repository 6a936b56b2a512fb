"""Price sources for tests: gold-api.com as a real HTTP server, and servers that break HTTP itself."""

import contextlib
import datetime as dt
import json
import re
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

PER_OUNCE = {"XAU": 411227.25, "XAG": 5150.5, "XPT": 152400.0, "XPD": 133745.125}

Answer: TypeAlias = Callable[[str], Response]  # what is said of a symbol
Behaviour: TypeAlias = Callable[[socket.socket, threading.Event], None]  # of a connection, until the event


def said(text: str | bytes, *, status: int = 200, content_type: str = "application/json", **headers: str) -> Answer:
    """The same for each symbol."""
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda symbol: Response(text, status=status, content_type=content_type, headers=fields)


def quoting(at: dt.datetime, **changed: Any) -> Answer:
    """A good answer of gold-api.com, with some fields changed, or left out where they are `...`."""

    def answer(symbol: str) -> Response:
        fields = {
            "currency": "INR",
            "currencySymbol": "₹",
            "exchangeRate": 95.96,
            "name": symbol,
            "price": PER_OUNCE[symbol],
            "symbol": symbol,
            "updatedAt": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "updatedAtReadable": "a few seconds ago",
        } | changed
        body = json.dumps({name: value for name, value in fields.items() if value is not ...})
        return Response(body, content_type="application/json")

    return answer


class Source:
    """gold-api.com as a real server: `answer` may be changed, `requests` has each one's symbol and time."""

    def __init__(self, server: HTTPServer, answer: Answer) -> None:
        self.url = server.url_for("").rstrip("/")
        self.answer = answer
        self.requests: list[tuple[str, float]] = []
        server.expect_request(re.compile(r"/price/[A-Z]{3}/INR")).respond_with_handler(self._respond)

    def _respond(self, request: Request) -> Response:
        symbol = request.path.split("/")[2]
        self.requests.append((symbol, time.monotonic()))
        return self.answer(symbol)

    @property
    def symbols_requested(self) -> list[str]:
        return sorted(symbol for symbol, _ in self.requests)


@contextlib.contextmanager
def raw_source(behave: Behaviour) -> Iterator[str]:
    """Run a raw server: `behave` handles each connection after its request was read. Yields its address."""
    closing = threading.Event()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(OSError):  # the client has left
                self.request.recv(65536)
                behave(self.request, closing)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            closing.set()
            server.shutdown()
            thread.join()


def sends(*parts: bytes) -> Behaviour:
    """Send these bytes and close."""

    def behave(connection: socket.socket, closing: threading.Event) -> None:
        for part in parts:
            connection.sendall(part)

    return behave


def drips(head: bytes, drop: bytes, every: float = 0.01) -> Behaviour:
    """Send `head`, and then one byte at a time without end."""

    def behave(connection: socket.socket, closing: threading.Event) -> None:
        connection.sendall(head)
        while not closing.wait(every):
            connection.sendall(drop)

    return behave


def hangs(connection: socket.socket, closing: threading.Event) -> None:
    """Take the request and say nothing."""
    closing.wait()
