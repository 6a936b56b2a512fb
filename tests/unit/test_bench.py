"""The bench's own parts: the meter against a server that is not ours, and the report of its figures."""

import asyncio
import contextlib
import json
import resource
import shutil
import socket
import socketserver
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, broadcast, serve
from websockets.exceptions import ConnectionClosedError
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.http11 import Request, Response

from bench import http, machine, report, rows, servers
from bench.meter import Ages, Meter, ages, build, percentile
from bench.report import Line

needs_compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="the meter is C, and there is no compiler")
PADDING = "x" * 500  # so that an update is worth compressing, and does not fit a short frame


@pytest.fixture(scope="session")
def meter_binary(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bool]:
    """The meter, and whether it reads what is compressed."""
    return build(tmp_path_factory.mktemp("meter"))


class Publisher:
    """A WebSocket server that sends a snapshot to each client, and publishes on demand."""

    def __init__(self) -> None:
        self.port = 0
        self.seq = 0
        self.connections: set[ServerConnection] = set()
        self.received: list[Any] = []
        self.snapshot_after = 0.0
        self.close_code: int | None = None

    async def serve(self, connection: ServerConnection) -> None:
        if self.close_code:
            await connection.close(self.close_code)
            return
        self.connections.add(connection)
        await connection.send('{"type":"status","feed":"live"}')
        await asyncio.sleep(self.snapshot_after)
        await connection.send(self.update())
        with contextlib.suppress(ConnectionClosedError):  # the meter takes no leave
            async for message in connection:
                self.received.append(json.loads(message))
        self.connections.discard(connection)

    def update(self) -> str:
        return json.dumps({"type": "priceUpdate", "padding": PADDING, "seq": self.seq})

    def publish(self) -> dict[int, int]:
        """Send the next update to all, and say when."""
        self.seq += 1
        at = time.monotonic_ns()
        broadcast(self.connections, self.update())
        return {self.seq: at}


Serve = Callable[..., AbstractAsyncContextManager[tuple[Publisher, Meter]]]


@pytest.fixture
def publishing(meter_binary: tuple[Path, bool]) -> Serve:
    """A publisher with a meter on it."""

    @asynccontextmanager
    async def start(**options: Any) -> AsyncIterator[Any]:
        meter_options: dict[str, Any] = {
            name: options.pop(name) for name in ("deflate", "record", "processes", "sse") if name in options
        }
        publisher = Publisher()
        options = {"compression": None, "close_timeout": 0.1} | options
        async with serve(publisher.serve, "127.0.0.1", 0, **options) as server:
            publisher.port = next(iter(server.sockets)).getsockname()[1]
            with Meter(meter_binary[0], publisher.port, **meter_options) as meter:
                yield publisher, meter

    return start


async def settled(meter: Meter) -> dict[str, Any]:
    """The counts, once nothing more comes; the server goes on meanwhile."""
    return await asyncio.to_thread(meter.settled)


@needs_compiler
async def test_every_update_is_counted_and_timed_at_every_client(publishing: Serve) -> None:
    async with publishing() as (publisher, meter):
        opened = await asyncio.to_thread(meter.open, 20, in_flight=5)
        assert (opened.opened, opened.failed, opened.unfinished) == (20, 0, 0)
        meter.mark()
        stamps: dict[int, int] = {}
        for _ in range(5):
            stamps |= publisher.publish()
            await asyncio.sleep(0.02)
        counted = await settled(meter)
        found = ages(meter.arrivals(), stamps, 20)
    assert (counted["updates"], counted["messages"], counted["open"]) == (100, 100, 20)
    assert counted["bytes"] == 100 * (len(publisher.update()) + 4)
    assert (found.pairs, found.missing) == (100, 0)
    assert 0 < found.p50 <= found.p99 <= found.worst < 1000
    assert publisher.received == [{"type": "subscribe", "metals": ["*"]}] * 20


@needs_compiler
@pytest.mark.parametrize("fresh", [True, False], ids=["a fresh window for each message", "a window that is kept"])
async def test_compressed_updates_are_read(publishing: Serve, meter_binary: tuple[Path, bool], fresh: bool) -> None:
    factory = ServerPerMessageDeflateFactory(server_no_context_takeover=fresh)
    async with publishing(deflate=True, compression=None, extensions=[factory]) as (publisher, meter):
        await asyncio.to_thread(meter.open, 4, in_flight=4)
        meter.mark()
        seqs = [seq for _ in range(3) for seq in publisher.publish()]
        counted = await settled(meter)
        arrivals = list(meter.arrivals())
    assert (counted["updates"], counted["compressed"]) == (12, 12)
    assert counted["bytes"] < 12 * 100
    if meter_binary[1]:
        for client in range(4):
            assert [seq for _, seq, at, _ in arrivals if at == client] == seqs


