"""A web process takes clients once it has read the database, and knows no `down` before that."""

import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from websockets.sync.client import connect

from tests.support.postgresql import Cluster
from tests.support.product import Process, free_port, wait_until
from tests.support.relay import Relay, relay
from tests.support.stream_client import receive


@pytest.fixture
def way(postgresql: Cluster) -> Iterator[Relay]:
    """A way to PostgreSQL on which nothing is answered yet."""
    with relay(str(postgresql.folder / ".s.PGSQL.5432")) as made:
        made.answers = 0
        yield made


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def late(on_postgresql: str, way: Relay, port: int, valkey: str, tmp_path: Path) -> Iterator[Process]:
    """A web process that has begun, and whose database does not answer."""
    environment = {
        "DATABASE_URL": f"postgres://swarna@127.0.0.1:{way.port}/{on_postgresql.rpartition('/')[2]}",
        "DJANGO_SETTINGS_MODULE": "tests.support.always_open",
        "WEBSOCKET_PORT": str(port),
        "REDIS_URL": valkey,
        "REDIS_PREFIX": "late",
    }
    process = Process(["manage.py", "serve"], tmp_path / "serve.log", environment)
    try:
        wait_until(lambda: way.accepted, "the web process to look for its database")
        yield process
    finally:
        process.stop()


def test_who_comes_before_the_first_reading_waits_and_is_not_told_that_all_is_down(
    late: Process, way: Relay, port: int
) -> None:
    def first_status() -> str:
        with connect(f"ws://127.0.0.1:{port}/", open_timeout=15) as client:
            feed: str = receive(client, "status")["feed"]
            return feed

    with ThreadPoolExecutor(1) as threads:
        coming = threads.submit(first_status)
        time.sleep(2)  # in which the process looks at the clock, and might say something
        way.answers = None
        way.drop()
        assert coming.result(15) == "fallback"


def test_a_process_that_has_not_begun_to_serve_ends_at_once(late: Process) -> None:
    assert late.stop(signal.SIGTERM, seconds=5) == 0
    assert "Traceback" not in late.output
