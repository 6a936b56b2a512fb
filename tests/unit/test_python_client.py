"""clients/python: what it makes of a server's messages, and how it comes back, against a server that a test scripts."""

import asyncio
import dataclasses
import datetime as dt
import json
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from http import HTTPStatus
from typing import Any, TypeVar

import msgspec
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from prices.domain.wire import CandleData, ChangeData, PriceData
from swarna_client import (
    Candle,
    Connected,
    Disconnected,
    Event,
    Heartbeat,
    Move,
    Position,
    PriceUpdate,
    Quote,
    RefusedError,
    RejectedError,
    Status,
    SwarnaClient,
    stream_state,
)
from swarna_client.messages import UnreadableError, decoded, parsed
from swarna_client.stream_state import StreamState, Subscription
from tests.support.product import ROOT
from tests.support.stub_stream import move, price_update, quote, status

CONFIRMED = {"type": "subscribed", "metals": ["gold"], "interval": None, "heartbeat": 15000, "id": "swarna-client"}
STATUS = status(timestamp="2026-11-01T18:30:01.000Z")


@pytest.fixture(autouse=True)
def retries_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_state, "_FIRST_RETRY", 0.001)


# --- what it makes of messages ---------------------------------------------------------------------------------------


def confirmed(since: Position | None = None, **wanted: Any) -> StreamState:
    """The state of a stream with a connection whose subscription was confirmed."""
    state = StreamState(Subscription(**wanted), since)
    state.begin()
    sent(state)
    assert isinstance(take(state, CONFIRMED), Connected)
    return state


def sent(state: StreamState) -> list[Any]:
    """All that is to be sent now."""
    return [json.loads(message) for message in iter(state.to_send, None)]


def take(state: StreamState, message: Any) -> Event | None:
    return state.receive(json.dumps(message))


def update(state: StreamState, message: Any) -> PriceUpdate:
    event = take(state, message)
    assert isinstance(event, PriceUpdate)
    return event


def test_amounts_have_the_digits_of_the_wire() -> None:
    text = json.dumps(price_update(7, gold=quote(13221.3901, high=13274, previousClose=None, bid=13220.1)))
    event = parsed(decoded(text))
    assert isinstance(event, PriceUpdate)
    gold = event.prices["gold"]
    assert (str(gold.price), str(gold.high), gold.previous_close) == ("13221.3901", "13274", None)
    assert (gold.bid, gold.ask, gold.contributors, gold.example) == (Decimal("13220.1"), None, None, False)
    assert gold.timestamp == dt.datetime(2026, 11, 1, 18, 30, tzinfo=dt.UTC)


def test_candles_and_moves_are_read() -> None:
    candle = {
        "start": "2026-11-01T18:30:00.000Z",
        "end": "2026-11-02T18:30:00.000Z",
        **{"open": 13200, "high": 13230.5, "low": 13190, "close": 13221.4},
        **{"ticks": 6, "closed": False, "seq": 7, "date": "2026-11-02"},
    }
    message = price_update(7, gold=quote(13221.4), changes=[move("gold", 13000, 13221.4)])
    event = update(confirmed(), message | {"candles": {"gold": {"1d": [candle]}}})
    assert event.changes == (Move("gold", Decimal(13000), Decimal("13221.4"), Decimal("1.7"), "up"),)
    (day,) = event.candles["gold"]["1d"]
    assert (day.high, day.date, day.seq) == (Decimal("13230.5"), dt.date(2026, 11, 2), 7)


def test_what_a_newer_server_adds_is_left_out() -> None:
    ours = confirmed()
    assert take(ours, {"type": "auction", "lots": []}) is None
    assert update(ours, price_update(7, gold=quote(13221, carats=24)) | {"mood": "calm"}).prices["gold"].price == 13221


