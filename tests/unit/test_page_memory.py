"""All that pages show of now, from a web process's memory."""

import asyncio
import datetime as dt
from decimal import Decimal
from typing import Any

import pytest

from pages import memory
from pages.memory import MEMORY, Current, Memory, Stored
from prices.domain.quotes import Metal
from tests.support.hub import World, rarely, world
from tests.support.quotes import NOW, quote

__all__ = ["rarely", "world"]  # fixtures


class Shop:
    """A web process, whose database is a test's."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.readings = 0
        self.fails = False
        self.read = asyncio.Event()
        self.free = asyncio.Event()
        self.free.set()
        self.memory = Memory(self.http, world.hub, self.read_stored)

    async def read_stored(self) -> Stored:
        self.readings += 1
        await self.free.wait()
        self.read.set()
        if self.fails:
            raise OSError("the database is away")
        return Stored(listed=tuple(Metal), sparklines={}, moves=(), threshold_percent=Decimal(self.readings))

    async def http(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/":
            self.shown: Current | None = await scope[MEMORY].now()

    async def visit(self) -> Current | None:
        """The prices and all else that a page shows to a visitor of now."""
        await self.memory({"path": "/"}, None, None)
        return self.shown

    async def visit_after_reading(self) -> Current:
        """The same, once the database was read for it."""
        self.read.clear()
        await self.visit()
        async with asyncio.timeout(8):
            await self.read.wait()
        shown = await self.visit()
        assert shown is not None
        return shown


async def publish(world: World, price: str, *, moved: bool = False) -> None:
    """A second publication, with a price of gold."""
    await world.bring(world.write(quote(price=price), moved=moved))
    async with asyncio.timeout(8):
        while world.hub.log.seq != 2:
            await asyncio.sleep(0.001)


@pytest.fixture
async def shop(rarely: World) -> Shop:
    rarely.write(quote(price="100"), quote("silver", "5"))
    await rarely.hub.first_reading(within=8)
    return Shop(rarely)


async def test_the_first_requests_wait_for_the_first_reading_and_share_it(shop: Shop) -> None:
    async with asyncio.TaskGroup() as crowd:
        visits = [crowd.create_task(shop.visit()) for _ in range(20)]
    assert all(visit.result() is not None for visit in visits)
    assert shop.readings == 1


async def test_while_the_first_reading_hangs_or_fails_a_request_reads_for_itself(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "_LONGEST_WAIT", 0.01)
    shop.free.clear()
    assert await shop.visit() is None
    shop.fails = True
    shop.free.set()
    assert await shop.visit() is None


async def test_a_page_shows_the_prices_and_the_status_of_the_stream(shop: Shop) -> None:
    shown = await shop.visit_after_reading()
    assert shown.quotes[Metal.GOLD].quote.price == 100
    assert (shown.position.seq, shown.published_at) == (1, NOW)
    assert shown.is_market_open
    assert shown.next_change == dt.datetime(2026, 9, 24, 21, tzinfo=dt.UTC)
    assert [shown.marks(metal) for metal in (Metal.GOLD, Metal.PLATINUM)] == [("live",), ()]


async def test_the_database_is_read_once_for_all_requests_of_a_minute(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await shop.visit_after_reading()
    assert await shop.visit() is first
    assert shop.readings == 1
    monkeypatch.setattr(memory, "_READ_EVERY", -1.0)
    again = await shop.visit_after_reading()
    assert again.version != first.version
    assert again.stored.threshold_percent == 2


async def test_each_publication_and_each_price_that_turns_stale_is_another_version(shop: Shop) -> None:
    first = await shop.visit_after_reading()
    await publish(shop.world, "101")
    second = await shop.visit()
    assert second is not None
    assert second.quotes[Metal.GOLD].quote.price == 101
    assert second.version != first.version
    shop.world.now += dt.timedelta(minutes=6)
    shop.world.hub.log_changed(frozenset())
    third = await shop.visit()
    assert third is not None
    assert third.marks(Metal.GOLD) == ("stale",)


async def test_a_metals_candles_are_another_version_after_its_own_prices_and_each_reading(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await shop.visit_after_reading()
    await publish(shop.world, "101")
    second = await shop.visit()
    assert second is not None
    assert second.version_of(Metal.GOLD) != first.version_of(Metal.GOLD)
    for metal in (Metal.SILVER, Metal.PLATINUM):
        assert second.version_of(metal) == first.version_of(metal)
    monkeypatch.setattr(memory, "_READ_EVERY", -1.0)
    third = await shop.visit_after_reading()
    assert third.version_of(Metal.SILVER) != second.version_of(Metal.SILVER)


async def test_after_a_night_without_readers_the_first_one_waits_for_the_moves_of_now(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    await shop.visit_after_reading()
    monkeypatch.setattr(memory, "_READ_EVERY", -1.0)
    monkeypatch.setattr(memory, "_TOO_OLD", -1.0)
    first = await shop.visit()
    assert first is not None
    assert first.stored.threshold_percent == 2


async def test_the_first_page_after_a_significant_move_waits_for_a_reading(shop: Shop) -> None:
    await shop.visit()
    await publish(shop.world, "102", moved=True)
    first = await shop.visit()
    assert first is not None
    assert first.stored.threshold_percent == 2


async def test_within_two_minutes_no_page_waits_for_a_reading(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    await shop.visit()
    monkeypatch.setattr(memory, "_READ_EVERY", -1.0)
    shop.free.clear()
    shown = await shop.visit()
    assert shown is not None
    assert shown.stored.threshold_percent == 1


async def test_a_database_that_hangs_is_waited_for_once(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    await shop.visit()
    monkeypatch.setattr(memory, "_LONGEST_WAIT", 0.01)
    shop.free.clear()
    await publish(shop.world, "102", moved=True)
    assert await shop.visit() is not None
    monkeypatch.setattr(memory, "_LONGEST_WAIT", 3600)
    async with asyncio.timeout(8):
        assert await shop.visit() is not None


async def test_what_asks_for_no_page_begins_the_first_reading_alone(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    await shop.memory({"path": "/healthz"}, None, None)
    async with asyncio.timeout(8):
        await shop.read.wait()
    monkeypatch.setattr(memory, "_READ_EVERY", -1)
    await shop.memory({"path": "/healthz"}, None, None)
    assert shop.readings == 1
    assert shop.memory.known() is None


async def test_a_database_that_goes_away_before_the_first_page_leaves_it_what_is_stored(shop: Shop) -> None:
    await shop.memory({"path": "/healthz"}, None, None)
    async with asyncio.timeout(8):
        await shop.read.wait()
    shop.fails = True
    shown = await shop.visit()
    assert shown is not None
    assert shop.memory.known() is shown


async def test_metals_that_staff_list_or_hide_are_read_at_once(shop: Shop) -> None:
    await shop.visit_after_reading()
    shop.world.hidden = {Metal.SILVER}
    await shop.world.hub.feed.catch_up()
    assert (await shop.visit_after_reading()).stored.threshold_percent == 2


async def test_while_the_database_is_away_pages_show_what_was_stored_before(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    await shop.visit_after_reading()
    shop.fails = True
    await publish(shop.world, "102", moved=True)
    assert (await shop.visit_after_reading()).stored.threshold_percent == 1
    assert "pages show the sparklines and moves as of before: the database is away" in caplog.text
