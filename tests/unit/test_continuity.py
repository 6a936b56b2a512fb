"""A client that never went away gets each move of its metals once, in order, whatever falls between two updates.

Heartbeats change nothing of that, and tell of no update that the client was not sent.
"""

import asyncio
import datetime as dt
import inspect
import json
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.clock import Reading
from prices.domain.calendar import Calendar
from prices.domain.positions import Position
from prices.domain.quotes import Change, DayFigures, Metal, PriceKind, Publication, PublishedQuote
from prices.publishing.snapshot import Snapshot
from streaming import publish
from streaming.connection import Connection
from streaming.engine.frames import PLAIN, Frame
from streaming.engine.reasons import CloseReason
from streaming.engine.sinks import Listener
from streaming.feed import PriceFeed
from streaming.hub import Hub
from streaming.metrics import Metrics
from streaming.protocol import EVERY_METAL, METALS
from streaming.publication_log import PublicationMessage
from tests.support.quotes import NOW, quote

HOUR = dt.timedelta(hours=1)
HUNDRED = Decimal(100)
GOLD, SILVER = frozenset({"gold"}), frozenset({"silver"})


class Sink:
    """The messages of one client, which takes none while it is `paused`. Its socket can be sent to directly."""

    encoding = PLAIN

    def __init__(self) -> None:
        self.writable = True
        self.dropped = ""
        self.listener: Listener | None = None
        self.paused = False
        self.updates: list[dict[str, Any]] = []
        self.heartbeats: list[dict[str, Any]] = []
        # Since when it wants each metal, as a `seq`; and that at each update.
        self.began: dict[str, int] = {}
        self.began_then: list[dict[str, int]] = []
        # What the client had seen before each update: the last one, or what it said itself.
        self.seen_before: list[int] = []
        self.seen = 0

    def write(self, frame: Frame) -> int:
        self.receive(frame.payload)
        self.writable = not self.paused
        return len(frame.plain)

    @property
    def direct(self) -> Callable[[bytes], int] | None:
        return self.send if self.writable else None

    def send(self, data: bytes) -> int:
        """Take all but a byte while paused."""
        assert self.writable, "sent past what waits"
        for payload in payloads_of(data):
            self.receive(payload)
        return len(data) - self.paused

    def keep(self, data: bytes, sent: int) -> None:
        assert (sent, self.paused) == (len(data) - 1, True)
        self.writable = False

    def receive(self, payload: bytes) -> None:
        message = json.loads(payload)
        if message["type"] == "priceUpdate":
            self.updates.append(message)
            self.seen_before.append(self.seen)
            self.began_then.append(self.began)
            self.seen = message["seq"]
        elif message["type"] == "heartbeat":
            assert self.writable, "a heartbeat before what waits"
            newest = self.updates[-1] if self.updates else {}
            assert (message.get("epoch"), message.get("seq")) == (newest.get("epoch"), newest.get("seq"))
            self.heartbeats.append(message)

    def stop(self) -> None:
        self.listener = None

    def drain(self) -> None:
        self.paused, self.writable = False, True
        if self.listener is not None:
            self.listener.flush()


def payloads_of(data: bytes) -> Iterator[bytes]:
    """The payloads of frames that were sent together."""
    while data:
        start, length = 2, data[1]
        if length > 125:
            start = 4 if length == 126 else 10
            length = int.from_bytes(data[2:start], "big")
        yield data[start : start + length]
        data = data[start + length :]


