"""PostgreSQL in place of SQLite, with nothing else changed."""

import os
import urllib.request
from pathlib import Path

import psycopg
import pytest
from django.db import connection, transaction

import tests.support.environment
from infra.postgresql import long_work
from prices.models import Head
from swarna.environment import database_url
from tests.support.postgresql import Cluster
from tests.support.product import Process, free_port, wait_until


@pytest.mark.django_db
def test_these_tests_and_their_processes_run_on_the_database_that_was_requested() -> None:
    requested = os.environ.get("SWARNA_TESTS_DATABASE_URL")
    assert connection.vendor == ("postgresql" if requested else "sqlite")
    ours = database_url(os.environ["DATABASE_URL"])
    assert all(ours[part] == connection.settings_dict[part] for part in ("ENGINE", "NAME", "HOST", "PORT"))


@pytest.mark.parametrize(("worker", "name"), [(None, "test_swarna"), ("gw1", "test_swarna_gw1")])
def test_each_worker_has_a_database_of_its_own_beside_the_one_that_is_named(
    worker: str | None, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SWARNA_TESTS_DATABASE_URL", "postgres://asha@%2Ftmp%2Fhere/swarna?sslmode=disable")
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    if worker:
        monkeypatch.setenv("PYTEST_XDIST_WORKER", worker)
    assert tests.support.environment.database_url() == f"postgres://asha@%2Ftmp%2Fhere/{name}?sslmode=disable"


@pytest.mark.usefixtures("on_postgresql")
def test_an_idle_transaction_is_ended_after_seconds() -> None:
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
    """The answer at an address; empty while there is none."""
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            body: bytes = response.read()
    except OSError:
        return b""
    return body
