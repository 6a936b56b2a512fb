"""Worker and beat that live and begin no refresh are noticed, and started again."""

import asyncio
import datetime as dt
import sys
from collections.abc import Iterator

import pytest
from django_celery_beat.models import PeriodicTask
from pytest_django import Settings
from pytest_httpserver import HTTPServer

from infra.process.supervisor import Program, Supervisor
from infra.process.valkey import free_port
from prices import schedule
from prices.models import RefreshSlot
from swarna.management.commands import up
from swarna.refresh_watch import RefreshWatch
from tests.support.quotes import NOW


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def watch(seeded: None, valkey: str, clock: Clock) -> RefreshWatch:
    """One that has seen a slot, at an interval of 30 s."""
    schedule.set_interval(dt.timedelta(seconds=30))
    RefreshSlot.objects.create(pk=1, due_at=NOW)
    watch = RefreshWatch(clock)
    watch.check()
    return watch


def after(watch: RefreshWatch, clock: Clock, seconds: float) -> str | None:
    clock.now += seconds
    watch.check()
    return watch.problem()


def test_a_slot_that_stays_for_three_intervals_is_a_problem(watch: RefreshWatch, clock: Clock) -> None:
    assert after(watch, clock, 90) is None
    assert after(watch, clock, 5) == "none was begun for 95 s"
    RefreshSlot.objects.update(due_at=NOW + dt.timedelta(seconds=30))
    assert after(watch, clock, 5) is None


def test_where_they_are_short_it_is_a_minute(watch: RefreshWatch, clock: Clock, settings: Settings) -> None:
    schedule.set_interval(dt.timedelta(seconds=1))
    settings.CELERY_TASK_TIME_LIMIT = 32  # PROVIDER_BUDGET=1s
    assert after(watch, clock, 60) is None
    assert after(watch, clock, 5) == "none was begun for 65 s"


def test_where_a_refresh_may_take_longer_it_is_that(watch: RefreshWatch, clock: Clock, settings: Settings) -> None:
    settings.CELERY_TASK_TIME_LIMIT = 150  # PROVIDER_BUDGET=1m
    assert after(watch, clock, 160) is None
    assert after(watch, clock, 5) == "none was begun for 165 s"


def test_a_slot_that_was_moved_back_has_moved(watch: RefreshWatch, clock: Clock) -> None:
    RefreshSlot.objects.update(due_at=NOW - dt.timedelta(hours=5))  # by a clock that was put back
    assert after(watch, clock, 95) is None


def test_time_without_redis_does_not_count(watch: RefreshWatch, clock: Clock, settings: Settings) -> None:
    there, settings.REDIS_URL = settings.REDIS_URL, f"redis://127.0.0.1:{free_port()}"
    assert after(watch, clock, 95) is None
    settings.REDIS_URL = there
    assert after(watch, clock, 5) is None
    assert after(watch, clock, 90) is None
    assert after(watch, clock, 5) == "none was begun for 95 s"


def test_time_does_not_count_while_staff_have_switched_refreshes_off(watch: RefreshWatch, clock: Clock) -> None:
    PeriodicTask.objects.filter(name=schedule.TASK_NAME).update(enabled=False)
    assert after(watch, clock, 1000) is None


@pytest.fixture
def supervisor() -> Iterator[Supervisor]:
    """One over a worker that hangs, and a beat that does not heed SIGTERM either."""
    supervisor = Supervisor()
    stays = "import signal, time; {}; print('up', flush=True); time.sleep(60)"
    deaf = "signal.signal(signal.SIGTERM, signal.SIG_IGN)"
    for name, script in {
        "worker": stays.format("pass"),
        "beat": stays.format(deaf),
        "web 1": stays.format("pass"),
    }.items():
        supervisor.start(Program(name, [sys.executable, "-c", script]))
    yield supervisor
    supervisor.kill()


def test_up_restarts_worker_and_beat_and_says_so(
    supervisor: Supervisor, http: HTTPServer, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(up, "_CHECK_EVERY", 1.0)
    http.clear()
    details = {"refreshes": "none was begun for 65 s"}
    http.expect_oneshot_request("/readyz").respond_with_json({"refreshes": "ok"})
    http.expect_oneshot_request("/readyz").respond_with_json(details, status=503)
    said = ""

    async def stop() -> None:
        nonlocal said
        while said.count("starting it again") < 2:
            await asyncio.sleep(0.05)
            said += capfd.readouterr().out
        supervisor.stop()

    async def restart() -> None:
        await up.restart_stalled(supervisor, (http.host, http.port))

    supervisor.run(restart, stop)
    assert "refreshes: none was begun for 65 s, starting worker and beat anew" in said
    assert "worker ended (killed by SIGTERM), starting it again now" in said
    assert "beat ended (killed by SIGKILL), starting it again now" in said
    assert "web 1 ended" not in said