@pytest.mark.parametrize(("sent", "value"), [(PriceData, Quote), (ChangeData, Move), (CandleData, Candle)])
def test_each_field_of_the_wire_has_one_here(sent: type[msgspec.Struct], value: Any) -> None:
    in_snake_case = [re.sub("[A-Z]", lambda capital: f"_{capital[0].lower()}", name) for name in sent.__struct_fields__]
    assert in_snake_case == [field.name for field in dataclasses.fields(value)]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<html>",
        "[]",
        "NaN",
        '{"type": "priceUpdate"}',
        '{"type": "status", "feed": "live", "market": "open", "timestamp": "2026-11-01T18:30:00"}',
        json.dumps(price_update(7, gold=quote(13200, high="a lot"))),
        json.dumps(price_update(7, gold=quote(float("nan")))),
        '{"type": "pong"}',
        "[" * 100_000,
        b"\xff",
    ],
)
def test_a_message_that_cannot_be_read_is_said_to_be_so(text: str | bytes) -> None:
    with pytest.raises(UnreadableError):
        confirmed().receive(text)


# --- how it comes back -----------------------------------------------------------------------------------------------


def test_prices_count_from_the_answer_to_the_subscription_on() -> None:
    ours = StreamState(Subscription(metals=("gold",)))
    ours.begin()
    assert sent(ours) == [
        {"type": "ping"},
        {"type": "subscribe", "id": "swarna-client", "metals": ["gold"], "heartbeat": 15000},
    ]
    assert sent(ours) == []
    assert take(ours, price_update(7, gold=quote(13200), silver=quote(160))) is None
    assert ours.prices == {}
    assert take(ours, CONFIRMED) == Connected(("gold",))
    assert set(update(ours, price_update(7, gold=quote(13200))).prices) == {"gold"}


def test_it_resumes_from_the_last_update_that_it_handed_on() -> None:
    ours = confirmed()
    update(ours, price_update(7, gold=quote(13200), epoch="q7Vb2xWk"))
    ours.lost("the network")
    ours.begin()
    _, resumes = sent(ours)
    assert (resumes["since"], resumes["epoch"]) == (7, "q7Vb2xWk")
    assert take(ours, price_update(9, gold=quote(13400), changes=[move("gold", 13200, 13400)])) is None
    take(ours, CONFIRMED)
    assert sent(ours) == []
    assert ours.prices["gold"].price == 13200
    assert len(update(ours, price_update(9, gold=quote(13400), changes=[move("gold", 13200, 13400)])).changes) == 1
    assert ours.position == Position(None, 9)


def test_a_program_that_starts_anew_gets_what_it_missed_and_then_the_prices() -> None:
    ours = StreamState(Subscription(), Position("q7Vb2xWk", 7))
    ours.begin()
    assert sent(ours)[-1]["since"] == 7
    take(ours, CONFIRMED)
    (again,) = sent(ours)
    assert "since" not in again


@pytest.mark.parametrize("position", [Position("q7Vb2xWk", 18231), Position(None, 7), Position("a:b", 0)])
def test_a_position_is_kept_as_a_text(position: Position) -> None:
    assert Position.parse(str(position)) == position


def test_a_server_without_heartbeats_may_be_silent() -> None:
    old = StreamState(Subscription())
    old.begin()
    take(old, {name: value for name, value in CONFIRMED.items() if name != "heartbeat"})
    assert old.longest_silence is None
    assert confirmed(heartbeat=5000).longest_silence == 10


def test_retries_come_ever_later_until_a_price_has_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_state, "_FIRST_RETRY", 1.0)
    monkeypatch.setattr(stream_state, "_JITTER", 0.0)
    ours = confirmed()
    assert [ours.lost("").retry_in for _ in range(7)] == [1, 2, 4, 8, 16, 30, 30]
    ours.begin()
    take(ours, CONFIRMED)  # from a server that accepts everybody and serves nobody
    assert ours.lost("").retry_in == 30
    ours.begin()
    take(ours, CONFIRMED)
    update(ours, price_update(7, gold=quote(13200)))
    assert ours.lost("").retry_in == 1


def test_it_stays_away_for_as_long_as_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_state, "_JITTER", 0.0)
    restarting = confirmed()
    take(restarting, {"type": "restart", "afterMs": 1700})
    assert restarting.lost("Service restart") == Disconnected("Service restart", 1.7)
    full = confirmed()
    take(full, {"type": "error", "code": "at_capacity", "message": "Full.", "retry": "later", "afterMs": 42_000})
    assert full.lost("Server at capacity") == Disconnected("Full.", 42)
    assert confirmed().not_served(503, 7.0) == Disconnected("HTTP 503", 7)
    take(full, {"type": "error", "code": "at_capacity", "message": "Full.", "retry": "later", "afterMs": 10**12})
    assert full.lost("Server at capacity").retry_in == 3600