class Client:
    """A client, and the moves that the database holds of its metals since it was first sent them."""

    def __init__(self, world: "World", since: int | None = None, heartbeat_ms: int = 0) -> None:
        self.world = world
        self.sink = Sink()
        self.began = dict.fromkeys(EVERY_METAL, world.hub.log.seq if since is None else since)
        self.connection: Connection = world.hub.connection(self.sink)
        world.hub.connections.apart[self.connection] = None
        self.connection.flush()
        world.hub.set_heartbeat(self.connection, heartbeat_ms)
        self.given_up: list[tuple[str, int]] = []
        if since is not None:
            self.subscribe(EVERY_METAL, since)

    def subscribe(self, metals: frozenset[str], since: int | None = None, interval_ms: int | None = None) -> None:
        known, now = self.connection.metals, self.world.hub.log.seq
        self.connection.subscribe(metals, since, interval_ms)
        self.sink.seen = since or self.sink.seen
        self.connection.answer(b'{"type": "subscribed"}')
        self.began = {metal: self.began[metal] if metal in known else now for metal in self.connection.metals}

    def unsubscribe(self, metals: frozenset[str]) -> None:
        """Give them up, when all that was due is sent."""
        self.sink.drain()
        self.world.round()
        self.connection.unsubscribe(metals)
        sent = [move for move in self.owed() if move[1] <= self.world.hub.log.seq]
        self.given_up = [move for move in sent if move[0] in metals or move in self.given_up]
        self.began = {metal: began for metal, began in self.began.items() if metal not in metals}

    @property
    def began(self) -> dict[str, int]:
        """Since when it wants each of its metals."""
        return self.sink.began

    @began.setter
    def began(self, began: dict[str, int]) -> None:
        self.sink.began = began

    def interval_ends(self) -> None:
        self.connection._not_before = float("-inf")
        self.connection.push()

    @property
    def seen(self) -> int:
        seq: int = self.sink.updates[-1]["seq"]
        return seq

    def moves(self) -> list[tuple[str, int]]:
        """The moves that it was sent, each as (metal, seq of its publication)."""
        return [
            (change["metal"], change["changePercent"]) for update in self.sink.updates for change in update["changes"]
        ]

    def merged(self) -> list[tuple[int, int]]:
        """The publications that each update counts, its newest included, and those with its metals that it holds."""
        counted = []
        for update, seen, began in zip(self.sink.updates, self.sink.seen_before, self.sink.began_then, strict=True):
            if update["snapshot"]:
                assert "conflated" not in update
                continue
            held = [
                publication
                for publication in self.world.publications[seen : update["seq"]]
                if any(publication.seq > began.get(each.quote.metal, publication.seq) for each in publication.quotes)
            ]
            counted.append((update.get("conflated", 0) + 1, len(held)))
        return counted

    def owed(self) -> list[tuple[str, int]]:
        owed = [
            (change.metal.value, publication.seq)
            for publication in self.world.publications
            for change in publication.changes
            if publication.seq > self.began.get(change.metal, publication.seq)
        ]
        return sorted(self.given_up + owed, key=lambda move: (move[1], METALS.index(move[0])))


