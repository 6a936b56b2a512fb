"""The soak's own parts: the checker finds each kind of mistake, and viewers read all three transports."""

import asyncio
import contextlib
import json
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest
from websockets.asyncio.server import ServerConnection, serve

from bench import viewers
from bench.checker import Checker, Move, Price, Truth, Update
from bench.viewers import Crowd, EndedError, Position, Viewer

GOLD, BOTH = frozenset({"gold"}), frozenset({"gold", "silver"})


def price(amount: float) -> Price:
    return Price("2026-01-01T00:00:00.000Z", amount, amount, amount, amount, None, "simulated", amount, amount)


def move(seq: int, metal: str = "gold") -> Move:
    return Move(metal, 99.0 + seq, 100.0 + seq)


# Both metals are in each publication; gold moves in each, silver in each second one.
TRUTH = Truth(
    prices={seq: {"gold": price(100.0 + seq), "silver": price(10.0 + seq)} for seq in range(1, 10)},
    moves=[
        (seq, move(seq, metal)) for seq in range(1, 10) for metal in ("gold", "silver") if metal == "gold" or seq % 2
    ],
)


def update(seq: int, *moves: Move, snapshot: bool = False, conflated: int = 0, amount: float | None = None) -> Update:
    data = {"gold": price(100.0 + seq if amount is None else amount)}
    return Update(data, list(moves), "abc", seq, snapshot, conflated)


def violations(*received: Update, since: int | None = None) -> dict[str, int]:
    """The violations in the updates that one client of gold received, after one with `since`."""
    checker = Checker()
    for each in received:
        checker.take(each, GOLD, since)
        since = each.seq
    checker.compare(TRUTH)
    return dict(checker.violations)


def test_what_was_published_is_right() -> None:
    assert violations(update(3, snapshot=True), update(4, move(4)), update(6, move(5), move(6), conflated=1)) == {}


def test_a_client_that_resumes_is_brought_what_it_missed() -> None:
    assert violations(update(8, move(6), move(7), move(8), conflated=2), since=5) == {}
    assert violations(update(8, snapshot=True), since=5) == {"a gap": 1}