def test_who_is_not_wanted_does_not_come_back() -> None:
    refused = confirmed()
    take(refused, {"type": "error", "code": "unauthorized", "message": "This token has expired.", "retry": "never"})
    with pytest.raises(RefusedError, match="expired") as error:
        refused.lost("Unauthorized")
    assert error.value.code == "unauthorized"
    forbidden = confirmed()
    take(forbidden, {"type": "error", "code": "forbidden", "message": "Not for you.", "retry": "never"})
    with pytest.raises(RefusedError, match="Not for you"):
        forbidden.lost("Forbidden")
    with pytest.raises(RefusedError):
        confirmed().lost("Unauthorized")  # by a server that says no more
    with pytest.raises(RefusedError, match="HTTP 404"):
        StreamState(Subscription()).not_served(404, None)
    assert confirmed().not_served(404, None).reason == "HTTP 404"  # by a proxy: there was a stream


class SteadyClock:
    now = 1000.0
    """In seconds."""


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SteadyClock:
    clock = SteadyClock()
    monkeypatch.setattr(stream_state, "steady_seconds", lambda: clock.now)
    return clock


def pong(timestamp: str) -> dict[str, str]:
    return {"type": "pong", "timestamp": timestamp}


def heartbeat(timestamp: str) -> dict[str, str]:
    return {"type": "heartbeat", "feed": "live", "timestamp": timestamp}


def test_the_servers_time_is_that_of_its_least_delayed_message(clock: SteadyClock) -> None:
    ours = confirmed()
    # A snapshot may be of any time.
    update(ours, price_update(7, gold=quote(13200), timestamp="2030-11-01T18:30:02.000Z", snapshot=True))
    was_timed = ours.is_timed
    take(ours, pong("2026-11-01T18:30:00.000Z"))
    assert (was_timed, ours.is_timed) == (False, True)
    clock.now += 5
    update(ours, price_update(8, gold=quote(13200), timestamp="2026-11-01T18:30:02.000Z"))  # three seconds late
    update(ours, price_update(8, gold=quote(13200), timestamp="2030-11-01T18:30:02.000Z", snapshot=True))
    assert ours.server_time() == dt.datetime(2026, 11, 1, 18, 30, 5, tzinfo=dt.UTC)
    clock.now += 15
    take(ours, heartbeat("2026-11-01T18:30:21.000Z"))  # the first message was a second late
    assert ours.server_time() == dt.datetime(2026, 11, 1, 18, 30, 21, tzinfo=dt.UTC)


def test_what_was_missed_does_not_tell_the_time(clock: SteadyClock) -> None:
    ours = confirmed(since=Position("q7Vb2xWk", 7))
    update(ours, price_update(8, gold=quote(13200), timestamp="2026-11-01T15:30:00.000Z"))  # of three hours ago
    assert not ours.is_timed
    take(ours, pong("2026-11-01T18:30:00.000Z"))
    assert ours.server_time() == dt.datetime(2026, 11, 1, 18, 30, tzinfo=dt.UTC)
    ours.lost("the network")
    ours.begin()
    assert not ours.is_timed  # the server may be another, with another clock


def test_what_a_busy_program_took_late_does_not_tell_the_time(clock: SteadyClock) -> None:
    ours = confirmed()
    clock.now += 600
    take(ours, heartbeat("2026-11-01T18:30:15.000Z"))
    take(ours, pong("2026-11-01T18:30:00.000Z"))
    assert (ours.is_timed, sent(ours)) == (False, [{"type": "ping"}])
    take(ours, pong("2026-11-01T18:40:00.000Z"))
    assert ours.server_time() == dt.datetime(2026, 11, 1, 18, 40, tzinfo=dt.UTC)
    assert sent(ours) == []


# --- with a server ---------------------------------------------------------------------------------------------------

Serve = Callable[[ServerConnection], Awaitable[None]]


