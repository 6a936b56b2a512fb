"""The hub and its feed, when publications go missing, clients are slow, or Redis and the database are away."""

import asyncio
import datetime as dt
import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from infra import formats
from prices.domain.positions import Position
from prices.domain.quotes import Metal, PriceKind, Quote
from streaming import feed, publish
from streaming.engine.reasons import CloseReason
from streaming.protocol import EVERY_METAL
from tests.support.hub import Client, World, published, rarely, world
from tests.support.quotes import NOW, quote

__all__ = ["rarely", "world"]  # fixtures


@pytest.fixture
async def client(world: World) -> Client:
    """A client that has been sent gold at 100 and knows that it is live."""
    world.write(quote(price="100"))
    client = Client(world.hub)
    assert world.hub.join(client.connection)
    assert (await client.next("priceUpdate"))["snapshot"] is True
    assert (await client.next("status"))["feed"] == "live"
    return client


async def test_a_publication_that_redis_brings_goes_out_without_the_database(world: World, client: Client) -> None:
    world.broken = True
    await world.bring(world.write(quote(price="101")))
    message = await client.next("priceUpdate")
    assert (message["data"]["gold"]["price"], message["seq"], message["snapshot"]) == (101, 2, False)


async def test_clients_that_join_are_counted_as_sharing_their_snapshot(rarely: World, client: Client) -> None:
    others = [Client(rarely.hub) for _ in range(2)]
    for other in others:
        rarely.hub.join(other.connection)
        await other.next("status")
    await rarely.bring(rarely.write(quote(price="101")))
    for each in (client, *others):
        assert (await each.next("priceUpdate"))["seq"] == 2
    counted = rarely.hub.metrics.registry.get_sample_value
    # Three snapshots and three statuses of one frame each, and then three updates of one.
    assert counted("swarna_messages_sent_total") == 9
    assert counted("swarna_frames_encoded_total", {"compression": "plain"}) == 3
    assert counted("swarna_frames_shared_total") == 6


async def test_a_publication_that_redis_lost_is_filled_in_from_the_database(world: World, client: Client) -> None:
    world.write(quote(price="150"), moved=True)
    await world.bring(world.write(quote(price="151")))
    message = await client.next("priceUpdate")
    assert (message["data"]["gold"]["price"], message["seq"], message["snapshot"]) == (151, 3, False)
    assert len(message["changes"]) == 1


async def test_a_publication_that_redis_lost_comes_without_a_later_one_too(world: World, client: Client) -> None:
    world.write(quote(price="150"))
    assert (await client.next("priceUpdate"))["data"]["gold"]["price"] == 150


async def test_a_publication_that_comes_twice_goes_out_once(world: World, client: Client) -> None:
    publication = world.write(quote(price="101"))
    await world.bring(publication)
    await world.bring(publication)
    await world.bring(world.write(quote(price="102")))
    assert [(await client.next("priceUpdate"))["seq"] for _ in range(2)] == [2, 3]


async def test_a_gap_that_cannot_be_filled_is_a_snapshot_never_continuity(world: World, client: Client) -> None:
    world.publications.clear()
    world.publications.append(published(900, quote(price="175")))
    world.moves_since = 899
    await world.bring(world.publications[-1])
    message = await client.next("priceUpdate")
    assert (message["seq"], message["snapshot"]) == (900, True)


async def test_a_database_that_was_put_back_is_believed(world: World, client: Client) -> None:
    await world.bring(world.write(quote(price="101"), seq=500))
    await client.next("priceUpdate")
    world.publications[:] = [published(7, quote(price="99"))]
    message = await client.next("priceUpdate")
    assert (message["data"]["gold"]["price"], message["seq"], message["snapshot"]) == (99, 7, True)


async def test_a_slow_client_gets_one_merged_update_when_it_reads_again(world: World, client: Client) -> None:
    client.free.clear()
    for price in range(101, 111):
        await world.bring(world.write(quote(price=str(price)), moved=price == 105))
    swift = Client(world.hub)
    world.hub.join(swift.connection)
    while (await swift.next("priceUpdate"))["seq"] < 11:
        pass
    client.free.set()
    first = await client.next("priceUpdate")  # this one was on its way when the client fell asleep
    merged = await client.next("priceUpdate")
    assert (first["seq"], merged["seq"], merged["data"]["gold"]["price"]) == (2, 11, 110)
    assert len(merged["changes"]) == 1
    client.connection.answer(b'{"type": "marker"}')
    async with asyncio.timeout(8):
        assert (await client.inbox.get())["type"] == "marker"


