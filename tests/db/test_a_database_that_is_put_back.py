"""While a database is put back, or before it is migrated, every process waits and writes nothing."""

from collections.abc import Callable, Iterator
from types import SimpleNamespace

import psycopg
import pytest
import time_machine
from django.db import ProgrammingError, connection, transaction
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client

from infra import schema
from infra.rest.problems import of_exception
from prices.models import Configuration, Head, ProviderState, RefreshSlot
from prices.publishing import ingest
from prices.tasks import keep_history, refresh_prices
from swarna import readiness
from swarna.celery import app
from swarna.scheduler import Scheduler
from tests.support.quotes import NOW, quote
from tests.support.world import World

NOTHING = "nothing is written"


@pytest.fixture
def restoring(seeded_on_postgresql: None) -> Iterator[None]:
    """A database that `pg_restore` is at: tables are there, some still empty, and the keys come last."""
    with time_machine.travel(NOW, tick=False):
        ingest.record([quote("gold", "9000", at=NOW)], now=NOW)
        with connection.cursor() as cursor:
            for table in ("prices_configuration", "prices_refreshslot", "prices_providerstate"):
                cursor.execute(f"ALTER TABLE {table} DROP CONSTRAINT {table}_pkey CASCADE")
                cursor.execute(f"DELETE FROM {table}")
            cursor.execute("UPDATE prices_head SET place = 'where it was dumped'")
        yield


def finish() -> None:
    """Do the last that `pg_restore` does."""
    with connection.cursor() as cursor:
        for table, column in (
            ("prices_configuration", "id"),
            ("prices_refreshslot", "id"),
            ("prices_providerstate", "name"),
        ):
            cursor.execute(f"ALTER TABLE {table} ADD PRIMARY KEY ({column})")


def default_rows() -> list[int]:
    return [model.objects.count() for model in (Configuration, RefreshSlot, ProviderState)]


def test_default_rows_are_not_made_before_their_tables_have_a_key(restoring: None) -> None:
    for make in (Configuration.load, Head.current):
        with pytest.raises(schema.UnpreparedDatabaseError, match="it lacks tables, their keys or migrations"):
            make()
    assert default_rows() == [0, 0, 0]
    finish()
    Configuration.load()
    assert Head.current().epoch
    assert default_rows()[0] == 1


def test_a_worker_fetches_and_writes_nothing_meanwhile_and_goes_on_by_itself(
    restoring: None, world: World, log: Callable[[], list[str]]
) -> None:
    for task in (refresh_prices, refresh_prices, keep_history):
        task()
    assert all(NOTHING in line for line in log())
    assert len(log()) == 3
    assert world.fetched == []
    assert default_rows() == [0, 0, 0]
    finish()
    refresh_prices()
    assert "a" in world.fetched
    assert default_rows() == [1, 1, 3]


def test_beat_sends_no_task_and_writes_nothing_meanwhile(
    restoring: None,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # It would close the connection, and with it end the test's transaction.
    monkeypatch.setattr("swarna.scheduler.connections", SimpleNamespace(close_all=lambda: None))
    beat = Scheduler(app=app)
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_celery_beat_periodictask")
    for _ in range(3):
        beat.tick()
    (said,) = [record.getMessage() for record in caplog.records if record.name == "swarna.scheduler"]
    assert NOTHING in said
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM django_celery_beat_periodictask")
        assert cursor.fetchone() == (0,)


def test_readyz_names_what_the_database_lacks(restoring: None, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "_KEPT_FOR", 0)
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["database"].startswith("lacks tables or their keys (prices_configuration, ")


def test_a_database_that_lacks_a_migration_waits_for_it(either_database: None, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = MigrationRecorder(connection)
    recorder.ensure_schema()
    recorder.record_applied("accounts", "0002_one")
    monkeypatch.setattr(schema, "_newest_migrations", lambda: [("accounts", "0002_one"), ("prices", "0099_other")])
    Configuration.objects.all().delete()
    with pytest.raises(schema.UnpreparedDatabaseError) as refused:
        Configuration.load()
    assert refused.value.detail == (
        "lacks migrations (prices.0099_other): nothing is written before manage.py migrate has run"
    )
    assert not Configuration.objects.exists()
    recorder.record_applied("prices", "0099_other")
    assert Configuration.load().pk == 1


@pytest.mark.parametrize("address", ["/", "/api/v1/metals/", "/api/v1/config/"])
def test_a_request_before_all_is_back_is_told_to_come_again(
    restoring: None, client: Client, address: str, caplog: pytest.LogCaptureFixture
) -> None:
    client.raise_request_exception = False
    with connection.cursor() as cursor, transaction.atomic():
        cursor.execute("ALTER TABLE prices_listedmetal RENAME TO prices_not_there_yet")
        answer = client.get(address)
        transaction.set_rollback(True)
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")
    assert [record.name for record in caplog.records] == ["infra.rest.problems"]


def test_a_statement_that_is_wrong_is_a_defect_all_the_same() -> None:
    error = ProgrammingError("syntax error")
    error.__cause__ = psycopg.errors.SyntaxError()
    assert of_exception(error, {}) is None