@asynccontextmanager
async def server(*connections: Serve, refusals: list[HTTPStatus] | None = None) -> AsyncIterator[str]:
    """The address of a server that treats one connection after the other so, after refusals by HTTP."""
    scripts = iter(connections)

    async def follow(connection: ServerConnection) -> None:
        await next(scripts)(connection)

    def refuse(connection: ServerConnection, request: Request) -> Response | None:
        return connection.respond(refusals.pop(0), "no\n") if refusals else None

    quiet = logging.getLogger("tests.unit.test_python_client")
    quiet.propagate = False
    async with serve(follow, "127.0.0.1", 0, process_request=refuse, logger=quiet) as listening:
        (address,) = {socket.getsockname()[1] for socket in listening.sockets}
        yield f"http://127.0.0.1:{address}/"


async def subscription(connection: ServerConnection) -> None:
    """Await the subscription; a question for the time is answered."""
    while json.loads(await connection.recv())["type"] == "ping":
        await connection.send(json.dumps(pong("2026-11-01T18:30:00.000Z")))


def sends(*sent: Any, then: Serve = ServerConnection.wait_closed) -> Serve:
    """A connection that sends messages once it has the subscription."""

    async def serve(connection: ServerConnection) -> None:
        await subscription(connection)
        for message in (CONFIRMED, *sent):
            await connection.send(json.dumps(message))
        await then(connection)

    return serve


async def leaves(connection: ServerConnection) -> None:
    connection.transport.abort()


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[ClientConnection]:
    """The connections of clients, in order."""
    lines: list[ClientConnection] = []

    async def noted(url: str, **options: Any) -> ClientConnection:
        lines.append(await connect(url, **options))
        return lines[-1]

    monkeypatch.setattr("swarna_client.client.connect", noted)
    return lines


Kind = TypeVar("Kind", PriceUpdate, Status, Connected, Disconnected)


async def until(client: SwarnaClient, kind: type[Kind]) -> tuple[list[Event], Kind]:
    """The events before the first one of a kind, and that one."""
    events: list[Event] = []
    async with asyncio.timeout(10):
        async for event in client:
            if isinstance(event, kind):
                return events, event
            events.append(event)
    raise AssertionError(events)


async def test_a_program_is_told_that_prices_are_not_of_now_and_then_what_it_missed() -> None:
    missed = price_update(9, gold=quote(13400), changes=[move("gold", 13200, 13400)])
    was_shown = asyncio.Event()

    async def then_leaves(connection: ServerConnection) -> None:
        await was_shown.wait()
        await leaves(connection)

    async with (
        server(sends(price_update(7, gold=quote(13200)), STATUS, then=then_leaves), sends(missed)) as url,
        SwarnaClient(url, metals=["gold"]) as client,
    ):
        (confirmed, shown), now = await until(client, Status)
        assert isinstance(shown, PriceUpdate)
        assert (confirmed, shown.prices, now) == (Connected(("gold",)), client.prices, client.status)
        assert shows(client) == (True, True, "13200")
        was_shown.set()
        _, lost = await until(client, Disconnected)
        assert lost.reason
        assert shows(client) == (False, False, "13200")
        before, back = await until(client, PriceUpdate)
        assert (before, len(back.changes)) == ([Connected(("gold",))], 1)
        assert shows(client) == (True, False, "13400")


def shows(client: SwarnaClient) -> tuple[bool, bool, str]:
    """Whether a client is connected, whether it has a status, and its price of gold."""
    return client.connected, client.status is not None, str(client.prices["gold"].price)


async def test_a_client_that_was_closed_has_no_price_of_now() -> None:
    async with server(sends(price_update(7, gold=quote(13200)), STATUS)) as url, SwarnaClient(url) as client:
        await until(client, Status)
    assert shows(client) == (False, False, "13200")


async def test_what_readme_says_to_look_at_can_be_looked_at_where_there_is_no_price() -> None:
    readme = (ROOT / "clients/python/README.md").read_text()
    looks = re.findall(r"^\| `(client\..*?)`", readme, re.MULTILINE)
    async with server(sends(STATUS | {"metals": {"silver": "live"}})) as url, SwarnaClient(url) as client:
        before = [eval(look, {"client": client}) for look in looks]
        await until(client, Status)
        connected = [eval(look, {"client": client}) for look in looks]
    assert (before, connected) == ([None, False, False], [None, True, True])


