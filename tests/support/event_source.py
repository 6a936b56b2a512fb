"""A client of Server-Sent Events, and its parser, written from the HTML standard (9.2.6) and from nothing of ours."""

import http.client
import json
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

from tests.support.server import Server

PATH = "/api/v1/stream/"


@dataclass(frozen=True)
class Event:
    """An event as a page's listener gets it."""

    type: str
    data: str
    last_event_id: str

    @property
    def message(self) -> Any:
        return json.loads(self.data)


class EventParser:
    """Makes events of a stream's bytes, however these are cut. `retry` is the reconnection time, as last set."""

    def __init__(self) -> None:
        self.last_event_id = ""
        self.retry: int | None = None
        self._rest = b""
        self._is_first = True
        self._type, self._data, self._id = "", "", ""

    def feed(self, data: bytes) -> Iterator[Event]:
        """The events that these bytes complete."""
        self._rest += data
        while True:
            # A line ends with CRLF, LF or CR; a CR at the end may have its LF still to come.
            ends = [at for at in (self._rest.find(b"\r"), self._rest.find(b"\n")) if at >= 0]
            if not ends or (self._rest[end := min(ends)] == 13 and end == len(self._rest) - 1):
                return
            length = 2 if self._rest[end : end + 2] == b"\r\n" else 1
            line, self._rest = self._rest[:end].decode(errors="replace"), self._rest[end + length :]
            if self._is_first:
                self._is_first = False
                line = line.removeprefix("\ufeff")
            if line:
                self._process(line)
            elif (event := self._dispatch()) is not None:
                yield event

    def _process(self, line: str) -> None:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match name:
            case "event":
                self._type = value
            case "data":
                self._data += value + "\n"
            case "id" if "\0" not in value:
                self._id = value
            case "retry" if value and set(value) <= set("0123456789"):
                self.retry = int(value)

    def _dispatch(self) -> Event | None:
        self.last_event_id = self._id
        kind, data = self._type, self._data
        self._type = self._data = ""
        return Event(kind or "message", data.removesuffix("\n"), self.last_event_id) if data else None


class EventClient:
    """A client that reads the stream of a server, or by a connection; `query` and `prefix` are of the address."""

    def __init__(
        self, server: Server | http.client.HTTPConnection, query: str = "", prefix: str = "", **headers: str
    ) -> None:
        self.parser = EventParser()
        if isinstance(server, Server):
            server = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        self._connection = server
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self._connection.request("GET", f"{prefix}{PATH}?{query}".rstrip("?"), headers=named)
        self.response = self._connection.getresponse()
        self._events: list[Event] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        self.response.close()
        self._connection.close()

    def next(self, kind: str | None = None) -> Event:
        """The next event, or the next one of a kind. Raises EOFError at the end of the stream."""
        while True:
            while not self._events:
                data = self.response.read1()
                if not data:
                    raise EOFError
                self._events.extend(self.parser.feed(data))
            event = self._events.pop(0)
            if kind in (None, event.type):
                return event

    def rest(self, seconds: float = 20) -> list[Event]:
        """All events until the stream ends, which it has to do within so many seconds."""
        deadline = time.monotonic() + seconds
        events = []
        try:
            while time.monotonic() < deadline:
                events.append(self.next())
        except EOFError:
            return events
        raise AssertionError(f"the stream did not end within {seconds} s")


def requested(port: int, head: str, *, receive_buffer: int | None = None) -> socket.socket:
    """A socket with a request sent, of which nothing has been read."""
    peer = socket.socket()
    if receive_buffer is not None:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    peer.settimeout(20)
    peer.connect(("127.0.0.1", port))
    peer.sendall(head.replace("\n", "\r\n").encode("latin-1"))
    return peer