@needs_compiler
async def test_a_client_has_come_when_it_has_its_first_update(publishing: Serve) -> None:
    async with publishing() as (publisher, meter):
        publisher.snapshot_after = 0.2
        opened = await asyncio.to_thread(meter.open, 6, in_flight=3)
    assert opened.opened == 6
    assert 0.4 <= opened.seconds < 2.0


@needs_compiler
async def test_clients_that_are_refused_are_counted_with_the_code(publishing: Serve) -> None:
    async with publishing() as (publisher, meter):
        publisher.close_code = 1008
        opened = await asyncio.to_thread(meter.open, 3, in_flight=3)
        assert (opened.opened, opened.failed) == (0, 3)
        assert meter.report()["codes"] == {"1008": 3}


@needs_compiler
async def test_a_handshake_that_is_refused_is_a_failure(publishing: Serve) -> None:
    def refuse(connection: ServerConnection, request: Request) -> Response:
        return connection.respond(HTTPStatus.FORBIDDEN, "no")

    async with publishing(process_request=refuse) as (_, meter):
        opened = await asyncio.to_thread(meter.open, 3, in_flight=3)
    assert (opened.opened, opened.failed) == (0, 3)


@needs_compiler
async def test_after_a_storm_all_are_back_with_a_snapshot(publishing: Serve) -> None:
    async with publishing() as (publisher, meter):
        await asyncio.to_thread(meter.open, 10, in_flight=10)
        before = set(publisher.connections)
        meter.mark()
        back = await asyncio.to_thread(meter.storm, in_flight=10)
        arrivals = meter.arrivals()
        assert back.opened == 10
        assert sorted(client for _, _, client, first in arrivals if first) == list(range(10))
        assert not before & publisher.connections


@needs_compiler
async def test_stalled_clients_read_only_once_they_are_woken(publishing: Serve) -> None:
    async with publishing() as (publisher, meter):
        await asyncio.to_thread(meter.open, 2, in_flight=2)
        await asyncio.to_thread(meter.stall, 3)
        while len(publisher.received) < 5:  # what each says first is read once it has been sent its snapshot
            await asyncio.sleep(0.01)
        meter.mark()
        publisher.publish()
        assert (await settled(meter))["updates"] == 2
        meter.wake()
        await settled(meter)
        woken = {(client, seq) for _, seq, client, _ in meter.arrivals() if client >= 2}
    # A snapshot may have come together with the handshake's answer, and been read with it.
    assert woken - {(2, 0), (3, 0), (4, 0)} == {(2, 1), (3, 1), (4, 1)}


@needs_compiler
async def test_pings_are_answered(publishing: Serve) -> None:
    async with publishing() as (publisher, meter):
        await asyncio.to_thread(meter.open, 1, in_flight=1)
        (connection,) = publisher.connections
        assert await asyncio.wait_for(await connection.ping(), 5) >= 0


@needs_compiler
async def test_updates_are_recorded_as_they_came(publishing: Serve, tmp_path: Path) -> None:
    async with publishing(record=tmp_path / "updates") as (publisher, meter):
        await asyncio.to_thread(meter.open, 2, in_flight=2)
        publisher.publish()
        await settled(meter)
    recorded = [json.loads(line)["seq"] for line in (tmp_path / "updates").read_text().splitlines()]
    assert recorded == [0, 1]


@needs_compiler
async def test_clients_of_several_processes_are_counted_together(publishing: Serve) -> None:
    async with publishing(processes=3) as (publisher, meter):
        opened = await asyncio.to_thread(meter.open, 10, in_flight=4)
        assert (opened.opened, opened.failed, opened.unfinished) == (10, 0, 0)
        assert {connection.remote_address[0] for connection in publisher.connections} == {
            "127.0.0.1",
            "127.0.0.2",
            "127.0.0.3",
        }
        meter.mark()
        stamps = publisher.publish() | publisher.publish()
        counted = await settled(meter)
        found = ages(meter.arrivals(), stamps, 10)
    assert (counted["updates"], counted["open"]) == (20, 10)
    assert (found.pairs, found.missing) == (20, 0)


class Events:
    """An HTTP server whose answers are event streams, cut as a test wants them."""

    def __init__(self, head: bytes, cut: Callable[[bytes], list[bytes]]) -> None:
        self._head = head
        self._cut = cut
        self._writers: list[asyncio.StreamWriter] = []
        self.requests: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.requests.append(await reader.readuntil(b"\r\n\r\n"))
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n" + self._head + b"\r\n")
        await self.send(writer, b": welcome\n\nevent: status\ndata: {}\n\n")
        self._writers.append(writer)
        await self.send(writer, self.event(0))

    def event(self, seq: int) -> bytes:
        data = json.dumps({"type": "priceUpdate", "padding": PADDING, "seq": seq})
        return f"event: priceUpdate\nid: abc:{seq}\ndata: {data}\n\n".encode()

    async def send(self, writer: asyncio.StreamWriter, text: bytes) -> None:
        for part in self._cut(text):
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0.001)  # so that each part arrives by itself

    async def publish(self, seq: int) -> None:
        for writer in self._writers:
            await self.send(writer, self.event(seq))

    def end(self) -> None:
        for writer in self._writers:
            writer.close()


