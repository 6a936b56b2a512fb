"""Clocks that step or differ from the database's are reported: prices/clock_watch.py."""

import datetime as dt
from collections.abc import Callable, Iterator

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from prices import clock_watch, schedule
from prices.clock_watch import ClockWatch
from prices.models import RefreshSlot
from prices.sources.metrics import metrics
from tests.db.test_source_metrics import samples
from tests.support import fake_clock
from tests.support.fake_clock import FakeClock
from tests.support.quotes import NOW

SECOND = dt.timedelta(seconds=1)
HOUR = dt.timedelta(hours=1)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeClock]:
    yield from fake_clock.run(NOW, monkeypatch)


def test_a_difference_is_logged_when_it_begins_and_when_it_ends(clock: FakeClock, log: Callable[[], list[str]]) -> None:
    ahead = 3 * SECOND
    watch = ClockWatch(lambda: clock.now - ahead)
    for ahead in (3 * SECOND, -40 * SECOND, -41 * SECOND, 2 * SECOND, 5.5 * HOUR):
        clock.goes_on(10 * SECOND)
        assert watch.check() == ahead
    assert log() == [
        "the clock of this machine is 40 s behind the database's: let all machines set their clocks by NTP",
        "the clock of this machine agrees with the database's again",
        "the clock of this machine is 5:30:00 ahead of the database's: let all machines set their clocks by NTP",
    ]


def test_a_step_is_logged_though_nobody_has_another_clock(clock: FakeClock, log: Callable[[], list[str]]) -> None:
    watch = ClockWatch(lambda: None)
    for step in (0 * SECOND, -40 * SECOND, 5.5 * HOUR, -5.5 * HOUR):
        clock.goes_on(SECOND)
        clock.is_put(step)
        assert watch.check() == 0 * SECOND
    assert log() == [
        f"the clock of this machine was put {step}: let all machines set their clocks by NTP"
        for step in ("40 s back", "5:30:00 ahead", "5:30:00 back")
    ]


def test_a_clock_is_not_compared_again_within_seconds(clock: FakeClock) -> None:
    calls: list[dt.datetime] = []
    watch = ClockWatch(lambda: calls.append(clock.now))
    for _ in range(20):
        watch.check()
        clock.goes_on(SECOND)
    assert len(calls) == 4


@pytest.mark.usefixtures("seeded_on_postgresql")
def test_postgresqls_clock_is_read_as_it_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = clock_watch.database_time(), clock_watch.database_time()
    assert first is not None
    assert second is not None
    assert first < second  # within one transaction, too
    assert abs(second - timezone.now()) < 5 * SECOND
    true_now = timezone.now
    monkeypatch.setattr(timezone, "now", lambda: true_now() + HOUR)
    assert abs(ClockWatch().check() - HOUR) < 5 * SECOND


@pytest.mark.django_db
def test_a_worker_leaves_word_of_its_clock_with_each_refresh(monkeypatch: pytest.MonkeyPatch, client: Client) -> None:
    monkeypatch.setattr(clock_watch, "watch", ClockWatch(lambda: timezone.now() + 40 * SECOND))
    assert schedule.claim(timezone.now())
    assert abs(RefreshSlot.objects.get().clock_ahead_ms + 40_000) < 1000
    found = samples(metrics(timezone.now()))
    assert round(found["swarna_clock_ahead_seconds", "web"]) == -40
    assert round(found["swarna_clock_ahead_seconds", "worker"]) == -40
    client.force_login(User.objects.create_superuser("asha"))
    page = client.get("/admin/prices/providerstate/").content.decode()
    for whose in ("This web process", "The worker"):
        assert f"{whose}&#x27;s clock is 40 s behind the database&#x27;s" in page