async def test_a_connection_that_ends_while_a_program_is_busy_is_no_connection(lines: list[ClientConnection]) -> None:
    first = sends(STATUS, price_update(7, gold=quote(13200)), price_update(8, gold=quote(13300)), then=leaves)
    async with server(first) as url, SwarnaClient(url) as client:
        await until(client, PriceUpdate)
        async with asyncio.timeout(10):
            await lines[0].wait_closed()
        assert shows(client) == (False, False, "13200")
        await until(client, PriceUpdate)  # it had come before the end
        assert shows(client) == (False, False, "13300")


async def test_prices_that_nobody_asks_after_are_not_of_now(clock: SteadyClock) -> None:
    first = sends(STATUS, price_update(7, gold=quote(13200)), price_update(8, gold=quote(13300)))
    async with server(first) as url, SwarnaClient(url) as client:
        await until(client, PriceUpdate)
        clock.now += 30
        was_shown = shows(client)
        clock.now += 1
        assert (was_shown, shows(client)) == ((True, True, "13200"), (False, False, "13200"))
        await until(client, PriceUpdate)
        assert shows(client) == (True, True, "13300")


async def test_a_silent_server_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_state, "_HEARTBEATS", 0.1)
    has_ended = asyncio.Event()

    async def is_silent(connection: ServerConnection) -> None:
        await connection.wait_closed()
        has_ended.set()

    first = sends(price_update(7, gold=quote(13200)), then=is_silent)
    async with (
        server(first, sends(price_update(8, gold=quote(13300)))) as url,
        SwarnaClient(url, heartbeat=1) as client,
    ):
        _, lost = await until(client, Disconnected)
        assert lost.reason == "The server is silent"
        async with asyncio.timeout(10):
            await has_ended.wait()
        await until(client, PriceUpdate)
        assert client.prices["gold"].price == 13300


def once(event: asyncio.Event, message: dict[str, Any]) -> Serve:
    """Send a message once an event is set."""

    async def send(connection: ServerConnection) -> None:
        await event.wait()
        await connection.send(json.dumps(message))
        await connection.wait_closed()

    return send


async def test_a_wait_may_be_cancelled_and_nothing_is_lost() -> None:
    go_on = asyncio.Event()
    behaviour = sends(price_update(7, gold=quote(13200)), then=once(go_on, price_update(8, gold=quote(13300))))
    async with server(behaviour) as url, SwarnaClient(url) as client:
        await until(client, PriceUpdate)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await anext(client)
        go_on.set()
        before, news = await until(client, PriceUpdate)
        assert (before, news.position.seq) == ([], 8)


async def test_a_wait_for_an_update_may_be_cancelled_too() -> None:
    go_on = asyncio.Event()
    behaviour = sends(price_update(7, gold=quote(13200)), then=once(go_on, price_update(8, gold=quote(13300))))
    async with server(behaviour) as url, SwarnaClient(url) as client:
        updates = client.updates()
        first = await anext(updates)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await anext(updates)
        go_on.set()
        async with asyncio.timeout(10):
            assert [first.position.seq, (await anext(updates)).position.seq] == [7, 8]
        await client.close()
        assert [update async for update in updates] == []


async def test_a_callback_gets_each_event_and_may_wait() -> None:
    seen: list[Event] = []

    async def show(event: Event) -> None:
        await asyncio.sleep(0)
        seen.append(event)
        if isinstance(event, Heartbeat):
            await client.close()

    beat = {"type": "heartbeat", "feed": "live", "timestamp": "2026-11-01T18:30:16.000Z"}
    async with server(sends(price_update(7, gold=quote(13200)), beat)) as url, SwarnaClient(url) as client:
        async with asyncio.timeout(10):
            await client.run(show)
    assert [type(event) for event in seen] == [Connected, PriceUpdate, Heartbeat]


async def test_a_close_ends_a_wait_in_another_task() -> None:
    async with server(sends()) as url, SwarnaClient(url) as client:
        await until(client, Connected)
        waiting = asyncio.create_task(until(client, PriceUpdate))
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="Two tasks"):
            await anext(client)
        await client.close()
        with pytest.raises(AssertionError):
            await waiting  # it has ended without one
        with pytest.raises(StopAsyncIteration):
            await anext(client)


