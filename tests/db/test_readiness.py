"""`/readyz` with a database; tests/process/test_rest_on_postgresql.py has one that is away."""

import datetime as dt
import math
from typing import Any

import pytest
import redis
import time_machine
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from infra.process.valkey import free_port
from prices import clock_watch
from prices.domain.quotes import Metal
from prices.models import ListedMetal, RefreshSlot
from prices.publishing import ingest
from streaming import publish
from swarna import readiness
from tests.support.databases import seed
from tests.support.product import wait_until
from tests.support.quotes import quote
from tests.support.world import forget_prices

pytestmark = pytest.mark.django_db
PARTS = ("database", "redis", "stream", "refreshes", "prices", "clocks")


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch, db: None, valkey: str) -> None:
    """Every metal has a price of now."""
    monkeypatch.setattr(publish, "publication", lambda publication: None)
    seed()
    forget_prices()
    publish_prices(*Metal)


def publish_prices(*metals: str, age: dt.timedelta = dt.timedelta(0)) -> None:
    """Prices as they were so long ago."""
    now = timezone.now()
    ingest.record([quote(metal, at=now - age) for metal in metals], now=now)


def ready(client: Client) -> tuple[int, Any]:
    """The answer of a process that keeps none."""
    readiness._last = readiness._Checked(-math.inf, {})
    response = client.get("/readyz")
    return response.status_code, response.json()


def test_it_is_ready_while_everything_answers_and_every_metal_has_a_fresh_price(client: Client) -> None:
    assert ready(client) == (200, {"ready": True, **dict.fromkeys(PARTS, "ok")})


def test_metals_that_are_stale_or_without_a_price_are_named(client: Client) -> None:
    forget_prices()
    publish_prices("gold")
    publish_prices("silver", age=dt.timedelta(days=9))
    status, said = ready(client)
    assert (status, said["ready"]) == (503, False)
    assert said["prices"] == "no price: platinum, palladium; stale: silver"
    ListedMetal.objects.exclude(name="gold").update(enabled=False)
    assert ready(client)[0] == 200


def test_a_redis_that_is_away_is_named(client: Client, settings: Settings) -> None:
    settings.REDIS_URL = f"redis://127.0.0.1:{free_port()}"
    status, said = ready(client)
    assert (status, said["redis"]) == (503, "does not answer (ConnectionError)")


def test_a_redis_that_takes_no_key_is_named(client: Client, valkey: str) -> None:
    with redis.Redis.from_url(valkey) as there:
        there.config_set("maxmemory", 1)
        try:
            status, said = ready(client)
        finally:
            there.config_set("maxmemory", "256mb")
    assert (status, said["redis"]) == (503, "takes nothing (OutOfMemoryError)")


def test_a_problem_is_not_logged_at_each_request(
    client: Client, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.REDIS_URL = None
    assert ready(client)[0] == 503
    assert not caplog.records


def test_frequent_requests_cost_nothing(client: Client, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    said = ready(client)[1]
    with django_assert_num_queries(0):
        assert client.get("/readyz").json() == said


def test_an_answer_is_kept_for_a_second_though_the_clock_is_put_back(client: Client) -> None:
    assert ready(client)[0] == 200
    forget_prices()
    with time_machine.travel(timezone.now() - dt.timedelta(hours=1)):
        wait_until(lambda: client.get("/readyz").status_code == 503, "another answer")


def test_clocks_that_differ_are_reported(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock_watch, "watch", clock_watch.ClockWatch(lambda: timezone.now() + dt.timedelta(seconds=40)))
    RefreshSlot.objects.create(due_at=timezone.now(), clock_ahead_ms=19_800_000)
    status, said = ready(client)
    assert (status, said["clocks"]) == (
        503,
        "this web process's clock is 40 s behind the database's: let all machines set their clocks by NTP; "
        "the worker's clock is 5:30:00 ahead of the database's: let all machines set their clocks by NTP",
    )