class World:
    """A database, and a hub whose rounds and looks at the clock come when a test says so."""

    def __init__(self) -> None:
        self.now = NOW
        self.publications: list[Publication] = []
        self.has_gap = False  # True once some are not known one by one
        feed = PriceFeed(
            load=self.load,
            remember=lambda position: asyncio.sleep(0),
            layer=lambda: None,
            currency="INR",
            kinds=set(PriceKind),
            metrics=Metrics(),
        )
        self.hub = Hub(
            feed,
            clock=lambda: Reading(self.now, 0.0),
            calendar=Calendar(),
            max_connections=10,
            batch_interval=HOUR,
            restart_spread=HOUR,
            report=lambda clients: asyncio.sleep(0),
        )

    async def load(self, position: Position) -> Snapshot:
        """All that is there, but of the publications only the newest three."""
        since = position.seq
        self.has_gap |= len(self.publications) > since + 3
        return Snapshot(
            position=Position("first", len(self.publications), self.publications[-1].published_at),
            quotes={each.quote.metal: each for publication in self.publications for each in publication.quotes},
            publications=tuple(self.publications[since:][-3:]),
            moves=tuple(
                (publication.seq, change) for publication in self.publications[since:] for change in publication.changes
            ),
            moves_since=since,
            freshness_limit=dt.timedelta(minutes=5),
        )

    def write(self, *metals: str, moved: bool = True) -> Publication:
        """A publication that is in the database, and that Redis has lost."""
        seq = len(self.publications) + 1
        day = DayFigures(open=HUNDRED, high=HUNDRED, low=HUNDRED, previous_close=None)
        publication = Publication(
            epoch="first",
            seq=seq,
            published_at=self.now,
            quotes=tuple(
                PublishedQuote(seq=seq, quote=quote(metal, price="100", at=self.now), day=day) for metal in metals
            ),
            # By so many percent, so that each is known by its publication.
            changes=tuple(
                Change(metal=Metal(metal), old_price=HUNDRED, new_price=HUNDRED, change_percent=Decimal(seq))
                for metal in metals
                if moved
            ),
        )
        self.publications.append(publication)
        return publication

    async def publish(self, *metals: str, moved: bool = True) -> None:
        publication = PublicationMessage.of(self.write(*metals, moved=moved))
        await self.hub.feed.receive({"type": publish.PUBLICATION, "tick": msgspec.msgpack.encode(publication)})

    async def begin(self) -> None:
        """Two metals are quoted, and the hub has read the database."""
        self.write("gold", "silver", moved=False)
        await self.hub.feed.catch_up()

    def time_passes(self) -> None:
        """By so much that each metal without a newer quote is stale; and the clock is looked at."""
        self.now += dt.timedelta(minutes=6)
        self.check_the_clock()

    def check_the_clock(self) -> None:
        if self.hub._check_freshness():
            self.hub._broadcast()

    def silence(self) -> None:
        """So long a one that each heartbeat is due."""
        self.hub._beat(time.monotonic() + 3600)

    def round(self) -> None:
        if self.hub._next_broadcast is not None:
            self.hub._next_broadcast.cancel()
        self.hub._push_all(0)


@pytest.fixture
async def world() -> World:
    world = World()
    await world.begin()
    return world


async def test_a_metal_that_turns_stale_before_a_publication_of_another_costs_no_move(world: World) -> None:
    client = Client(world)
    world.time_passes()
    await world.publish("silver")
    world.round()
    update = client.sink.updates[-1]
    assert (update["seq"], update["snapshot"], update["data"]["gold"]["stale"]) == (2, False, True)
    assert client.moves() == [("silver", 2)]


async def test_a_slow_client_that_adds_a_metal_loses_no_move_of_the_others(world: World) -> None:
    client = Client(world)
    client.subscribe(GOLD)
    client.sink.paused = True
    await world.publish("gold")
    world.round()
    await world.publish("gold")
    client.subscribe(SILVER)
    await world.publish("gold", "silver")
    client.sink.drain()
    assert client.moves() == client.owed() == [("gold", 2), ("gold", 3), ("gold", 4), ("silver", 4)]


async def test_a_metal_that_is_added_with_since_is_shown_and_costs_no_move(world: World) -> None:
    client = Client(world)
    client.subscribe(GOLD)
    await world.publish("gold")
    client.subscribe(SILVER, since=1)
    assert client.sink.updates[-1]["data"].keys() == {"gold", "silver"}
    assert client.moves() == [("gold", 2)]


async def test_a_metal_that_is_added_with_since_is_shown_though_nothing_is_new(world: World) -> None:
    client = Client(world)
    client.subscribe(GOLD)
    client.subscribe(SILVER, since=1)
    update = client.sink.updates[-1]
    assert (update["data"].keys(), update["seq"], update["snapshot"]) == ({"gold", "silver"}, 1, True)


