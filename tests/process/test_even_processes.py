"""Several web processes behind one socket share in connections evenly, whatever happens to one of them."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from subprocess import PIPE
from typing import Self

import pytest
from websockets.asyncio.client import connect as aconnect
from websockets.exceptions import ConnectionClosed

from streaming.engine import balance
from tests.support.product import ROOT, descendants, wait_until
from tests.support.raw_websocket import Peer
from tests.support.scrape import by_label, rejections
from tests.support.server import Server
from tests.support.stream_client import close_of

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="asks /proc")


class Processes:
    """A server of several web processes, all of which listen, and the clients of one test."""

    def __init__(self, server: Server, number: int) -> None:
        self.server = server
        self._listening = 0
        self._clients = contextlib.ExitStack()
        server.publish(gold="100")
        self.wait_for_more(number)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Close the clients, and wait until no process counts any."""
        self._clients.close()
        wait_until(lambda: not self.counted(), "the clients to be gone")

    def wait_for_more(self, processes: int) -> None:
        """Wait until so many more have begun to listen."""
        self._listening += processes
        wait_until(lambda: self.server.output.count("listening on") >= self._listening, "a process to listen", 30)

    def pids(self) -> list[int]:
        """The web processes."""
        return [pid for pid, command in descendants(self.server.pid).items() if "--balance" in command]

    def open(self, clients: int) -> None:
        """Open so many more, fifty at a time, each until its first price. Fails if one is refused."""
        with ThreadPoolExecutor(50) as pool:
            closes = list(pool.map(lambda _: self.try_to_open(), range(clients)))
        assert closes == [(0, "")] * clients

    def try_to_open(self) -> tuple[int, str]:
        """Open one more, and return the code and the reason with which it is closed; 0 if it is served."""
        return close_of(self._clients.enter_context(Peer(self.server.port)))

    def load(self) -> float:
        """The connections that all processes serve, as those that live show each other."""
        return sum(place.load for place in self.places() if time.monotonic() - place.seen_at < 2)

    def places(self) -> list[balance.Place]:
        """The places of the processes, those too that ended; places that were never taken are left out."""
        command = next(command for command in descendants(self.server.pid).values() if "--balance" in command)
        memory = Path(f"/proc/{self.server.pid}/fd/{command.split()[-1]}").read_bytes()
        return [place for place in balance.places(memory) if place.seen_at]

    def counted(self) -> list[int]:
        """The connections of each process that counts any, fewest first."""
        return sorted(int(number) for number in by_label(self.server, "swarna_connections").values())

    def spread(self, clients: int) -> list[int]:
        """The same, once so many are counted."""
        return wait_until(lambda: found if sum(found := self.counted()) == clients else [], f"{clients} connections")


Run = Callable[..., Processes]


