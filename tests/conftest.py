"""What tests share: a real Valkey, a real PostgreSQL, a database in a file that other processes can open, and a real
web process."""

import datetime as dt
import itertools
import json
import logging
import os
import signal
import subprocess
import threading
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import hypothesis
import pytest
from django.core.management import call_command
from django.db import connection, connections, transaction
from pytest_django import Settings
from pytest_httpserver import HTTPServer
from whitenoise.middleware import WhiteNoiseMiddleware

from infra.process.valkey import EmbeddedValkey, wait_for_redis
from prices import clock_watch
from prices.domain.quotes import Metal, Publication, Quote
from prices.history import partitions
from prices.publishing import ingest
from tests.browser_fixtures import browser, expected_errors, page
from tests.desk_fixtures import boss, desk, save, staff, told
from tests.echo_fixtures import caller, echo, neighbour, run_echo_server, undisturbed
from tests.environment import KINDS, STATE_DIR, VALKEY
from tests.fault_matrix import in_matrix, pytest_addoption, pytest_runtest_logreport, pytest_sessionfinish
from tests.login_fixtures import attempts_of_nobody
from tests.postgresql import Cluster, in_place_of_sqlite, running
from tests.product import Process, answers, free_port, wait_until
from tests.world import World

__all__ = [
    "attempts_of_nobody",
    "boss",
    "browser",
    "caller",
    "desk",
    "echo",
    "expected_errors",
    "in_matrix",
    "neighbour",
    "page",
    "pytest_addoption",
    "pytest_runtest_logreport",
    "pytest_sessionfinish",
    "run_echo_server",
    "save",
    "staff",
    "told",
    "undisturbed",
]

NOW = dt.datetime(2026, 9, 24, 8, 0, tzinfo=dt.UTC)  # a Thursday, while the market is open
T = TypeVar("T")
_numbers = itertools.count()

# On a busy machine a single example may take any time; the run as a whole has its own limit.
hypothesis.settings.register_profile("swarna", deadline=None)
hypothesis.settings.load_profile("swarna")


@pytest.hookimpl(optionalhook=True)  # xdist's
def pytest_xdist_auto_num_workers() -> int:
    """For `-n auto`: more than there are cores, as many a test waits for what it has started."""
    return 3 * (os.cpu_count() or 1) // 2


def start(valkey: EmbeddedValkey) -> "subprocess.Popen[bytes]":
    """A real Valkey that answers, for the caller to end."""
    program = valkey.program()
    process = subprocess.Popen(program.command, stdin=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(program.stdin)
    process.stdin.close()
    wait_for_redis(valkey.url, 10)
    return process


@pytest.fixture(scope="session", autouse=True)
def static_files() -> Iterator[None]:
    """Static files are found once: each test client loads the middleware anew, which would stat all of them."""
    find, found = WhiteNoiseMiddleware.add_files_from_finders, dict[str, Any]()

    def find_once(middleware: WhiteNoiseMiddleware) -> None:
        if not found:
            find(middleware)
            found.update(middleware.files)
        middleware.files = found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WhiteNoiseMiddleware, "add_files_from_finders", find_once)
        yield


@pytest.fixture(scope="session")
def valkey() -> Iterator[str]:
    """A real Valkey for as long as the tests run; its address."""
    process = start(VALKEY)
    yield VALKEY.url
    process.terminate()
    process.wait(10)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Cluster]:
    """A real PostgreSQL for as long as the tests run; each who wants a database makes one."""
    with running() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def migrated(postgresql: Cluster, django_db_blocker: Any) -> str:
    """The name of a database on PostgreSQL as a first start leaves it, to make copies of."""
    with in_place_of_sqlite(postgresql.create("migrated")), django_db_blocker.unblock():
        call_command("migrate", verbosity=0)
        call_command("seed", verbosity=0)
    return "migrated"


@pytest.fixture(scope="session")
def new_database(request: pytest.FixtureRequest) -> Callable[[], str]:
    """Make an empty database for a product of its own, of the kind that the tests run on; its DATABASE_URL."""
    if connection.vendor == "sqlite":
        return lambda: ""  # a file in the product's state folder
    cluster: Cluster = request.getfixturevalue("postgresql")
    return lambda: cluster.create(f"product_{next(_numbers)}")


@pytest.fixture
def on_postgresql(postgresql: Cluster, migrated: str, django_db_blocker: Any) -> Iterator[str]:
    """Django on a seeded PostgreSQL database of the test's own, which other threads see too; its address."""
    name = f"test_{next(_numbers)}"
    address = postgresql.create(name, template=migrated)
    with in_place_of_sqlite(address), django_db_blocker.unblock():
        yield address
    postgresql.drop(name)


@pytest.fixture
def on_sqlite(db: None, tmp_path: Path) -> Iterator[None]:
    """Django on SQLite, for what concerns that alone, whichever database the tests run on."""
    if connection.vendor == "sqlite":
        yield
        return
    with in_place_of_sqlite(f"sqlite:///{tmp_path}/test.sqlite3"):
        call_command("migrate", verbosity=0)
        yield