async def test_a_metal_that_is_added_before_the_first_reading_repeats_no_move() -> None:
    world = World()
    for _ in range(3):
        world.write("gold", "silver")
    client = Client(world, since=2)
    client.subscribe(SILVER)
    await world.hub.feed.catch_up()
    world.round()
    assert client.moves() == client.owed() == [("gold", 3), ("silver", 3)]


async def test_a_client_that_has_left_is_sent_nothing_when_its_interval_ends(world: World) -> None:
    client = Client(world)
    client.subscribe(GOLD, interval_ms=200)
    await world.publish("gold")
    world.round()
    world.hub.leave(client.connection, CloseReason.CLIENT)
    sent = len(client.sink.updates)
    await asyncio.sleep(0.3)
    assert len(client.sink.updates) == sent


async def test_a_metal_that_is_switched_off_takes_no_move_along(world: World) -> None:
    client = Client(world)
    await world.publish("gold")
    world.hub.log.relist({"silver": world.hub.log.latest["silver"]})
    world.hub._renew(EVERY_METAL)
    world.round()
    assert client.moves() == [("gold", 2)]


STEPS: dict[str, Callable[[World, list[Client]], Any]] = {
    "gold moves": lambda world, _: world.publish("gold"),
    "silver moves": lambda world, _: world.publish("silver"),
    "both move": lambda world, _: world.publish("gold", "silver"),
    "silver is quoted": lambda world, _: world.publish("silver", moved=False),
    "time passes": lambda world, _: world.time_passes(),
    "a round": lambda world, _: world.round(),
    "all is renewed": lambda world, _: world.hub._renew(EVERY_METAL),
    "the slow one stops": lambda _, clients: setattr(clients[1].sink, "paused", True),
    "the slow one drains": lambda _, clients: clients[1].sink.drain(),
    "the first is answered": lambda _, clients: clients[0].connection.answer(b'{"type": "pong"}'),
    "a silence": lambda world, _: world.silence(),
    "an interval ends": lambda _, clients: clients[2].interval_ends(),
    "the slow one adds silver": lambda _, clients: clients[1].subscribe(SILVER),
    "the one with an interval adds silver": lambda _, clients: clients[2].subscribe(SILVER),
    "the slow one gives silver up": lambda _, clients: clients[1].unsubscribe(SILVER),
    "another comes": lambda world, clients: clients.append(Client(world, heartbeat_ms=15_000)),
    "one comes back": lambda world, clients: clients.append(Client(world, clients[0].seen, 15_000)),
    "redis loses a publication": lambda world, _: world.write("gold"),
    "redis loses many": lambda world, _: [world.write("gold", "silver") for _ in range(5)],
}


@settings(max_examples=500)
@given(steps=st.lists(st.sampled_from(sorted(STEPS)), max_size=14))
def test_each_client_gets_each_move_of_its_metals_once_and_in_order(steps: list[str]) -> None:
    asyncio.run(follow(steps))


async def follow(steps: list[str]) -> None:
    world = World()
    await world.begin()
    clients = [Client(world, heartbeat_ms=15_000) for _ in range(3)]
    clients[1].subscribe(GOLD)
    clients[2].subscribe(GOLD, interval_ms=3_600_000)
    for _ in range(2):
        world.round()  # after the second, those that can be are in step
    for step in steps:
        if inspect.isawaitable(awaitable := STEPS[step](world, clients)):
            await awaitable
    await world.hub.feed.catch_up()
    clients[1].sink.drain()
    world.check_the_clock()
    world.round()
    clients[2].interval_ends()
    for client in clients:
        assert client.moves() == client.owed()
        for counted, held in client.merged():
            assert counted == held if not world.has_gap else 1 <= counted <= held
        shown = client.sink.updates[-1]["data"]
        for metal in client.connection.metals & shown.keys():
            assert shown[metal]["stale"] == (metal in world.hub.log.stale)
    world.round()
    sent = [len(client.sink.updates) for client in clients]
    world.round()
    assert [len(client.sink.updates) for client in clients] == sent, "an update without news"
