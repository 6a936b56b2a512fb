"""Waiting polls on a hub whose database and Redis are the test's: what they cost, and what their versions cover."""

import asyncio
import datetime as dt
import json
import threading
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from streaming.admission import Gate
from streaming.auth import Authenticator
from streaming.limits import ConnectionLimiter
from streaming.poll import WaitingPoll
from streaming.publication_log import PublicationMessage
from streaming.rest import PATH
from tests.support.asgi import AsgiRequest, not_for_django, rules_of
from tests.support.hub import World, rarely, world
from tests.support.quotes import quote

__all__ = ["rarely", "world"]  # fixtures


async def nobody(credentials: object) -> Mapping[Any, int]:
    raise AssertionError("a credential was looked up, and none was presented")


class Shop:
    """A web process's polls, and the world's."""

    def __init__(self, world: World, batch_interval: dt.timedelta = dt.timedelta(0)) -> None:
        self.world = world
        self.hub = world.hub = world.make_hub(batch_interval, max_connections=200)
        gate = Gate(Authenticator(look_up=nobody, required=True, recheck=20), ConnectionLimiter(0), self.hub.metrics)
        self.application = WaitingPoll(not_for_django, self.hub, gate, rules_of(self.hub))

    def ask(self, query: str, **headers: str) -> AsgiRequest:
        return AsgiRequest(self.application, PATH, query, headers)

    @property
    def position(self) -> str:
        return f"epoch={self.hub.log.epoch}&since={self.hub.log.seq}"

    async def until_waiting(self, number: int) -> None:
        async with asyncio.timeout(8):
            while len(self.hub.connections) != number:
                await asyncio.sleep(0.001)


@pytest.fixture
async def shop(rarely: World) -> AsyncIterator[Shop]:
    """A shop with a fresh price of gold and one of silver."""
    rarely.write(quote(price="100"), quote("silver", "5"))
    shop = Shop(rarely)
    await shop.hub.first_reading(within=8)
    yield shop
    await shop.hub.stop()


async def test_a_hundred_are_answered_with_one_object_by_one_publication_without_a_thread_or_a_query(
    shop: Shop,
) -> None:
    queries, threads = shop.world.loads, threading.active_count()
    polls = [shop.ask(f"wait=30&{shop.position}") for _ in range(100)]
    await shop.until_waiting(100)
    await shop.world.bring(shop.world.write(quote(price="101")))
    bodies = [(await poll.answer())[2] for poll in polls]
    assert json.loads(bodies[0])["data"]["gold"]["price"] == 101
    assert all(body is bodies[0] for body in bodies)
    counted = shop.hub.metrics.registry.get_sample_value
    assert counted("swarna_connections_closed_total", {"reason": "answered"}) == 100
    assert (shop.world.loads, threading.active_count(), len(shop.hub.connections)) == (queries, threads, 0)


async def test_while_a_poll_waits_nothing_is_done_for_it(shop: Shop) -> None:
    version = shop.hub.log.version
    poll = shop.ask(f"wait=30&{shop.position}")
    await shop.until_waiting(1)
    await asyncio.sleep(0.1)
    assert (poll.sent, shop.hub.log.version) == ([], version)
    poll.gone.set()
    await poll.task
    assert (poll.sent, len(shop.hub.connections)) == ([], 0)


async def test_a_version_covers_prices_stale_marks_and_the_status_and_no_other_metals(shop: Shop) -> None:
    async def version(metals: str = "gold") -> bytes:
        status, headers, _ = await shop.ask(f"wait=30&metals={metals}").answer()
        assert status == 200
        return headers[b"etag"]

    first, of_both = await version(), await version("gold,silver")
    assert first.startswith(b'W/"')
    assert first != of_both
    shop.hub.log.append(PublicationMessage.of(shop.world.write(quote("silver", "6"))))
    assert await version() == first
    assert await version("gold,silver") != of_both
    shop.hub.log.append(PublicationMessage.of(shop.world.write(quote(price="102"))))
    second = await version()
    assert second != first
    shop.hub.log.mark_stale(frozenset({"gold"}))
    third = await version()
    assert third != second
    shop.world.now += dt.timedelta(days=2)  # the market has closed
    shop.hub._check_freshness()
    assert await version() != third


async def test_a_version_is_the_same_in_another_process_that_knows_the_same(shop: Shop) -> None:
    _, headers, _ = await shop.ask("wait=30").answer()
    shop.world.now += dt.timedelta(seconds=7)  # its status has a time of its own
    other = Shop(shop.world)
    await other.hub.first_reading(within=8)
    status, _, _ = await other.ask(f"wait=1&{other.position}", If_None_Match=headers[b"etag"].decode()).answer()
    assert status == 304
    await other.hub.stop()


@pytest.mark.parametrize("conditional", [True, False])
async def test_a_price_that_turns_stale_just_before_a_poll_ends_is_in_its_answer(
    rarely: World, conditional: bool
) -> None:
    rarely.write(quote(price="100"))
    shop = Shop(rarely, batch_interval=dt.timedelta(days=9999))  # the broadcast of it comes later
    await shop.hub.first_reading(within=8)
    _, headers, _ = await shop.ask("wait=1").answer()
    given = {"If_None_Match": headers[b"etag"].decode()} if conditional else {}
    poll = shop.ask(f"wait=1&{shop.position}", **given)
    await shop.until_waiting(1)
    rarely.now += dt.timedelta(minutes=10)
    rarely.steady += 600
    shop.hub._check_freshness()
    # Else the client would have the version of a state that it was never shown, and never hear of it.
    status, stale, body = await poll.answer()
    assert (status, json.loads(body)["data"]["gold"]["stale"]) == (200, True)
    assert stale[b"etag"] != headers[b"etag"]
    await shop.hub.stop()


async def test_a_poll_for_a_publication_that_this_process_has_yet_to_see_reads_once_for_all(shop: Shop) -> None:
    shop.world.write(quote(price="101"))
    queries = shop.world.loads
    polls = [shop.ask(f"wait=1&epoch=first&since={shop.hub.log.seq + 1}") for _ in range(20)]
    assert {(await poll.answer())[0] for poll in polls} == {204}
    assert (shop.world.loads, shop.hub.log.seq) == (queries + 1, 2)


async def test_a_poll_before_any_price_waits_for_the_first(rarely: World) -> None:
    shop = Shop(rarely)
    await shop.hub.first_reading(within=8)
    poll = shop.ask("wait=30")
    await shop.until_waiting(1)
    await rarely.bring(rarely.write(quote(price="100")))
    status, _, body = await poll.answer()
    assert (status, json.loads(body)["data"]["gold"]["price"]) == (200, 100)
    await shop.hub.stop()


async def test_a_history_that_begins_anew_is_news(shop: Shop) -> None:
    poll = shop.ask(f"wait=30&{shop.position}")
    await shop.until_waiting(1)
    shop.world.epoch = "second"
    await shop.hub.feed.catch_up()
    status, _, body = await poll.answer()
    assert (status, json.loads(body)["epoch"], json.loads(body)["snapshot"]) == (200, "second", True)