BATCH = 0.5  # seconds


@pytest.fixture
async def batched(rarely: World) -> AsyncIterator[Client]:
    """A client of a hub that sends one update in BATCH at most; it has just been sent gold at 100."""
    hub = rarely.make_hub(dt.timedelta(seconds=BATCH))
    rarely.write(quote(price="100"))
    client = Client(hub)
    hub.join(client.connection)
    await client.next("priceUpdate")
    yield client
    await hub.stop()


async def test_publications_soon_after_an_update_go_out_merged_at_the_batchs_end(
    rarely: World, batched: Client
) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    for price in ("101", "102", "103"):
        await rarely.bring(rarely.write(quote(price=price), moved=True))
    merged = await batched.next("priceUpdate")
    assert loop.time() - began >= BATCH * 0.9
    assert (merged["seq"], len(merged["changes"])) == (4, 3)


async def test_publications_an_interval_apart_are_not_late_for_ever(rarely: World, batched: Client) -> None:
    loop = asyncio.get_running_loop()
    due, waited = loop.time() + BATCH / 5, [BATCH]
    async with asyncio.timeout(30 * BATCH):  # by a tenth of an interval each time: eight, on an idle machine
        while waited[-1] >= BATCH / 5:
            await asyncio.sleep(due - loop.time())
            await rarely.bring(rarely.write(quote(price=str(100 + len(waited)))))
            came = loop.time()
            await batched.next("priceUpdate")
            waited.append(loop.time() - came)
            due += BATCH
    assert waited[1] > BATCH / 2


async def test_after_a_quiet_batch_interval_an_update_goes_out_at_once(rarely: World) -> None:
    hub = rarely.make_hub(dt.timedelta(minutes=1))
    rarely.write(quote(price="100"))
    client = Client(hub)
    hub.join(client.connection)
    await client.next("priceUpdate")
    hub._broadcast_at -= 60  # a minute passes
    await rarely.bring(rarely.write(quote(price="101")))
    assert (await client.next("priceUpdate"))["seq"] == 2
    await hub.stop()


async def test_a_metal_that_is_added_loses_no_move_that_waits_for_an_interval(world: World, client: Client) -> None:
    client.connection.subscribe(frozenset({"gold"}), interval_ms=60_000)
    client.connection.flush()
    await client.next("priceUpdate")
    swift = Client(world.hub)
    world.hub.join(swift.connection)
    await world.bring(world.write(quote(price="105"), moved=True))
    while (await swift.next("priceUpdate"))["seq"] < 2:
        pass
    assert client.inbox.empty()
    client.connection.subscribe(frozenset({"silver"}))
    client.connection.answer(b'{"type": "subscribed"}')
    waited = await client.next("priceUpdate")
    assert (waited["seq"], len(waited["changes"])) == (2, 1)
    await client.next("subscribed")
    assert (await client.next("priceUpdate"))["snapshot"] is True


async def test_a_new_interval_counts_from_the_last_update_also_where_nothing_was_missed(
    world: World, client: Client
) -> None:
    client.connection.subscribe(frozenset({"gold"}), interval_ms=86_400_000)
    client.connection.flush()
    await client.next("priceUpdate")
    client.connection.subscribe(frozenset({"gold"}), since=1, interval_ms=100)
    client.connection.flush()
    await world.bring(world.write(quote(price="101")))
    assert (await client.next("priceUpdate"))["seq"] == 2


async def test_a_status_does_not_wait_for_an_interval(world: World, client: Client) -> None:
    client.connection.subscribe(frozenset({"gold"}), interval_ms=86_400_000)
    client.connection.flush()
    await client.next("priceUpdate")
    world.now += dt.timedelta(minutes=6)
    assert (await client.next("status"))["feed"] == "stale"
    assert client.inbox.empty()


async def test_a_quote_that_grows_old_is_sent_again_as_stale(world: World, client: Client) -> None:
    world.now += dt.timedelta(minutes=6)
    message = await client.next("priceUpdate")
    assert message["data"]["gold"]["stale"] is True
    assert (message["seq"], message["snapshot"]) == (1, True)
    assert (await client.next("status"))["feed"] == "stale"


