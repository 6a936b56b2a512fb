"""The number of clients of all web processes, in a real Valkey, and without one."""

import itertools
import os
from pathlib import Path

import pytest

from infra.process.valkey import EmbeddedValkey
from prices.publishing import audience
from prices.publishing.audience import Audience
from tests.support.product import wait_until
from tests.support.valkey import start

_numbers = itertools.count()


@pytest.fixture
def prefix() -> str:
    """Keys that no other test has reported by."""
    return f"test-audience-{os.getpid()}-{next(_numbers)}"


def test_the_clients_of_all_processes_are_counted(valkey: str, prefix: str) -> None:
    here, there = Audience(valkey, prefix), Audience(valkey, prefix)
    assert here.count() == 0
    here.report(100)
    there.report(114)
    assert (here.count(), there.count()) == (214, 214)


def test_a_process_counts_by_its_last_report(valkey: str, prefix: str) -> None:
    here = Audience(valkey, prefix)
    here.report(100)
    here.report(99)
    assert here.count() == 99


def test_a_process_that_reports_no_more_counts_no_more(
    valkey: str, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, killed = Audience(valkey, prefix), Audience(valkey, prefix)
    here.report(100)
    monkeypatch.setattr(audience, "_COUNTS_FOR", 1)
    killed.report(114)
    here._redis.expire(here._processes, 60)  # as another report of the first process
    wait_until(lambda: here.count() == 100, "the report to expire")
    assert here._redis.smembers(here._processes) == {here._report}
    killed.report(7)  # it only hung
    assert here.count() == 107


def test_without_redis_the_number_is_unknown(prefix: str) -> None:
    here = Audience(None, prefix)
    here.report(100)
    assert here.count() is None


def test_a_redis_that_is_away_is_logged_once_and_so_is_its_return(
    tmp_path: Path, prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    embedded = EmbeddedValkey(tmp_path)
    here = Audience(embedded.url, prefix)
    for _ in range(2):
        here.report(100)
    assert here.count() is None
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    process = start(embedded)
    try:
        here.report(100)
        assert here.count() == 100
    finally:
        process.terminate()
        process.wait(10)
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]
