"""A proxy that lets some transports of the stream not through, in the ways in which proxies and firewalls do that."""

import contextlib
import re
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Transport: TypeAlias = Literal["websocket", "sse", "poll"]
# - forbid: the proxy answers with a page of its own
# - strip: the request goes on without `Upgrade`
# - hang: no answer comes
# - mute: the head of the answer passes, and nothing after it
# - cut: the head of the answer passes, and the connection ends
# - drop: the connection ends without an answer
Fault: TypeAlias = Literal["forbid", "strip", "hang", "mute", "cut", "drop"]

FORBIDDEN = (
    b"HTTP/1.1 403 Forbidden\r\nContent-Type: text/html\r\nContent-Length: 33\r\nConnection: close\r\n\r\n"
    b"<h1>Blocked by your company.</h1>"
)


@dataclass
class BadProxy:
    """Passes on what clients of 127.0.0.1:`port` and the server at `target` say, but for `faults` of new requests.

    `seen` has the transport of each request for the stream, in order.
    """

    target: int
    faults: dict[str, Fault] = field(default_factory=dict)
    seen: list[Transport] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._sockets: list[tuple[socket.socket, Transport | None]] = []
        threading.Thread(target=self._accept, name="bad proxy", daemon=True).start()

    @property
    def http_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def end(self, transport: Transport | None = None) -> None:
        """End all connections of a transport, or all."""
        for each, its in tuple(self._sockets):
            if transport in (None, its):
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.end()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            request = _head(client)
            transport = _transport(request)
            self._sockets.append((client, transport))
            fault = None
            if transport is not None:
                self.seen.append(transport)
                fault = self.faults.get(transport)
            if fault == "forbid":
                client.sendall(FORBIDDEN)
            elif fault == "hang":
                client.recv(1)
            elif fault != "drop":
                self._pass_on(request, client, transport, fault)

    def _pass_on(self, request: bytes, client: socket.socket, transport: Transport | None, fault: Fault | None) -> None:
        with socket.create_connection(("127.0.0.1", self.target)) as server:
            self._sockets.append((server, transport))
            if fault == "strip":
                request = re.sub(rb"\r\nUpgrade:[^\r]*", b"", request)
            if fault == "strip" or transport != "websocket":
                # A browser would use the connection for its next request, too.
                request = re.sub(rb"\r\nConnection:[^\r]*", b"\r\nConnection: close", request)
            server.sendall(request)
            threading.Thread(target=_pump, args=(client, server), daemon=True).start()
            if fault in ("mute", "cut"):
                client.sendall(_head(server))
            if fault == "cut":
                client.shutdown(socket.SHUT_RDWR)
            else:
                _pump(server, None if fault == "mute" else client)


def _transport(request: bytes) -> Transport | None:
    if b"\r\nupgrade: websocket" in request.lower():
        return "websocket"
    if b"/stream/" in request.partition(b"\r\n")[0]:
        return "sse"
    return "poll" if b"wait=" in request.partition(b"\r\n")[0] else None


def _head(source: socket.socket) -> bytes:
    """A message's head, and no more of it."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = source.recv(1)
        if not byte:
            raise ConnectionError("ended within a head")
        head += byte
    return head


def _pump(source: socket.socket, sink: socket.socket | None) -> None:
    """Pass on, or swallow, what comes until one side ends; then end both."""
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            if sink is not None:
                sink.sendall(data)
    for each in (source, sink):
        if each is not None:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def bad_proxy(target: int) -> Iterator[BadProxy]:
    """A proxy until the end of the block."""
    proxy = BadProxy(target)
    try:
        yield proxy
    finally:
        proxy.close()
