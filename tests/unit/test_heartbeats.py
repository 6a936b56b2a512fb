"""Heartbeats: to whom, when, and with which position; by a clock that the test moves."""

import time

import pytest

from prices.domain.positions import Position
from streaming.engine.frames import Frame
from tests.unit.test_continuity import GOLD, SILVER, Client, World

MS = 15_000
SOON, LATE = MS / 1000 - 0.5, MS / 1000 + 0.5  # the resolution of the hub's wheel is finer


@pytest.fixture
async def world() -> World:
    """Gold and silver are quoted, and the feed is live."""
    world = World()
    await world.begin()
    return world


def listener(world: World, ms: int = MS, metals: frozenset[str] = GOLD | SILVER) -> Client:
    """A client with a heartbeat."""
    client = Client(world)
    client.subscribe(metals)
    world.hub.set_heartbeat(client.connection, ms)
    return client


def silence(world: World, client: Client, seconds: float) -> None:
    """The client has been sent nothing for so long."""
    world.hub._beat(client.connection.last_sent_at + seconds)


async def test_a_client_that_was_sent_nothing_for_so_long_gets_one_with_its_position(world: World) -> None:
    client = listener(world)
    silence(world, client, SOON)
    assert client.sink.heartbeats == []
    silence(world, client, LATE)
    (heartbeat,) = client.sink.heartbeats
    assert heartbeat.pop("timestamp").endswith("Z")
    assert heartbeat == {"type": "heartbeat", "epoch": "first", "seq": 1, "feed": "live"}


async def test_the_next_one_comes_after_as_long_a_silence_again(world: World) -> None:
    client = listener(world)
    began = client.connection.sent_at
    for seconds in range(4 * MS // 1000 + 2):
        world.hub._beat(began + seconds)
        if client.sink.heartbeats:  # when the hub wrote it, by this clock
            client.connection.sent_at = min(client.connection.sent_at, began)
    assert len(client.sink.heartbeats) == 3


async def test_whatever_is_sent_puts_it_off(world: World) -> None:
    client = listener(world)
    began = client.connection.sent_at
    client.connection.sent_at = began - LATE  # a silence, which ends now
    world.hub._heartbeats.set(client.connection, began)
    await world.publish("gold")
    world.round()
    assert client.connection.last_sent_at >= began
    world.hub._beat(began + 1)
    assert client.sink.heartbeats == []
    client.connection.step_out()
    client.connection.sent_at -= SOON
    client.connection.answer(b'{"type": "pong"}')
    assert client.connection.sent_at >= began


async def test_what_its_cohort_was_sent_before_it_stepped_in_puts_nothing_off(world: World) -> None:
    client = listener(world)
    began = client.connection.sent_at
    for _ in range(2):
        world.round()
    assert not world.hub.connections.apart
    assert client.connection.last_sent_at == began
    client.connection.step_out()
    assert client.connection.last_sent_at == began


async def test_its_position_is_that_of_the_last_update_that_was_sent_and_never_a_newer_one(world: World) -> None:
    client = listener(world, metals=SILVER)
    await world.publish("silver")
    world.round()
    await world.publish("gold")
    world.round()
    client.connection.step_out()
    assert (client.connection.since, world.hub.log.seq) == (3, 3)
    silence(world, client, LATE)
    assert client.sink.heartbeats[0]["seq"] == 2


async def test_a_client_with_an_interval_hears_of_no_update_that_waits_for_it(world: World) -> None:
    client = listener(world)
    client.subscribe(GOLD, interval_ms=60_000)
    client.interval_ends()
    await world.publish("gold")
    world.round()
    assert client.seen == 2
    await world.publish("gold")
    world.round()
    silence(world, client, LATE)
    assert client.sink.heartbeats[0]["seq"] == client.seen == 2
    client.interval_ends()
    assert client.moves() == client.owed()


async def test_a_slow_client_gets_none_until_it_has_taken_what_waits(world: World) -> None:
    client = listener(world)
    client.sink.paused = True
    await world.publish("gold")
    world.round()
    silence(world, client, LATE)
    silence(world, client, 2 * LATE)
    assert client.sink.heartbeats == []
    client.sink.drain()
    silence(world, client, 2 * LATE + 2)
    assert [heartbeat["seq"] for heartbeat in client.sink.heartbeats] == [2]


async def test_one_that_was_sent_no_update_yet_gets_one_without_a_position() -> None:
    world = World()  # whose database has not been read
    client = listener(world)
    silence(world, client, LATE)
    (heartbeat,) = client.sink.heartbeats
    assert heartbeat.keys() == {"type", "feed", "timestamp"}
    assert heartbeat["feed"] == "stale"


async def test_clients_with_the_same_last_update_share_one_frame(world: World) -> None:
    clients = [listener(world) for _ in range(5)]
    made = Frame.made
    world.hub._beat(time.monotonic() + LATE)
    assert [len(client.sink.heartbeats) for client in clients] == [1] * 5
    assert Frame.made == made + 1


async def test_none_without_having_chosen_one_nor_once_it_was_ended(world: World) -> None:
    silent, ended = Client(world), listener(world)
    world.hub.set_heartbeat(ended.connection, 0)
    world.hub._beat(time.monotonic() + LATE)
    assert silent.sink.heartbeats == ended.sink.heartbeats == []
    assert ended.connection.heartbeat_ms == 0


async def test_a_client_that_has_left_is_forgotten(world: World) -> None:
    client = listener(world)
    world.hub.leave(client.connection, client.connection.close_reason)
    world.hub.set_heartbeat(client.connection, MS)  # its subscribe was still under way
    assert len(world.hub._heartbeats) == 0


async def test_one_that_cannot_be_written_costs_no_later_one(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    broken, well = listener(world), listener(world)

    def fail(frame: Frame) -> int:
        raise ValueError("a defect")

    monkeypatch.setattr(broken.sink, "write", fail)
    with pytest.raises(ValueError, match="a defect"):
        silence(world, broken, LATE)
    assert len(world.hub._heartbeats) == 2
    monkeypatch.undo()
    silence(world, well, 3 * LATE)
    assert well.sink.heartbeats


async def test_its_position_is_of_its_own_epoch_until_the_client_is_sent_another(world: World) -> None:
    client = listener(world)
    world.hub.begin_epoch("second")
    world.hub.log.replace(Position("second", 7, None), world.hub.log.latest, [], [], 7)
    silence(world, client, LATE)
    assert (client.sink.heartbeats[0]["epoch"], client.sink.heartbeats[0]["seq"]) == ("first", 1)
    world.round()
    silence(world, client, 3 * LATE)
    assert (client.sink.heartbeats[1]["epoch"], client.sink.heartbeats[1]["seq"]) == ("second", 7)