async def test_a_quote_grows_old_while_the_wall_clock_is_wrong(world: World, client: Client) -> None:
    world.now -= dt.timedelta(hours=1)
    world.steady += 301
    assert (await client.next("priceUpdate"))["data"]["gold"]["stale"] is True
    assert (await client.next("status"))["metals"] == {"gold": "stale"}
    current = world.hub.feed.snapshot()
    assert current is not None
    assert current.is_stale(current.quotes[Metal.GOLD], world.now)  # in REST


async def test_a_price_that_turns_stale_with_a_publication_of_another_metal_is_sent_again(
    rarely: World, client: Client
) -> None:
    await client.see("gold")
    rarely.now += dt.timedelta(minutes=6)
    await rarely.bring(rarely.write(quote("silver", price="5", at=rarely.now)))
    message = await client.next("priceUpdate")
    assert (list(message["data"]), message["data"]["gold"]["stale"]) == (["gold"], True)


async def test_a_metal_that_is_switched_off_with_a_publication_of_another_leaves_the_screen_too(
    rarely: World, client: Client
) -> None:
    await client.see("gold")
    rarely.hidden.add(Metal.GOLD)
    rarely.write(quote("silver", price="5"))
    await rarely.layer.group_send(publish.GROUP, {"type": publish.RELOAD})
    assert (await client.next("priceUpdate"))["data"] == {}


async def test_a_client_that_comes_back_before_the_first_reading_gets_what_it_missed(world: World) -> None:
    for price in ("100", "101", "102", "103", "104"):
        world.write(quote(price=price), moved=True)
    client = Client(world.hub)
    world.hub.join(client.connection)
    await world.hub.feed.wait_for_seq(4, None)
    client.connection.subscribe(EVERY_METAL, since=4)
    client.connection.answer(b'{"type": "subscribed"}')
    await client.next("subscribed")
    message = await client.next("priceUpdate")
    assert (message["seq"], message["snapshot"], len(message["changes"])) == (5, False, 1)


async def test_a_price_whose_publication_is_kept_no_longer_is_shown_all_the_same(world: World) -> None:
    """A process that starts on a Sunday, where publications are kept for a day."""
    world.write(quote(price="100"))
    world.kept_from = 2
    client = Client(world.hub)
    world.hub.join(client.connection)
    message = await client.next("priceUpdate")
    assert (message["seq"], message["data"]["gold"]["price"], message["snapshot"]) == (1, 100, True)


async def test_a_client_that_missed_no_price_gets_those_that_turned_stale_while_it_was_away(world: World) -> None:
    world.hub = world.make_hub(batch_interval=dt.timedelta(seconds=1))
    world.broken = True
    client = Client(world.hub)
    world.hub.join(client.connection)
    await client.next("status")
    world.write(quote(price="100"))
    world.now += dt.timedelta(minutes=6)
    world.broken = False
    await world.hub.feed.wait_for_seq(1, None)
    client.connection.subscribe(EVERY_METAL, since=1)
    client.connection.flush()
    message = await client.next("priceUpdate")
    assert (message["seq"], message["data"]["gold"]["stale"]) == (1, True)


async def test_a_client_that_resumes_without_a_snapshot_gets_the_prices_that_turned_stale(
    world: World, client: Client
) -> None:
    """As one of Server-Sent Events does, which names its position before it is sent anything."""
    world.now += dt.timedelta(minutes=6)
    assert (await client.next("priceUpdate"))["data"]["gold"]["stale"] is True
    resumed = Client(world.hub)
    resumed.connection.subscribe(EVERY_METAL, since=1)
    world.hub.join(resumed.connection)
    message = await resumed.next("priceUpdate")
    assert (message["seq"], message["data"]["gold"]["stale"]) == (1, True)


@pytest.mark.parametrize(
    "other", [replace(quote(price="9"), currency="USD"), quote(price="9", source="simulated")], ids=["currency", "kind"]
)
async def test_publications_of_a_worker_with_other_settings_are_not_shown(
    rarely: World, client: Client, other: Quote
) -> None:
    rarely.kinds.discard(PriceKind.SIMULATED)
    publication = published(2, other)
    rarely.publications.append(published(2))  # as the database has it for whoever shows rupees
    await rarely.bring(publication)
    await rarely.bring(rarely.write(quote("silver", price="5")))
    message = await client.next("priceUpdate")
    assert (message["seq"], message["data"]["gold"]["price"]) == (3, 100)