async def test_a_close_ends_a_wait_for_the_next_try(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_state, "_FIRST_RETRY", 3600.0)
    async with server(sends(then=leaves)) as url, SwarnaClient(url) as client:
        await until(client, Disconnected)
        monkeypatch.setattr("swarna_client.client.connect", pytest.fail)  # it is not called
        waiting = asyncio.create_task(until(client, PriceUpdate))
        await asyncio.sleep(0)
        await client.close()
        with pytest.raises(AssertionError):
            await waiting


async def test_a_close_while_it_connects_leaves_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[ClientConnection] = []

    async def closed_meanwhile(url: str, **options: Any) -> ClientConnection:
        lines.append(await connect(url, **options))
        await client.close()
        return lines[-1]

    monkeypatch.setattr("swarna_client.client.connect", closed_meanwhile)
    async with server(sends()) as url:
        client = SwarnaClient(url)
        with pytest.raises(StopAsyncIteration):
            await anext(client)
        async with asyncio.timeout(10):
            await lines[0].wait_closed()
        assert not client.connected


async def test_a_subscription_that_the_server_does_not_take_is_an_error(lines: list[ClientConnection]) -> None:
    async def rejects(connection: ServerConnection) -> None:
        await subscription(connection)
        error = {"type": "error", "code": "unknown_metal", "message": 'Unknown metal "copper".', "id": "swarna-client"}
        await connection.send(json.dumps(error))
        await connection.wait_closed()

    async with server(rejects, sends()) as url, SwarnaClient(url, metals=["copper"]) as client:
        with pytest.raises(RejectedError, match="copper") as error:
            await anext(client)
        async with asyncio.timeout(10):
            await lines[0].wait_closed()
        await until(client, Connected)  # by another connection: what the server takes may change
    assert error.value.code == "unknown_metal"


async def test_another_token_is_taken_after_a_refusal() -> None:
    shown: list[str] = []

    async def refuses(connection: ServerConnection) -> None:
        note(connection)
        await connection.close(1008, "Unauthorized")

    async def serves(connection: ServerConnection) -> None:
        note(connection)
        await sends(price_update(7, gold=quote(13200)))(connection)

    def note(connection: ServerConnection) -> None:
        assert connection.request is not None
        shown.append(connection.request.headers["Authorization"])

    async with server(refuses, serves) as url, SwarnaClient(url, token="old") as client:
        with pytest.raises(RefusedError):
            await until(client, PriceUpdate)
        client.token = "new"
        await until(client, PriceUpdate)
    assert shown == ["Bearer old", "Bearer new"]


async def test_an_address_without_a_stream_is_an_error_and_a_server_that_begins_is_not() -> None:
    async with server(refusals=[HTTPStatus.NOT_FOUND]) as url:
        with pytest.raises(RefusedError, match="HTTP 404"):
            await anext(SwarnaClient(url))
    starting = [HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE]
    async with server(sends(price_update(7, gold=quote(13200))), refusals=starting) as url, SwarnaClient(url) as client:
        events, _ = await until(client, PriceUpdate)
    assert [type(event) for event in events] == [Disconnected, Disconnected, Connected]


async def test_nobody_at_an_address_is_told_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    async with server() as url:
        pass
    async with SwarnaClient(url.replace("//", "//shop:secret@"), token="swarna_secret") as client:
        assert isinstance(await anext(client), Disconnected)
    assert "No live prices from 127.0.0.1" in caplog.text
    assert "secret" not in caplog.text


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"url": "prices.example"}, "server's"),
        ({"url": "ftp://prices.example/"}, "server's"),
        ({"metals": "gold"}, "lists"),
        ({"candles": "1m"}, "lists"),
        ({"heartbeat": 0.5}, "1 to 60"),
        ({"interval": -1}, "0 seconds"),
    ],
)
def test_what_cannot_be_meant_is_an_error_at_once(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises((TypeError, ValueError), match=says):
        SwarnaClient(**({"url": "https://prices.example/"} | wrong))