@pytest.fixture(scope="module")
def run_processes(run_server: Callable[..., Server], tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Start web processes."""

    def run(number: int, **environment: str) -> Processes:
        server = run_server(
            command=["manage.py", "serve", "--processes", str(number)],
            METRICS_DIR=str(tmp_path_factory.mktemp("metrics")),
            **environment,
        )
        return Processes(server, number)

    return run


@pytest.fixture(scope="module")
def four_processes(run_processes: Run) -> Processes:
    return run_processes(4, WS_MAX_CONNECTIONS="1000")


@pytest.fixture
def four(four_processes: Processes) -> Iterator[Processes]:
    """Four web processes without a client."""
    with four_processes:
        yield four_processes


@pytest.fixture(scope="module")
def two_processes(run_processes: Run) -> Processes:
    return run_processes(2, WS_MAX_CONNECTIONS="1000", WS_RESTART_SPREAD="500")


@pytest.fixture
def two(two_processes: Processes) -> Iterator[Processes]:
    """Two web processes without a client."""
    with two_processes:
        yield two_processes


def test_a_thousand_connections_are_spread_within_a_tenth(four: Processes) -> None:
    four.open(1000)
    spread = four.spread(1000)
    assert len(spread) == 4
    assert spread[-1] <= 1.1 * spread[0], spread


def test_clients_are_refused_only_when_every_process_is_full(run_processes: Run) -> None:
    with run_processes(2, WS_MAX_CONNECTIONS="20") as two:
        two.open(40)
        assert [two.try_to_open() for _ in range(5)] == [(1008, "Server at capacity")] * 5
        assert two.spread(40) == [20, 20]
        assert rejections(two.server) == {"capacity": 5}
        for path in ("/healthz", "/api/v1/prices/"):
            with urllib.request.urlopen(f"{two.server.http_url}{path}", timeout=5) as response:
                assert response.status == 200


def test_a_stopped_process_keeps_nobody_waiting_for_long_and_gets_its_share_later(four: Processes) -> None:
    four.open(80)
    stopped = four.pids()[0]
    os.kill(stopped, signal.SIGSTOP)
    try:
        began = time.monotonic()
        four.open(60)
        assert time.monotonic() - began < 3
        assert four.spread(140) == about([20, 40, 40, 40])
    finally:
        continued = time.monotonic()
        os.kill(stopped, signal.SIGCONT)
    wait_until(lambda: all(place.seen_at > continued for place in four.places()), "a sign of life from each process")
    four.open(60)
    assert four.spread(200) == about([50, 50, 50, 50])


def test_processes_show_what_they_serve_on_any_transport_and_nothing_once_all_have_gone(two: Processes) -> None:
    with urllib.request.urlopen(f"{two.server.http_url}/api/v1/prices/", timeout=5) as response:
        seq = json.load(response)["seq"]
    wait_until(lambda: two.load() == 0, "that request to be over")
    with contextlib.ExitStack() as stack:
        silent, kept, poll, events, stream, upgraded = (stack.enter_context(Peer(two.server.port)) for _ in range(6))
        assert kept.shake(get("/healthz")).status == 200  # counts no more
        poll.send(get(f"/api/v1/prices/?wait=25&since={seq}"))
        assert events.shake(get("/api/v1/stream/")).status == 200
        stream.open()
        assert upgraded.shake(get("/healthz")).status == 200
        upgraded.take(len(b"ok"))
        upgraded.open()
        wait_until(lambda: two.load() == 5, "five to be served")
        silent.send(get("/healthz"))
        wait_until(lambda: two.load() == 4, "one that was silent to be answered")
    wait_until(lambda: two.load() == 0, "nothing to be left")


def test_what_takes_the_place_of_a_killed_process_fills_up(two: Processes) -> None:
    two.open(60)
    assert two.spread(60) == about([30, 30])
    os.kill(two.pids()[0], signal.SIGKILL)
    two.wait_for_more(1)
    (kept,) = two.counted()
    two.open(kept)
    assert two.spread(2 * kept) == about([kept, kept])


async def test_a_rolling_replacement_stays_even_and_loses_nobody(two: Processes) -> None:
    restarts = 0

    async def stay() -> None:
        """Be a client that comes back when it is told to. Ends only by a failure."""
        nonlocal restarts
        after_ms = 0
        while True:
            await asyncio.sleep(after_ms / 1000)
            async with aconnect(two.server.ws_url, compression=None) as client:
                with contextlib.suppress(ConnectionClosed):
                    while True:
                        after_ms = json.loads(await client.recv()).get("afterMs", 0)
            assert client.close_code == 1012
            restarts += 1

    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        clients = [group.create_task(stay()) for _ in range(200)]
        await asyncio.to_thread(two.spread, 200)
        two.server.signal(signal.SIGUSR1)
        await asyncio.to_thread(two.wait_for_more, 2)
        while restarts < 200:
            await asyncio.sleep(0.05)
        assert await asyncio.to_thread(two.spread, 200) == about([100, 100])
        for client in clients:
            client.cancel()


def test_a_place_is_free_again_when_its_process_has_ended() -> None:
    memory = balance.shared_memory(1)
    join = (
        "from streaming.engine import balance;"
        f"place = balance.join({memory}, 5); print(place is not None, flush=True); input()"
    )

    def joined() -> tuple[subprocess.Popen[str], bool]:
        process = started.enter_context(
            subprocess.Popen(
                [sys.executable, "-c", join],
                cwd=ROOT,
                pass_fds=[memory],
                stdin=PIPE,
                stdout=PIPE,
                stderr=PIPE,
                text=True,
            )
        )
        started.callback(process.kill)
        assert process.stdout is not None
        return process, process.stdout.readline() == "True\n"

    with contextlib.ExitStack() as started:
        (first, has_place), (_, second_has_place), (left_out, third_has_place) = joined(), joined(), joined()
        assert (has_place, second_has_place, third_has_place) == (True, True, False)
        first.kill()
        first.wait(5)
        assert joined()[1]
        _, logged = left_out.communicate("\n", timeout=5)
        assert "not spread evenly" in logged
    os.close(memory)


def get(path: str) -> bytes:
    """A request that keeps its connection."""
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()


def about(connections: list[int]) -> object:
    """These numbers, give or take as many as one process may be ahead of another."""
    return pytest.approx(connections, abs=9)
