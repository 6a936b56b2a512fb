"""The engine with an echo application in a process of its own, as fixtures."""

import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

from tests.support.echo_server import DELIBERATE
from tests.support.environment import STATE_DIR
from tests.support.product import Process, free_port, wait_until
from tests.support.raw_websocket import Peer

_numbers = itertools.count()


class EchoServer:
    """One process of tests/support/echo_server.py."""

    def __init__(self, *, timeout: float = 30.0, standstill: float = 60.0, files: int = 0, nested: bool = True) -> None:
        self.port = free_port()
        self.ws_url = f"ws://127.0.0.1:{self.port}/"
        order = {"port": self.port, "timeout": timeout, "standstill": standstill, "files": files, "nested": nested}
        log = STATE_DIR / f"echo-{next(_numbers)}.log"
        self.process = Process(["-m", "tests.support.echo_server", json.dumps(order)], log, {})
        wait_until(lambda: "ready" in self.process.output, "the echo server to be ready")

    @property
    def peak_memory(self) -> int:
        """The most memory that the process ever had, in bytes (Linux)."""
        status = Path(f"/proc/{self.process.popen.pid}/status").read_text()
        return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))

    def complaints(self, since: int = 0) -> str:
        """The output after `since` characters if it has a traceback that no test meant, else an empty string."""
        output = self.process.output[since:]
        return output if output.count("Traceback (most recent") != output.count(DELIBERATE) else ""


@pytest.fixture(scope="module")
def run_echo_server() -> Iterator[Callable[..., EchoServer]]:
    """Start echo servers with limits of their own."""
    servers: list[EchoServer] = []

    def start(**limits: Any) -> EchoServer:
        servers.append(EchoServer(**limits))
        return servers[-1]

    yield start
    for server in servers:
        server.process.stop()


@pytest.fixture(scope="module")
def echo(run_echo_server: Callable[..., EchoServer]) -> EchoServer:
    """An echo server with time for everything."""
    return run_echo_server()


@pytest.fixture(scope="module")
def neighbour(echo: EchoServer) -> Iterator[ClientConnection]:
    """A well-behaved client of the same server."""
    with connect(echo.ws_url, compression=None) as client:
        yield client


@pytest.fixture
def caller(echo: EchoServer) -> Iterator[Peer]:
    """A TCP connection without a handshake."""
    with Peer(echo.port) as peer:
        yield peer


@pytest.fixture
def undisturbed(echo: EchoServer, neighbour: ClientConnection) -> Iterator[None]:
    """Check after the test that the neighbour still gets its echo, and that the server printed no traceback.

    The server reads what a test sent before it reads the neighbour's words, so its log is complete by then.
    """
    mark = len(echo.process.output)
    yield
    neighbour.send("still there?")
    assert neighbour.recv(timeout=1) == "still there?"
    complaints = echo.complaints(mark)
    assert not complaints, complaints
