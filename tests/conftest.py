"""The fixtures of all tests. A test's folder is its tier, and marks it: `pytest -m "unit or db"` runs two of them.

- unit: no database, no process
- db: a database, a Valkey where one is needed, and this process alone
- process: processes of the product, or of its engine
- browser: Chromium, or TypeScript's compiler
"""

import logging
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from pytest_django import Settings
from pytest_httpserver import HTTPServer
from whitenoise.middleware import WhiteNoiseMiddleware

from prices import clock_watch
from prices.history import partitions
from prices.publishing import receipts
from signing import keys
from tests.support.quotes import NOW
from tests.support.world import World

# Fixtures that more than one tier has need of.
pytest_plugins = [
    "tests.support.browser",
    "tests.support.databases",
    "tests.support.desk",
    "tests.support.echo",
    "tests.support.docs_tables",
    "tests.support.logins",
    "tests.support.server",
    "tests.support.members",  # after the module that it imports
    "tests.support.nginx",  # likewise
    "tests.support.receipts",
    "tests.support.valkey",
]

TESTS = Path(__file__).parent

# On a busy machine a single example may take any time; the run as a whole has its own limit.
hypothesis.settings.register_profile("swarna", deadline=None)
hypothesis.settings.register_profile("quick", deadline=None, max_examples=20)  # for `make check`
hypothesis.settings.load_profile("swarna")


def pytest_collection_modifyitems(items: Iterable[pytest.Item]) -> None:
    """Mark each test with its tier, the folder that it is in."""
    for item in items:
        item.add_marker(item.path.relative_to(TESTS).parts[0])


@pytest.hookimpl(optionalhook=True)  # xdist's
def pytest_xdist_auto_num_workers() -> int:
    """For `-n auto`: more than there are cores, as many a test waits for what it has started."""
    return 3 * (os.cpu_count() or 1) // 2


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


@pytest.fixture(autouse=True)
def months_clocks_and_keys_forgotten(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Forget, after each test, the months, the database's clock and the signing keys that this process knows."""
    monkeypatch.setattr(clock_watch, "watch", clock_watch.ClockWatch())
    yield
    partitions._known.clear()
    keys.forget()
    receipts._months.clear()


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """The warnings of `prices` so far."""
    return lambda: [
        record.getMessage()
        for record in caplog.records
        if record.name.startswith("prices") and record.levelno >= logging.WARNING
    ]


@pytest.fixture(scope="module")
def http() -> Iterator[HTTPServer]:
    """A real server for the providers' addresses, which takes several calls at a time; rules are each test's own."""
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