async def test_an_emptied_database_is_followed_and_its_next_publication_shown(world: World, client: Client) -> None:
    world.publications.clear()
    assert (await client.next("status"))["feed"] == "down"
    await world.bring(world.write(quote(price="77")))
    assert (await client.next("priceUpdate"))["data"]["gold"]["price"] == 77


async def test_a_message_of_another_version_is_no_loss(rarely: World, client: Client) -> None:
    rarely.write(quote(price="101"))
    await rarely.layer.group_send(publish.GROUP, {"type": publish.PUBLICATION, "tick": b"\x93\x01\x02\x03"})
    assert (await client.next("priceUpdate"))["data"]["gold"]["price"] == 101


async def test_a_defect_does_not_end_the_watch_over_the_clock(
    world: World, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    now = world.now
    world.now = None  # type: ignore[assignment]  # the defect
    async with asyncio.timeout(8):
        while "a defect of ours in the clock's watch" not in caplog.text:
            await asyncio.sleep(0.01)
    world.now = now + dt.timedelta(minutes=6)
    assert (await client.next("priceUpdate"))["data"]["gold"]["stale"] is True


async def test_a_price_that_is_stale_on_arrival_is_shown_as_stale(world: World, client: Client) -> None:
    await world.bring(world.write(quote(price="101", at=NOW - dt.timedelta(days=2))))
    assert (await client.next("priceUpdate"))["data"]["gold"]["stale"] is True


async def test_a_metal_that_staff_switch_off_leaves_the_screen(rarely: World, client: Client) -> None:
    world = rarely
    await world.bring(world.write(quote("silver", price="5")))
    await client.next("priceUpdate")
    world.hidden.add(Metal.SILVER)
    await world.layer.group_send(publish.GROUP, {"type": publish.RELOAD})
    assert (await client.next("priceUpdate"))["data"].keys() == {"gold"}


async def test_a_new_freshness_limit_counts_at_once(rarely: World, client: Client) -> None:
    world = rarely
    world.now += dt.timedelta(minutes=1)
    world.freshness_limit = dt.timedelta(seconds=10)
    await world.layer.group_send(publish.GROUP, {"type": publish.RELOAD})
    assert (await client.next("priceUpdate"))["data"]["gold"]["stale"] is True


async def test_a_price_is_stale_while_the_database_says_that_a_newer_one_is_quarantined(
    rarely: World, client: Client
) -> None:
    world = rarely
    world.contested.add(Metal.GOLD)
    await world.layer.group_send(publish.GROUP, {"type": publish.RELOAD})
    message = await client.next("priceUpdate")
    assert (message["data"]["gold"]["stale"], message["seq"], message["snapshot"]) == (True, 1, True)
    assert (await client.next("status"))["metals"] == {"gold": "stale"}
    current = world.hub.feed.snapshot()
    assert current is not None
    assert current.is_stale(current.quotes[Metal.GOLD], world.now)  # in REST

    await world.bring(world.write(quote(price="106")))  # the same quote under another premium
    message = await client.next("priceUpdate")
    assert (message["data"]["gold"]["price"], message["data"]["gold"]["stale"]) == (106, True)

    await world.bring(world.write(quote(price="101", at=NOW + dt.timedelta(seconds=1))))
    message = await client.next("priceUpdate")
    assert (message["data"]["gold"]["price"], message["data"]["gold"]["stale"]) == (101, False)


async def test_a_redis_that_falls_silent_is_said_once_and_so_is_its_return(
    world: World, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    for price in ("101", "102"):
        world.write(quote(price=price))
        await client.next("priceUpdate")
    async with asyncio.timeout(8):
        while not caplog.records:
            await asyncio.sleep(0.05)
    async with asyncio.timeout(8):
        while len(caplog.records) < 2:
            await world.bring(world.write(quote(price="103")))
            await asyncio.sleep(0.05)
    lost, back = (record.getMessage() for record in caplog.records)
    assert lost == "the subscription to Redis is lost, trying again: publications come from the database alone"
    assert back == "the subscription to Redis is back"


async def test_a_database_that_was_put_back_is_no_fault_of_the_subscription(
    world: World, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    for price in ("101", "102"):
        await world.bring(world.write(quote(price=price)))
        await client.next("priceUpdate")
    await world.two_readings()
    world.epoch = "second"
    world.publications[:] = [published(1, quote(price="50"))]
    await world.bring(world.publications[0])
    await client.next("priceUpdate")
    await world.two_readings()
    assert not caplog.records


async def test_a_subscription_that_brings_nothing_while_the_database_has_news_is_renewed(
    world: World, client: Client
) -> None:
    world.layer.groups.clear()  # as of a Redis that knows nothing of it; what the hub tells itself still comes
    async with asyncio.timeout(8):
        while not world.layer.groups.get(publish.GROUP):
            world.write(quote(price="101"))
            await asyncio.sleep(0.05)


async def test_a_silent_subscription_is_renewed_though_there_is_no_news(rarely: World, client: Client) -> None:
    await rarely.layer.flush()  # subscribers get no more messages, and no notice of that
    async with asyncio.timeout(8):
        while not rarely.layer.groups.get(publish.GROUP):
            await asyncio.sleep(0.05)
    await rarely.bring(rarely.write(quote(price="101")))
    assert (await client.next("priceUpdate"))["data"]["gold"]["price"] == 101


async def test_a_reading_that_does_not_end_is_given_up_logged_once_and_begun_anew(
    world: World,
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(feed, "_READ_TIMEOUT", 0.1)
    world.hangs = True
    async with asyncio.timeout(8):
        while world.hung < 3:
            await asyncio.sleep(0.05)
    assert world.hub.feed.problem() == "the database is lost"
    world.hangs = False
    world.write(quote(price="101"))
    assert (await client.next("priceUpdate"))["data"]["gold"]["price"] == 101
    lost, back = (record.getMessage() for record in caplog.records)
    assert lost == "the database is lost, trying again: no answer in time"
    assert back == "the database is back"
    assert world.hub.feed.problem() is None


async def test_a_reading_of_the_database_that_has_stopped_is_named(
    rarely: World, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert rarely.hub.feed.problem() is None
    monkeypatch.setattr(feed, "_LATE", 0.0)
    assert rarely.hub.feed.problem() == "has not read the database for 0 s"


async def test_without_redis_prices_come_by_the_database_and_it_is_said_once(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.layer = None
    world.write(quote(price="100"))
    client = Client(world.hub)
    world.hub.join(client.connection)
    await client.next("priceUpdate")
    world.write(quote(price="101"))
    assert (await client.next("priceUpdate"))["data"]["gold"]["price"] == 101
    lost = [record for record in caplog.records if "the subscription to Redis is lost" in record.getMessage()]
    assert len(lost) == 1


async def test_without_a_database_clients_keep_their_prices_and_it_is_logged_once(
    world: World, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    world.broken = True
    for _ in range(3):
        await world.layer.group_send(publish.GROUP, {"type": publish.RELOAD})
    await world.bring(world.write(quote(price="101")))
    assert (await client.next("priceUpdate"))["data"]["gold"]["price"] == 101
    assert [record.levelno for record in caplog.records if "the database" in record.getMessage()] == [logging.ERROR]
    world.broken = False
    await world.layer.group_send(publish.GROUP, {"type": publish.RELOAD})
    await world.bring(world.write(quote(price="102")))
    await client.next("priceUpdate")
    assert caplog.records[-1].getMessage() == "the database is back"


async def test_a_client_before_the_first_price_sees_that_the_feed_is_down(world: World) -> None:
    client = Client(world.hub)
    world.hub.join(client.connection)
    assert (await client.next("status"))["feed"] == "down"
    await world.bring(world.write(quote(price="100")))
    assert (await client.next("priceUpdate"))["snapshot"] is True
    assert (await client.next("status"))["feed"] == "live"


async def test_the_hub_reports_how_many_clients_it_has(world: World, client: Client) -> None:
    async with asyncio.timeout(8):
        while await world.reported.get() != 1:
            pass
        world.hub.leave(client.connection, CloseReason.CLIENT)
        while await world.reported.get() != 0:
            pass


async def test_a_full_hub_admits_no_client_until_one_leaves(world: World, client: Client) -> None:
    others = [Client(world.hub) for _ in range(3)]
    assert [world.hub.join(other.connection) for other in others] == [True, True, False]
    world.hub.leave(client.connection, CloseReason.CLIENT)
    assert world.hub.join(others[2].connection)


async def test_a_client_that_vanishes_while_it_is_sent_to_harms_nobody(world: World, client: Client) -> None:
    gone = Client(world.hub)
    gone.failure = BrokenPipeError()
    world.hub.join(gone.connection)
    await world.bring(world.write(quote(price="101")))
    assert (await client.next("priceUpdate"))["data"]["gold"]["price"] == 101
    assert not gone.gave_up.is_set()


async def test_a_connection_that_cannot_be_sent_to_is_ended_and_does_not_stand_still(
    world: World, client: Client
) -> None:
    broken = Client(world.hub)
    broken.failure = RuntimeError("a defect of ours")
    world.hub.join(broken.connection)
    async with asyncio.timeout(5):
        await broken.gave_up.wait()


async def test_a_database_that_was_emptied_and_grew_past_us_is_believed_by_everyone(
    rarely: World, client: Client
) -> None:
    await rarely.bring(rarely.write(quote("silver", price="5")))
    await client.next("priceUpdate")
    await client.see("silver")
    rarely.publications[:] = [published(seq, quote(price="100")) for seq in range(1, 10)]
    rarely.epoch = "second"
    await rarely.layer.group_send(publish.GROUP, {"type": publish.RELOAD})
    assert (await client.next("priceUpdate"))["data"] == {}


# --- the market's hours ----------------------------------------------------------------------------------------------

CLOSES = dt.datetime(2026, 9, 25, 21, 0, tzinfo=dt.UTC)  # on the Friday after NOW
OPENS = dt.datetime(2026, 9, 27, 22, 0, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)


async def quoted_at(world: World, client: Client, at: dt.datetime, price: str = "102") -> None:
    """It is `at`, and the client has been sent a gold price of that moment."""
    world.now = at
    await world.bring(world.write(quote(price=price, at=at)))
    while (await client.next("priceUpdate"))["seq"] < world.publications[-1].seq:
        pass


async def test_each_change_of_the_market_is_a_status_that_names_the_next(rarely: World, client: Client) -> None:
    seen: list[tuple[str, str]] = []
    for at, expected in ((CLOSES - MINUTE, "live"), (CLOSES, "stale"), (OPENS, "live")):
        await quoted_at(rarely, client, at, str(103 + len(seen)))
        status = await client.next("status")
        while (status["feed"], status["timestamp"]) != (expected, formats.time(at)):
            status = await client.next("status")
        seen.append((status["market"], status["nextChange"]))
    assert seen == [
        ("open", "2026-09-25T21:00:00.000Z"),
        ("closed", "2026-09-27T22:00:00.000Z"),
        ("open", "2026-09-28T21:00:00.000Z"),
    ]


async def test_the_configured_holidays_are_kept(world: World, client: Client) -> None:
    world.now = dt.datetime(2026, 11, 26, 12, 0, tzinfo=dt.UTC)
    while (status := await client.next("status"))["market"] != "closed":
        pass
    assert status["nextChange"] == "2026-11-26T23:00:00.000Z"


async def test_nothing_is_live_while_the_market_is_closed_nor_after_it_opens_before_somebody_quotes(
    world: World, client: Client
) -> None:
    await quoted_at(world, client, CLOSES - MINUTE)
    for now, market in ((CLOSES, "closed"), (OPENS, "open")):
        world.now = now
        while (status := await client.next("status"))["market"] != market or status["timestamp"] < formats.time(now):
            pass
        assert (status["feed"], status["metals"]) == ("stale", {"gold": "stale"})
    await quoted_at(world, client, OPENS + MINUTE, "103")
    assert (await client.next("status"))["feed"] == "live"


async def test_a_price_of_the_close_stays_fresh_over_the_weekend_and_ages_from_the_opening(
    rarely: World, client: Client
) -> None:
    await quoted_at(rarely, client, CLOSES - 2 * MINUTE)
    stale: dict[dt.datetime, Any] = {}
    for now in (CLOSES + dt.timedelta(days=1), OPENS, OPENS + 3 * MINUTE, OPENS + 4 * MINUTE):
        rarely.now = now
        # A check of freshness, and a client that comes then.
        await rarely.layer.group_send(publish.GROUP, {"type": publish.RELOAD})
        await rarely.bring(rarely.write(quote("silver", price=str(len(stale) + 1), at=now)))
        while (message := await client.next("priceUpdate"))["seq"] < rarely.publications[-1].seq:
            pass
        stale[now] = message["data"]["gold"]["stale"]
    assert list(stale.values()) == [False, False, False, True]


async def test_a_price_that_was_old_at_the_close_stays_stale(world: World, client: Client) -> None:
    await quoted_at(world, client, CLOSES - 6 * MINUTE)
    world.now = CLOSES - dt.timedelta(seconds=30)
    assert (await client.next("priceUpdate"))["data"]["gold"]["stale"] is True
    world.now = CLOSES + dt.timedelta(days=1)
    while (status := await client.next("status"))["market"] != "closed":
        pass
    assert status["metals"] == {"gold": "stale"}


@pytest.mark.parametrize("source", ["simulated", "fallback"])
async def test_a_closed_market_keeps_nothing_fresh_that_is_not_its_own(
    world: World, client: Client, source: str
) -> None:
    world.now = CLOSES + dt.timedelta(days=1)
    await world.bring(world.write(quote(price="103", at=world.now, source=source)))
    while (await client.next("priceUpdate"))["seq"] < 2:
        pass
    world.now += 6 * MINUTE
    message = await client.next("priceUpdate")
    assert (message["data"]["gold"]["source"], message["data"]["gold"]["stale"]) == (source, True)


# --- histories -------------------------------------------------------------------------------------------------------


async def resumed(client: Client, since: int, epoch: str | None) -> dict[str, Any]:
    """The messages to a client that comes back like this."""
    await client.hub.feed.wait_for_seq(since, epoch)
    client.connection.subscribe(EVERY_METAL, since, epoch=epoch)
    client.connection.answer(b'{"type": "subscribed"}')
    await client.next("subscribed")
    return await client.next("priceUpdate")


@pytest.mark.parametrize(("epoch", "is_snapshot"), [("first", False), (None, False), ("another", True)])
async def test_a_client_that_comes_back_from_another_history_gets_the_state(
    rarely: World, client: Client, epoch: str | None, is_snapshot: bool
) -> None:
    await rarely.bring(rarely.write(quote(price="150"), moved=True))
    assert (await client.next("priceUpdate"))["epoch"] == "first"
    message = await resumed(client, 1, epoch)
    assert (message["epoch"], message["snapshot"], len(message["changes"])) == ("first", is_snapshot, not is_snapshot)


async def test_a_client_that_knows_a_new_history_before_this_process_never_gets_the_old_one(
    rarely: World, client: Client
) -> None:
    rarely.epoch = "second"
    rarely.publications[:] = [published(seq, quote(price=str(100 + seq)), moved=True) for seq in range(1, 4)]
    message = await resumed(client, 2, "second")
    assert (message["epoch"], message["seq"], message["snapshot"], len(message["changes"])) == ("second", 3, False, 1)


async def test_a_publication_of_another_history_is_not_joined_to_this_one(rarely: World, client: Client) -> None:
    rarely.epoch = "second"
    rarely.publications[:] = [published(1, quote(price="50"))]
    await rarely.bring(rarely.write(quote(price="51"), moved=True))
    message = await client.next("priceUpdate")
    assert (message["epoch"], message["seq"], message["snapshot"], message["changes"]) == ("second", 2, True, [])


async def test_a_publication_with_a_known_number_makes_the_feed_read_the_database(
    rarely: World, client: Client
) -> None:
    """The database was restored under its old epoch: only the feed knows a later position."""
    for price in ("101", "102"):
        await rarely.bring(rarely.write(quote(price=price)))
        await client.next("priceUpdate")
    rarely.publications[:] = rarely.publications[:1]
    await rarely.bring(replace(rarely.write(quote(price="77")), published_at=NOW + dt.timedelta(hours=1)))
    message = await client.next("priceUpdate")
    assert (message["epoch"], message["snapshot"], message["data"]["gold"]["price"]) == ("not first", True, 77)


@pytest.mark.parametrize(("epoch", "moves"), [("first", 1), ("another", 0)])
async def test_a_position_counts_by_the_epoch_of_the_first_reading(world: World, epoch: str, moves: int) -> None:
    world.broken = True
    client = Client(world.hub)
    world.hub.join(client.connection)
    assert "epoch" not in await client.next("status")
    client.connection.subscribe(EVERY_METAL, since=1, epoch=epoch)
    world.write(quote(price="100"))
    world.write(quote(price="102"), moved=True)
    world.broken = False
    message = await client.next("priceUpdate")
    assert (message["snapshot"], len(message["changes"])) == (not moves, moves)


async def test_where_clients_are_is_remembered(world: World, client: Client) -> None:
    await world.bring(world.write(quote(price="101")))
    async with asyncio.timeout(8):
        while [position.seq for position in world.remembered] != [1, 2]:
            await asyncio.sleep(0.01)
    assert world.remembered[-1] == Position("first", 2, NOW)