@pytest.mark.parametrize(
    ("received", "kind"),
    [
        (update(4, move(4), amount=104.5), "a wrong price"),
        (update(4), "wrong moves"),
        (update(4, move(3), move(4)), "wrong moves"),
        (update(4, move(4), move(4)), "wrong moves"),
        (update(4, move(4), conflated=1), "a wrong count"),
        (update(3), "an update twice"),
        (update(2, move(2)), "seq went backwards"),
        (update(3, move(3), snapshot=True), "moves in a snapshot"),
        (msgspec.structs.replace(update(4, move(4)), epoch="xyz"), "another epoch"),
        (msgspec.structs.replace(update(4, move(4)), data={}), "other metals"),
        (msgspec.structs.replace(update(4, move(4)), data={"gold": price(104)}), ""),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_mistake_is_found(received: Update, kind: str) -> None:
    assert violations(update(3, snapshot=True), received) == ({kind: 1} if kind else {})


def test_a_first_update_is_a_snapshot() -> None:
    assert violations(update(3, move(3))) == {"an update out of nothing": 1}


def test_clients_in_step_receive_the_same() -> None:
    checker = Checker()
    checker.take(update(4, move(4)), GOLD, 3)
    checker.take(update(4), GOLD, 3)
    checker.take(update(4, move(4), amount=1.0), GOLD, 3)
    assert dict(checker.violations) == {"two stories": 1, "two prices": 1}


def test_moves_are_those_of_a_clients_metals() -> None:
    checker = Checker()
    both = msgspec.structs.replace(
        update(5, move(4), move(5), move(5, "silver"), conflated=1), data={"gold": price(105.0), "silver": price(15.0)}
    )
    checker.take(both, BOTH, 3)
    checker.take(update(5, move(4), move(5), conflated=1), GOLD, 3)
    checker.compare(TRUTH)
    assert not checker.violations


def test_the_truth_is_read_from_the_database(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "db") as database:
        database.execute(
            "CREATE TABLE prices_price (seq, metal_id, quoted_at, price decimal, bid decimal, ask decimal,"
            " open decimal, high decimal, low decimal, previous_close decimal, source)"
        )
        database.execute(
            "INSERT INTO prices_price VALUES (7, 'gold', '2026-01-01 00:00:00', '101.5', 101, 102, 1, 2, 3, NULL, 'a')"
        )
        database.execute("INSERT INTO prices_price VALUES (NULL, 'gold', '2025-01-01 00:00:00', 1,1,1,1,1,1,1, 'a')")
        database.execute(
            "CREATE TABLE prices_significantchange (id, seq, metal_id, old_price decimal, new_price decimal)"
        )
        database.execute("INSERT INTO prices_significantchange VALUES (1, 7, 'gold', '100.25', '101.5')")
    database.close()
    truth = Truth.read(tmp_path / "db")
    assert truth.moves == [(7, Move("gold", 100.25, 101.5))]
    assert truth.price("gold", 9) == Price(
        "2026-01-01T00:00:00.000Z", 101.5, 1.0, 2.0, 3.0, None, "a", bid=101.0, ask=102.0, stale=False
    )
    assert truth.price("gold", 6) is None


# --- clients ---------------------------------------------------------------------------------------------------------


def message(each: Update) -> str:
    return msgspec.json.encode({"type": "priceUpdate", **msgspec.to_builtins(each)}).decode()


async def first(updates: AsyncIterator[Update | None], count: int) -> list[int | None]:
    """The seqs of the first updates; None where the subscription was taken."""
    found: list[int | None] = []
    async with aclosing(updates):  # type: ignore[type-var]
        async for each in updates:
            found.append(each.seq if each else None)
            if len(found) == count:
                break
    return found


@asynccontextmanager
async def answering(answer: Callable[[bytes], list[bytes]]) -> AsyncIterator[tuple[int, list[bytes]]]:
    """An HTTP server that answers each request in parts; its port, and the requests."""
    requests: list[bytes] = []
    ended: list[asyncio.Event] = []

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ended.append(gone := asyncio.Event())
        try:
            while True:
                requests.append(await reader.readuntil(b"\r\n\r\n"))
                for part in answer(requests[-1]):
                    writer.write(part)
                    await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
            gone.set()

    async with await asyncio.start_server(take, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1], requests
        for each in ended:
            await each.wait()


@pytest.mark.parametrize("deflate", [False, True])
async def test_a_client_of_websocket_says_from_where_it_resumes(deflate: bool) -> None:
    said: list[Any] = []

    async def stream(connection: ServerConnection) -> None:
        await connection.send(message(update(1, snapshot=True)))
        said.append(json.loads(await connection.recv()))
        await connection.ping()
        await connection.send('{"type":"subscribed","metals":["gold"]}')
        await connection.send(message(update(9)))
        await connection.close(1012, "Service restart")

    async with serve(stream, "127.0.0.1", 0, compression="deflate") as server:
        port = next(iter(server.sockets)).getsockname()[1]
        transport = partial(viewers.websocket, deflate=deflate)
        assert await first(transport(port, GOLD, Position("abc", 5)), 3) == [1, None, 9]
        with pytest.raises(EndedError, match=r"closed: 1012 Service restart"):
            await first(transport(port, GOLD, None), 4)
    resumed = {"type": "subscribe", "metals": ["gold"], "epoch": "abc", "since": 5}
    assert said == [resumed, resumed | {"epoch": None, "since": None}]


@pytest.mark.parametrize("is_chunked", [False, True])
async def test_a_client_of_events_says_from_where_it_resumes(is_chunked: bool) -> None:
    events = "".join(f"id: abc:{seq}\nevent: priceUpdate\ndata: {message(update(seq))}\n\n" for seq in (6, 7))
    body = f'retry: 3000\n\nevent: status\ndata: {{"type":"status"}}\n\n{events}'.encode()
    parts = [body[at : at + 50] for at in range(0, len(body), 50)]
    if is_chunked:
        parts = [b"%x\r\n%b\r\n" % (len(part), part) for part in parts]
    encoding = b"Transfer-Encoding: chunked\r\n" if is_chunked else b"Connection: close\r\n"
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n" + encoding + b"\r\n"
    async with answering(lambda request: [head, *parts]) as (port, requests):
        assert await first(viewers.events(port, BOTH, Position("abc", 5)), 2) == [6, 7]
    assert requests[0].startswith(b"GET /api/v1/stream/?metals=gold,silver HTTP/1.1\r\n")
    assert b"\r\nLast-Event-ID: abc:5\r\n" in requests[0]


async def test_a_client_of_polls_goes_on_from_each_answer() -> None:
    seqs = iter((6, 0, 8))

    def answer(request: bytes) -> list[bytes]:
        if not (seq := next(seqs)):
            return [b"HTTP/1.1 204 No Content\r\n\r\n"]
        body = message(update(seq)).encode()
        return [b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)]

    async with answering(answer) as (port, requests):
        assert await first(viewers.poll(port, GOLD, None), 2) == [6, 8]
    addresses = [request.split()[1].decode() for request in requests]
    later = "/api/v1/prices/?wait=25&metals=gold&epoch=abc&since=6"
    assert addresses == ["/api/v1/prices/?wait=25&metals=gold", later, later]


@pytest.mark.parametrize("transport", [viewers.websocket, viewers.events, viewers.poll])
async def test_a_refusal_is_said(transport: viewers.Open) -> None:
    async with answering(lambda request: [b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"]) as (
        port,
        _,
    ):
        with pytest.raises(EndedError, match="503"):
            await first(transport(port, GOLD, None), 1)


async def test_a_viewer_is_checked_for_all_metals_until_its_subscription_is_taken() -> None:
    crowd = Crowd(0, Checker())
    crowd.staying.set()

    async def stream(port: int, metals: frozenset[str], position: Position | None) -> AsyncIterator[Update | None]:
        yield update(5, snapshot=True)  # gold alone, while all four are expected
        yield None
        yield update(6, move(6))
        yield update(7, move(7))

    viewer = Viewer(crowd, "stream", stream, GOLD, Random(1), Position("abc", 5))
    await viewer._watch()
    assert viewer.position == ("abc", 7)
    assert dict(crowd.checker.violations) == {"other metals": 1}


async def test_a_client_that_reads_everything_is_not_to_be_cut_off() -> None:
    crowd = Crowd(0, Checker())
    crowd.staying.set()
    ends = asyncio.Event()

    async def cut_off(port: int, metals: frozenset[str], position: Position | None) -> AsyncIterator[Update | None]:
        if crowd.checker.violations:
            ends.set()
            await asyncio.Event().wait()
        yield None
        raise ConnectionResetError

    life = asyncio.create_task(Viewer(crowd, "stream", cut_off, GOLD, Random(1)).live())
    async with asyncio.timeout(5):
        await ends.wait()
    life.cancel()
    assert dict(crowd.checker.violations) == {"an end without a reason": 1}
    assert crowd.checker.described == ["an end without a reason: stream: ConnectionResetError(), stalled []"]
