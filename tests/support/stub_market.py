"""A price server's knowledge and answers by the contract, over all three transports, for a StubStream."""

import contextlib
import itertools
import json
import threading
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from websockets.exceptions import ConnectionClosed

from tests.support.stub_stream import StubConnection, StubRequest, move, price_update, quote, status, subscribed

METALS = ("gold", "silver", "platinum", "palladium")
LOOK = 0.1  # seconds between looks at whether a client that waits has gone


@dataclass
class _Follower:
    """A client of the WebSocket or of events: what it wants, and the last `seq` that it was sent.

    Who sends to it has its `turn`.
    """

    send: Callable[[dict[str, Any]], None]
    metals: Collection[str] = METALS
    sent: int = 0
    has_chosen: bool = False
    turn: threading.Lock = field(default_factory=threading.Lock)


@dataclass
class Market:
    """Publications of prices, of which each is a significant move; `heartbeat` is the seconds of silence of an event
    stream after which it has a heartbeat. Its methods are the answers of a `StubStream`.
    """

    epoch: str = "first"
    heartbeat: float = 15.0
    seq: int = 0
    prices: dict[str, float] = field(default_factory=dict)
    _log: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    _news: threading.Condition = field(default_factory=threading.Condition)

    def publish(self, metal: str = "gold") -> float:
        """Publish a metal's next price, which no price before was; returns it."""
        with self._news:
            self.seq += 1
            old = self.prices.get(metal, 99.0)
            self.prices[metal] = float(100 + self.seq)
            self._log.append((self.seq, move(metal, old, self.prices[metal])))
            self._news.notify_all()
            return self.prices[metal]

    @contextlib.contextmanager
    def publishing(self, every: float = 0.01) -> Iterator[None]:
        """Publish again and again, until the end of the block."""
        over = threading.Event()

        def publish() -> None:
            for metal in itertools.cycle(METALS[:2]):
                if over.wait(every):
                    return
                self.publish(metal)

        thread = threading.Thread(target=publish, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    @property
    def moves(self) -> list[float]:
        """The new prices of all moves."""
        return [move["newPrice"] for _, move in self._log]

    # --- what a StubStream serves ----------------------------------------------------------------------------------

    def websocket(self, connection: StubConnection) -> None:
        """Serve a WebSocket until it ends."""
        follower = _Follower(connection.send)
        with contextlib.suppress(ConnectionClosed):
            self._resume(follower, None)
            connection.send(status())
        pusher = threading.Thread(target=self._push, args=(follower, connection.has_closed), daemon=True)
        pusher.start()
        connection.listen(lambda message: self._answer(follower, message))
        pusher.join()

    def stream(self, request: StubRequest) -> None:
        """Serve an event stream until it ends."""
        follower = _Follower(request.send_event, _metals(request))
        request.begin("text/event-stream", {})
        epoch, _, since = request.headers.get("Last-Event-ID", "").rpartition(":")
        request.write(b"retry: 3000\n\n")
        request.send_event(status())
        self._resume(follower, (epoch, int(since)) if since else None)
        self._push(follower, request.has_gone, beats=True)

    def poll(self, request: StubRequest) -> None:
        """Answer a waiting poll."""
        asked = parse_qs(urlsplit(request.path).query)
        metals = _metals(request)
        position = (asked["epoch"][0], int(asked["since"][0])) if "since" in asked else None
        deadline = time.monotonic() + float(asked["wait"][0])
        with self._news:
            state = self._state(metals)
            known = request.headers.get("If-None-Match")
            update = self._update(metals, position)
            if update is None and known not in (None, state):
                update = self._snapshot(metals)
            while update is None and time.monotonic() < deadline and not request.has_gone():
                self._news.wait(LOOK)
                update = self._update(metals, position)
            state = self._state(metals)
        if update is None:
            request.answer(304 if known else 204, {"ETag": state})
        else:
            body = json.dumps(update | {"status": status()})
            request.answer(200, {"ETag": state, "Content-Type": "application/json"}, body.encode())

    # --- what it says ----------------------------------------------------------------------------------------------

    def _update(self, metals: Collection[str], position: tuple[str, int] | None) -> dict[str, Any] | None:
        """The messages for a client at a position: all that it missed, a snapshot, or nothing."""
        snapshot = self._snapshot(metals)
        if position is None or position[0] != self.epoch or position[1] > self.seq:
            return snapshot
        missed = [move for seq, move in self._log if seq > position[1] and move["metal"] in metals]
        return snapshot | {"snapshot": False, "changes": missed} if missed else None

    def _snapshot(self, metals: Collection[str]) -> dict[str, Any]:
        now = {metal: quote(price) for metal, price in self.prices.items() if metal in metals}
        return price_update(self.seq, **now, snapshot=True, epoch=self.epoch)

    def _resume(self, follower: _Follower, position: tuple[str, int] | None) -> None:
        with self._news:
            update = self._update(follower.metals, position)
            follower.sent = self.seq
        if update is not None:
            follower.send(update)

    def _answer(self, follower: _Follower, message: dict[str, Any]) -> None:
        with follower.turn:
            if message["type"] == "ping":
                follower.send({"type": "pong"})
            elif message["type"] == "subscribe":
                wanted = METALS if "*" in message["metals"] else message["metals"]
                follower.metals = {*wanted, *(follower.metals if follower.has_chosen else ())}
                follower.has_chosen = True
                follower.send(
                    subscribed(*follower.metals, id=message.get("id")) | {"heartbeat": message.get("heartbeat")}
                )
                self._resume(follower, (message["epoch"], message["since"]) if "since" in message else None)
            elif message["type"] == "unsubscribe":
                gone = METALS if "*" in message["metals"] else message["metals"]
                follower.metals = set(follower.metals) - set(gone)

    def _push(self, follower: _Follower, has_gone: Callable[[], bool], *, beats: bool = False) -> None:
        """Send news, and after a silence a heartbeat, until the client has gone."""
        heard = time.monotonic()
        while not has_gone():
            with self._news:
                self._news.wait_for(lambda: self.seq > follower.sent, LOOK)
            with follower.turn:
                with self._news:
                    message = self._update(follower.metals, (self.epoch, follower.sent))
                    follower.sent = self.seq
                if message is None and beats and time.monotonic() - heard >= self.heartbeat:
                    message = beat(follower.sent, self.epoch)
                if message is not None:
                    heard = time.monotonic()
                    try:
                        follower.send(message)
                    except (OSError, ConnectionClosed):
                        return

    def _state(self, metals: Collection[str]) -> str:
        newest = max((seq for seq, move in self._log if move["metal"] in metals), default=0)
        return f'W/"{newest} {" ".join(sorted(metals))}"'


@pytest.fixture
def market() -> Market:
    """A market with one publication."""
    market = Market()
    market.publish()
    return market


def beat(seq: int, epoch: str = "first") -> dict[str, Any]:
    """A heartbeat."""
    return {"type": "heartbeat", "epoch": epoch, "seq": seq, "feed": "live", "timestamp": "2026-11-01T18:31:00.000Z"}


def _metals(request: StubRequest) -> Collection[str]:
    asked = parse_qs(urlsplit(request.path).query)
    return asked["metals"][0].split(",") if "metals" in asked else METALS