def chunks(text: bytes) -> list[bytes]:
    """Chunks of 100 bytes, as HTTP/1.1 has them, cut again wherever they may be."""
    body = b"".join(
        b"%X\r\n%b\r\n" % (len(text[at : at + 100]), text[at : at + 100]) for at in range(0, len(text), 100)
    )
    return [body[at : at + 37] for at in range(0, len(body), 37)]


@needs_compiler
@pytest.mark.parametrize(
    ("head", "cut"),
    [
        (b"", lambda text: [text]),
        (b"Connection: close\r\n", lambda text: [text[:7], text[7:-1], text[-1:]]),
        (b"Transfer-Encoding: chunked\r\n", chunks),
    ],
    ids=["until the end", "in pieces", "in chunks"],
)
async def test_events_are_read_however_they_are_cut(
    meter_binary: tuple[Path, bool], head: bytes, cut: Callable[[bytes], list[bytes]]
) -> None:
    events = Events(head, cut)
    async with await asyncio.start_server(events.serve, "127.0.0.1", 0) as server:
        with Meter(meter_binary[0], server.sockets[0].getsockname()[1], sse=True) as meter:
            opened = await asyncio.to_thread(meter.open, 3, in_flight=3)
            assert (opened.opened, opened.failed) == (3, 0)
            meter.mark()
            for seq in (1, 2):
                await events.publish(seq)
            counted = await settled(meter)
            arrivals = list(meter.arrivals())
            events.end()
            while meter.report()["closed"] < 3:
                await asyncio.sleep(0.01)
    assert (counted["updates"], counted["messages"], counted["closed"]) == (6, 6, 0)
    for client in range(3):
        assert [seq for _, seq, of, _ in arrivals if of == client] == [1, 2]
    assert events.requests[0].startswith(b"GET /api/v1/stream/?metals=* HTTP/1.1\r\n")


@needs_compiler
async def test_an_answer_without_events_is_a_failure(publishing: Serve) -> None:
    async with publishing(sse=True) as (_, meter):  # a server of WebSockets refuses a request without an upgrade
        opened = await asyncio.to_thread(meter.open, 2, in_flight=2)
    assert (opened.opened, opened.failed) == (0, 2)


@needs_compiler
async def test_the_floor_sends_each_publication_to_each_client(meter_binary: tuple[Path, bool], tmp_path: Path) -> None:
    around = servers.Surroundings(tmp_path, "")
    recorded = [{"type": "priceUpdate", "seq": seq, "padding": f"{seq}" * 300} for seq in (7, 8)]
    around.payloads.write_text("".join(json.dumps(update, separators=(",", ":")) + "\n" for update in recorded))
    with servers.Floor(around) as floor, Meter(meter_binary[0], floor.port) as meter:
        assert meter.open(5, in_flight=5).opened == 5
        meter.mark()
        stamps = floor.publishing(20, 3).stamps()
        counted = meter.settled()
        found = ages(meter.arrivals(), stamps, 5)
    assert list(stamps) == [1, 2, 3]
    assert (counted["updates"], found.pairs, found.missing) == (15, 15, 0)
    assert 0 < found.p50 < 1000


# --- what is made of it --------------------------------------------------------------------------------------------


def milliseconds(number: int) -> int:
    return number * 1_000_000


def test_ages_are_of_every_publication_at_every_client() -> None:
    stamps = {7: 0, 8: milliseconds(100)}
    arrivals = [
        (milliseconds(2), 7, 0, False),
        (milliseconds(4), 7, 1, False),
        (milliseconds(101), 8, 0, False),
        (milliseconds(103), 8, 1, False),
    ]
    assert ages(arrivals, stamps, 2) == Ages(p50=3.0, p99=4.0, worst=4.0, pairs=4, missing=0)


def test_a_merged_update_brings_each_publication_that_is_in_it() -> None:
    found = ages([(milliseconds(250), 9, 0, False)], {7: 0, 8: milliseconds(100), 9: milliseconds(200)}, 1)
    assert (found.p50, found.worst, found.pairs, found.missing) == (150.0, 250.0, 3, 0)


def test_a_publication_that_never_came_is_missing() -> None:
    assert ages([(milliseconds(1), 7, 0, False)], {7: 0, 8: 0}, 2).missing == 3


