"""A hub whose database, Redis and clock are a test's, and a client of it."""

import asyncio
import datetime as dt
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from channels.layers import InMemoryChannelLayer

from infra.clock import Reading
from prices.domain.calendar import Calendar
from prices.domain.positions import Position
from prices.domain.quotes import Change, DayFigures, Metal, PriceKind, Publication, PublishedQuote, Quote
from prices.publishing.snapshot import Snapshot
from streaming import feed, hub, publish, subscription
from streaming.feed import PriceFeed
from streaming.hub import Hub
from streaming.metrics import Metrics
from streaming.publication_log import PublicationMessage
from streaming.send_sinks import SendSink
from tests.support.quotes import NOW


def published(seq: int, *quotes: Quote, moved: bool = False) -> Publication:
    """A publication of these quotes; with `moved`, gold has made a significant move in it."""
    return Publication(
        epoch="first",
        seq=seq,
        published_at=NOW,
        quotes=tuple(
            PublishedQuote(
                seq=seq,
                quote=each,
                day=DayFigures(open=each.price, high=each.price, low=each.price, previous_close=None),
            )
            for each in quotes
        ),
        changes=(Change(metal=Metal.GOLD, old_price=Decimal(1), new_price=Decimal(2), change_percent=Decimal(100)),)
        if moved
        else (),
    )


class World:
    """A database and a Redis that a test can take away, and a hub between them."""

    def __init__(self) -> None:
        self.publications: list[Publication] = []
        self.epoch = "first"
        self.remembered: list[Position] = []
        self.reported: asyncio.Queue[int] = asyncio.Queue()
        self.hidden: set[Metal] = set()
        self.contested: set[Metal] = set()
        self.kept_from = self.moves_since = 0
        self.kinds = set(PriceKind)
        self.broken = False
        self.hangs = False
        self.hung = 0
        self.loads = 0
        self.layer: Any = InMemoryChannelLayer()
        self.now, self.steady = NOW, 0.0  # the two clocks
        self.freshness_limit = dt.timedelta(minutes=5)
        self.calendar = Calendar().corrected("2026-11-26")
        self.hub = self.make_hub()

    def make_hub(self, batch_interval: dt.timedelta = dt.timedelta(0), max_connections: int = 3) -> Hub:
        feed = PriceFeed(
            load=self.load,
            remember=self.remember,
            layer=lambda: self.layer,
            currency="INR",
            kinds=self.kinds,
            metrics=Metrics(),
        )
        return Hub(
            feed,
            clock=lambda: Reading(self.now, self.steady),
            calendar=self.calendar,
            max_connections=max_connections,
            batch_interval=batch_interval,
            restart_spread=dt.timedelta(seconds=5),
            report=self.report,
        )

    async def report(self, clients: int) -> None:
        self.reported.put_nowait(clients)

    async def remember(self, position: Position) -> None:
        self.remembered.append(position)

    async def two_readings(self) -> None:
        """Wait until the database has been read twice: the first reading may have begun before now."""
        seen = self.loads
        async with asyncio.timeout(8):
            while self.loads < seen + 2:
                await asyncio.sleep(0.01)

    async def load(self, since: Position) -> Snapshot:
        self.loads += 1
        if self.broken:
            raise OSError("the database is away")
        if self.hangs:
            self.hung += 1
            await asyncio.Event().wait()
        seq = self.publications[-1].seq if self.publications else 0
        if since.epoch == self.epoch and since.seq > seq:
            self.epoch = f"not {self.epoch}"  # as prices.publishing.snapshot draws another
        after = since.seq if since.epoch == self.epoch else 0
        publications = [
            replace(publication, epoch=self.epoch) for publication in self.publications if publication.seq > after
        ]
        quotes: dict[Metal, PublishedQuote] = {}
        for publication in self.publications:
            quotes |= {each.quote.metal: each for each in publication.quotes}
        return Snapshot(
            position=Position(self.epoch, seq, NOW),
            quotes={
                metal: replace(each, is_contested=metal in self.contested)
                for metal, each in quotes.items()
                if metal not in self.hidden
            },
            publications=tuple(publication for publication in publications if publication.seq >= self.kept_from),
            moves=tuple((publication.seq, move) for publication in publications for move in publication.changes),
            moves_since=max(after, self.moves_since),
            freshness_limit=self.freshness_limit,
        )

    def write(self, *quotes: Quote, seq: int | None = None, moved: bool = False) -> Publication:
        """A publication in the database that Redis has not brought."""
        previous = self.publications[-1].seq if self.publications else 0
        publication = published(seq or previous + 1, *quotes, moved=moved)
        self.publications.append(publication)
        return publication

    async def bring(self, publication: Publication) -> None:
        """Redis brings a publication."""
        await self.layer.group_send(
            publish.GROUP,
            {
                "type": publish.PUBLICATION,
                "tick": msgspec.msgpack.encode(PublicationMessage.of(replace(publication, epoch=self.epoch))),
            },
        )


class Client:
    """Keeps what it is sent; `hold` makes it slow."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.free = asyncio.Event()
        self.free.set()
        self.failure: Exception | None = None
        self.gave_up = asyncio.Event()
        self.connection = hub.connection(SendSink(self.send, self.give_up))

    async def send(self, text: str) -> None:
        await self.free.wait()
        if self.failure:
            raise self.failure
        self.inbox.put_nowait(json.loads(text))

    async def give_up(self) -> None:
        self.gave_up.set()

    async def see(self, *metals: str) -> None:
        """Subscribe to these alone, and see their prices."""
        self.connection.subscribe(frozenset(metals))
        self.connection.flush()
        assert (await self.next("priceUpdate"))["snapshot"] is True

    async def next(self, kind: str) -> dict[str, Any]:
        async with asyncio.timeout(8):
            while (message := await self.inbox.get())["type"] != kind:
                pass
            return message


@pytest.fixture
async def world(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """A hub that looks at the clock and into the database many times a second."""
    monkeypatch.setattr(hub, "_CHECK_EVERY", 0.05)
    monkeypatch.setattr(feed, "_CATCH_UP_EVERY", 0.2)
    monkeypatch.setattr(subscription, "PING_EVERY", 0.2)
    monkeypatch.setattr(feed, "_REMEMBER_EVERY", 0.01)
    monkeypatch.setattr(hub, "_REPORT_EVERY", 0.05)
    world = World()
    yield world
    await world.hub.stop()


@pytest.fixture
async def rarely(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """A hub that looks at the clock and into the database too rarely to help: what happens, Redis did."""
    monkeypatch.setattr(hub, "_CHECK_EVERY", 60)
    monkeypatch.setattr(feed, "_CATCH_UP_EVERY", 60)
    return world