@pytest.fixture(scope="session")
def django_db_setup(django_test_environment: None, django_db_blocker: Any) -> Iterator[None]:
    """The test database: the one that server processes are told of too, and there also for tests that have no other
    use of it (pytest-django makes one only where a test is marked)."""
    connection.settings_dict["TEST"]["NAME"] = connection.settings_dict["NAME"]
    with django_db_blocker.unblock():
        connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
        yield
        connection.close()


@pytest.fixture(autouse=True)
def months_and_clocks_forgotten(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What this process knows of months and of the database's clock is of one test: both go with it."""
    monkeypatch.setattr(clock_watch, "watch", clock_watch.ClockWatch())
    yield
    partitions._known.clear()


@pytest.fixture
def seeded(db: None) -> None:
    """A database as a first start leaves it."""
    call_command("seed")


@pytest.fixture
def seeded_on_postgresql(postgresql: Cluster, migrated: str, django_db_blocker: Any) -> Iterator[None]:
    """The same on PostgreSQL. All that the test writes is rolled back, which costs less than a copy."""
    with in_place_of_sqlite(postgresql.url(migrated)), django_db_blocker.unblock(), transaction.atomic():
        yield
        if not connection.needs_rollback:
            connection.check_constraints()  # as a commit would
        transaction.set_rollback(True)


@pytest.fixture(params=KINDS)
def either_database(request: pytest.FixtureRequest) -> None:
    """A seeded database of each kind that Swarna runs on: the test runs on both.

    What it writes other threads see where the test is marked with `transaction=True`.
    """
    mark = request.node.get_closest_marker("django_db")
    is_seen = mark is not None and mark.kwargs.get("transaction", False)
    fixtures = {"sqlite": "seeded", "postgresql": "on_postgresql" if is_seen else "seeded_on_postgresql"}
    request.getfixturevalue(fixtures[request.param])


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[Callable[[], list[str]]]:
    """The warnings of `prices` so far; its logger does not pass them on to pytest's own."""
    logger = logging.getLogger("prices")
    logger.addHandler(caplog.handler)
    yield lambda: [
        record.getMessage()
        for record in caplog.records
        if record.name.startswith("prices") and record.levelno >= logging.WARNING
    ]
    logger.removeHandler(caplog.handler)


@pytest.fixture(scope="module")
def http() -> Iterator[HTTPServer]:
    """A real server for the vendors' addresses, which answers several calls at a time; rules are each test's own."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    with HTTPServer(threaded=True) as server:
        yield server


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> World:
    """Sources a, b and c in the place of the real ones."""
    world = World(NOW)
    monkeypatch.setattr("prices.sources.failover.PROVIDERS", {name: world.source(name) for name in "abc"})
    settings.PRICE_PROVIDERS = ["a", "b", "c"]
    return world


def quote(
    metal: str = "gold",
    price: str = "13221.39",
    *,
    at: dt.datetime = NOW,
    source: str = "gold_api_com",
    **figures: str,
) -> Quote:
    """A quote in INR per gram."""
    amounts: dict[str, Any] = {name: Decimal(amount) for name, amount in figures.items()}
    return Quote(metal=Metal(metal), price=Decimal(price), currency="INR", source=source, quoted_at=at, **amounts)


def at_once(work: Callable[[int], T], times: int) -> list[T]:
    """Run `work(0)`, `work(1)`, … in threads that start together, each with a database connection of its own.

    Needs a test with `transaction=True`, whose data other connections can see.
    """
    start = threading.Barrier(times)

    def run(number: int) -> T:
        try:
            connection.ensure_connection()
            start.wait(10)
            return work(number)
        finally:
            connection.close()

    with ThreadPoolExecutor(times) as threads:
        return list(threads.map(run, range(times)))


class Server:
    """A web process of the product, and a hand at the prices that it serves. `{port}` in its command is the port."""

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
        wait_until(lambda: answers(f"{self.http_url}/healthz"), "the web process to answer")

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
        """Ingest prices per gram, as the worker does, and publish them; returns the tick, if there was news.

        A web process that has just begun may hear of it a little later: it is waited for, where it serves.
        """
        now = dt.datetime.now(dt.UTC)
        quotes = [quote(metal, price, at=quoted_at or now, source=source) for metal, price in prices.items()]
        tick: Publication | None = self.do(lambda: ingest.record(quotes, now=now))
        if tick is not None:
            wait_until(lambda: self._shows(tick.seq), "the web process to show it")
        return tick

    def _shows(self, seq: int) -> bool:
        """Whether REST is as far; a web process that does not answer is not asked."""
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
        ours = {"DJANGO_SETTINGS_MODULE": "tests.always_open"}
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
    """A web process that a test may talk to as much as it likes, and that sends each tick by itself."""
    return run_server(WS_RATE_LIMIT="1000", WS_BATCH_INTERVAL="0")


@pytest.fixture
def listen_to(caplog: pytest.LogCaptureFixture) -> Iterator[Callable[[str], None]]:
    """Let `caplog` hear a logger that the settings keep from propagating."""
    heard: list[logging.Logger] = []

    def listen(name: str) -> None:
        logger = logging.getLogger(name)
        logger.addHandler(caplog.handler)
        heard.append(logger)

    yield listen
    for logger in heard:
        logger.removeHandler(caplog.handler)