def test_a_snapshot_is_no_late_publication() -> None:
    arrivals = [(milliseconds(1), 7, 0, False), (milliseconds(900), 9, 0, True), (milliseconds(901), 10, 0, False)]
    stamps = {7: 0, 8: milliseconds(100), 9: milliseconds(200), 10: milliseconds(900)}
    found = ages(arrivals, stamps, 1)
    assert (found.worst, found.pairs, found.missing) == (1.0, 2, 0)


@pytest.mark.parametrize(("share", "value"), [(0.5, 50), (0.99, 99), (1, 100)])
def test_a_percentile_is_one_of_the_values(share: float, value: int) -> None:
    assert percentile(range(101), share) == value


@pytest.mark.parametrize(("seqs", "after"), [([1, 2, 3, 600], 1), ([1, 2, 500, 501, 600], 3), ([600], 1)])
def test_a_woken_client_is_owed_one_update_after_the_gap(seqs: list[int], after: int) -> None:
    assert rows._after_the_gap(seqs) == after


def test_a_ratio_is_the_median_of_the_rounds() -> None:
    words, value = report.ratio([1.0, 2.0, 9.0], [2.0, 2.0, 3.0])
    assert (words, value) == ("1 (0.5-3) ×", 1.0)


def test_rows_that_were_measured_again_replace_their_old_lines_alone(tmp_path: Path) -> None:
    store, page = tmp_path / "results.json", tmp_path / "performance.md"
    page.write_text(f"# Performance\n\nHow.\n\n{report.BEGIN}\nold\n{report.END}\n\nAfterwards.\n")
    report.keep(store, "plain", [Line("CPU", ["2 µs", "3 µs"], "0.67 ×", "≤ 0.9", "yes")])
    report.keep(store, "memory", [Line("memory", ["30 KB"])])
    report.keep(store, "memory", [Line("memory", ["20 KB"])])
    report.write(page, report.results(store, ["memory", "plain"]))
    text = page.read_text()
    assert text.startswith(f"# Performance\n\nHow.\n\n{report.BEGIN}\n\n{machine.description()}, {machine.today()}")
    assert "| memory | 20 KB |  |  |  |  |  |  |  |\n| CPU | 2 µs | 3 µs |  |  |  | 0.67 × | ≤ 0.9 | yes |\n" in text
    assert text.endswith(f"{report.END}\n\nAfterwards.\n")
    assert "old" not in text
    assert "30 KB" not in text


# --- what is missing is said in one line ---------------------------------------------------------------------------


def test_without_a_compiler_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(machine.MissingError, match=r"^There is no C compiler: the meter needs cc .*apt install gcc"):
        build(tmp_path)


def test_without_node_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(machine.MissingError, match=r"^There is no Node to measure against: install Node 18 or 20"):
        servers.install_node_packages()


def test_too_few_open_files_are_said_before_anything_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_CORES", [0, 1])
    monkeypatch.setattr(resource, "getrlimit", lambda which: (1024, 4096))
    monkeypatch.setattr(resource, "setrlimit", lambda which, limits: None)
    machine.prepare(1000)
    with pytest.raises(machine.MissingError, match=r"^10000 connections need 10200 open files .* 4096 are allowed"):
        machine.prepare(10_000)


def test_one_core_is_not_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_CORES", [0])
    with pytest.raises(machine.MissingError, match=r"^Two cores are needed"):
        machine.prepare(1)


# --- requests ------------------------------------------------------------------------------------------------------


@pytest.fixture
def answering() -> Iterator[Callable[[bytes], int]]:
    """Servers that answer each request alike, on connections that are kept; each gives its port."""
    with contextlib.ExitStack() as servers:

        def start(answer: bytes) -> int:
            class Handler(socketserver.StreamRequestHandler):
                def handle(self) -> None:
                    with contextlib.suppress(ConnectionError):
                        while self.rfile.readline():
                            while self.rfile.readline().strip():
                                pass
                            self.wfile.write(answer)

            server = servers.enter_context(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler))
            server.daemon_threads = True
            threading.Thread(target=server.serve_forever, args=(0.01,)).start()
            servers.callback(server.shutdown)
            return int(server.server_address[1])

        yield start


def test_answers_are_counted_once_they_are_whole(answering: Callable[[bytes], int]) -> None:
    port = answering(b'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: "a"\r\n\r\nhello')
    assert http.rate(port, "/", seconds=0.2) > 16
    unchanged = answering(b'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\n\r\n')
    assert http.rate(unchanged, "/", seconds=0.2, status=304, If_None_Match='"a"') > 16


def test_an_answer_of_another_status_is_none(answering: Callable[[bytes], int]) -> None:
    port = answering(b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n")
    with pytest.raises(RuntimeError, match="/prices/ answers .*429"):
        http.rate(port, "/prices/", seconds=0.2)
