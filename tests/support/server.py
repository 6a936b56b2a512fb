"""A web process of the product, as fixtures."""

import datetime as dt
import itertools
import json
import signal
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, connections

from prices.domain.quotes import Publication
from prices.publishing import ingest
from tests.support.environment import STATE_DIR
from tests.support.product import Process, answers, free_port, wait_until
from tests.support.quotes import quote

_numbers = itertools.count()


class Server:
    """A web process of the product, and access to its database and Valkey. `{port}` in its command is the port."""

    def __init__(self, log: Path, environment: dict[str, str], command: Iterable[str] = ("manage.py", "serve")) -> None:
        self.port = free_port()
        self.http_url = f"http://127.0.0.1:{self.port}"
        self.ws_url = f"ws://127.0.0.1:{self.port}/"
        self._log = log
        self.environment = environment
        self.command = [word.format(port=self.port) for word in command]
        self._process: Process | None = None
        # Ingest is synchronous, and a test may have an event loop in its own thread.
        self._hand = ThreadPoolExecutor(1)

    def start(self) -> None:
        self._process = Process(self.command, self._log, self.environment | {"WEBSOCKET_PORT": str(self.port)})
        try:
            wait_until(lambda: answers(f"{self.http_url}/healthz"), "the web process to answer", 60)
        except AssertionError:
            self._process.stop()  # else it would outlive the tests
            raise

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.popen.pid

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.popen.send_signal(number)

    def wait(self) -> int:
        """The exit code of the web process, once it has ended."""
        assert self._process is not None
        return self._process.popen.wait(10)

    def kill(self) -> None:
        """Take the web process down as a crash would."""
        assert self._process is not None
        self._process.popen.kill()
        self._process.popen.wait()

    def stop(self) -> None:
        if self._process is not None:
            self._process.stop()
        self.do(lambda: connection.close())  # this thread's own
        self._hand.shutdown()

    def do(self, work: Callable[[], Any]) -> Any:
        """Run something with the server's database and Valkey."""
        return self._hand.submit(work).result()

    def publish(
        self, *, source: str = "gold_api_com", quoted_at: dt.datetime | None = None, **prices: str
    ) -> Publication | None:
        """Ingest and publish prices per gram, as the worker does; returns the publication, or None if nothing changed.

        Waits until the web process shows it, if it serves.
        """
        now = dt.datetime.now(dt.UTC)
        quotes = [quote(metal, price, at=quoted_at or now, source=source) for metal, price in prices.items()]
        publication: Publication | None = self.do(lambda: ingest.record(quotes, now=now))
        if publication is not None:
            wait_until(lambda: self._shows(publication.seq), "the web process to show it")
        return publication

    def _shows(self, seq: int) -> bool:
        """Return True if REST shows this `seq`, or does not answer."""
        try:
            with urllib.request.urlopen(f"{self.http_url}/api/v1/prices/", timeout=1) as response:
                return bool(json.load(response)["seq"] >= seq)
        except OSError:
            return True

    @property
    def output(self) -> str:
        return self._log.read_text()


@pytest.fixture(scope="module")
def run_server(django_db_setup: None, django_db_blocker: Any, valkey: str) -> Iterator[Callable[..., Server]]:
    """Start web processes on one fresh, seeded database; each takes settings, and may be another server."""
    servers: list[Server] = []

    def start(command: Iterable[str] = ("manage.py", "serve"), **environment: str) -> Server:
        log = STATE_DIR / f"server-{next(_numbers)}.log"
        ours = {"DJANGO_SETTINGS_MODULE": "tests.support.always_open"}
        server = Server(log, ours | environment, command)
        servers.append(server)
        server.start()
        return server

    def manage(*command: str) -> None:
        # A test's own thread may have an event loop, which synchronous code that publishes does not bear.
        with ThreadPoolExecutor(1) as pool:
            pool.submit(call_command, *command, verbosity=0).result()
            pool.submit(connections.close_all).result()

    with django_db_blocker.unblock():
        manage("flush", "--no-input")
        manage("seed")
        yield start
        for server in servers:
            server.stop()
        manage("flush", "--no-input")


@pytest.fixture(scope="module")
def server(run_server: Callable[..., Server]) -> Server:
    """A web process without a message limit to speak of, which sends each publication by itself."""
    return run_server(WS_RATE_LIMIT="1000", WS_BATCH_INTERVAL="0")
