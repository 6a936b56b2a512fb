"""PostgreSQL in place of SQLite, with nothing else changed."""

import os
import subprocess
import sys
import urllib.request
from pathlib import Path

import psycopg
import pytest
from django.db import connection, transaction

from prices.models import Head
from swarna.postgresql import long_work
from tests.environment import KINDS
from tests.postgresql import Cluster
from tests.product import ROOT, Process, free_port, wait_until

# What writes or locks, or leans on how a database counts, sorts and rounds.
TESTS = ["test_ingest.py", "test_holding.py", "test_current.py", "test_history.py", "test_schedule.py"]


@pytest.mark.skipif(KINDS == ["postgresql"], reason="this run is that of all tests on PostgreSQL")
def test_what_holds_on_sqlite_holds_on_postgresql(postgresql: Cluster) -> None:
    address = postgresql.create("swarna")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "DATABASE_"))}
    tests = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *(f"tests/{name}" for name in TESTS)],
        cwd=ROOT,
        env=environment | {"SWARNA_TESTS_DATABASE_URL": address},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=240,
    )
    assert tests.returncode == 0, tests.stdout
    with psycopg.connect(address) as database:  # and it was this one, which they leave as they found it
        found = database.execute("SELECT count(*) FROM pg_stat_database WHERE datname = 'test_swarna'").fetchone()
    assert found == (1,)


@pytest.mark.usefixtures("on_postgresql")
def test_a_transaction_in_which_nothing_happens_is_borne_for_seconds() -> None:
    assert idle_for_at_most() == "6s"
    with long_work():
        assert idle_for_at_most() == "0"  # an export may wait for its reader
        with transaction.atomic():
            Head.locked()
            assert idle_for_at_most() == "6s"
    assert idle_for_at_most() == "6s"


def idle_for_at_most() -> str:
    """How long PostgreSQL bears a transaction in which nothing happens."""
    with connection.cursor() as cursor:
        cursor.execute("SHOW idle_in_transaction_session_timeout")
        return str(cursor.fetchone()[0])


def test_the_product_runs_on_postgresql(postgresql: Cluster, tmp_path: Path) -> None:
    address = postgresql.create("product")
    port = free_port()
    settings = {
        "DATABASE_URL": address,
        "REDIS_URL": "",
        "SWARNA_STATE_DIR": str(tmp_path / "state"),
        "WEBSOCKET_PORT": str(port),
        "PRICE_PROVIDERS": "simulated",
        "PRICE_UPDATE_INTERVAL": "1000",
    }
    product = Process(["manage.py", "up"], tmp_path / "log", settings)
    try:
        wait_until(lambda: b'"simulated"' in answer(f"http://127.0.0.1:{port}/api/v1/prices/"), "a price", 60)
        with psycopg.connect(address) as database:
            chain = database.execute("SELECT DISTINCT seq FROM prices_price ORDER BY seq").fetchall()
        assert len(chain) >= 2
        assert [seq for (seq,) in chain] == list(range(1, len(chain) + 1))
    finally:
        assert product.stop() == 0, product.output
    assert "Traceback" not in product.output
    assert not (tmp_path / "state/swarna.sqlite3").exists()


def answer(url: str) -> bytes:
    """What is answered at an address; nothing while nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            body: bytes = response.read()
    except OSError:
        return b""
    return body
