"""The wall clock is put back, or forward and back again: everything goes on."""

import datetime as dt
from collections.abc import Iterator

import pytest
from django_celery_beat.models import PeriodicTask
from django_celery_beat.schedulers import ModelEntry

from prices import schedule
from swarna import celery_app
from swarna.scheduler import Scheduler
from tests import fake_clock
from tests.conftest import NOW
from tests.fake_clock import FakeClock

pytestmark = pytest.mark.django_db

SECOND = dt.timedelta(seconds=1)
MINUTE = dt.timedelta(minutes=1)
HOUR = dt.timedelta(hours=1)
# A real-time clock in local time that is read as UTC.
RTC = 5.5 * HOUR
STEPS = [-40 * SECOND, -HOUR, RTC, -RTC]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeClock]:
    yield from fake_clock.run(NOW, monkeypatch)


# --- beat ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the tasks that beat has sent."""
    sent: list[str] = []

    def send(beat: Scheduler, entry: ModelEntry, producer: None) -> None:
        sent.append(entry.name)
        beat.sync()  # CELERY_BEAT_SYNC_EVERY is 1

    monkeypatch.setattr("swarna.scheduler.close_old_connections", lambda: None)  # the test's own is old by then
    monkeypatch.setattr(Scheduler, "producer", None)
    monkeypatch.setattr(Scheduler, "apply_entry", send)
    schedule.set_interval(MINUTE)
    return sent


def started() -> Scheduler:
    """A beat that has just been started."""
    beat = Scheduler(app=celery_app)
    beat._finalize.cancel()  # what it does when the process ends, which is the test's
    return beat


def goes_on(beat: Scheduler, clock: FakeClock, span: dt.timedelta) -> None:
    """Let beat do its work for so long, without keeping a test waiting."""
    end = clock.steady + span.total_seconds()
    while clock.steady < end:
        clock.goes_on(min(beat.tick(), 5.0) * SECOND or SECOND / 100)


@pytest.mark.parametrize("step", STEPS)
def test_beat_goes_on_in_its_rhythm_when_its_clock_steps(clock: FakeClock, sent: list[str], step: dt.timedelta) -> None:
    beat = started()
    goes_on(beat, clock, 3 * MINUTE)
    assert 3 <= sent.count(schedule.TASK_NAME) <= 4
    clock.is_put(step)
    sent.clear()
    goes_on(beat, clock, 3 * MINUTE)
    assert 2 <= sent.count(schedule.TASK_NAME) <= 4


def test_beat_goes_on_when_it_is_started_after_its_clock_was_put_back(clock: FakeClock, sent: list[str]) -> None:
    clock.is_put(RTC)
    goes_on(started(), clock, MINUTE)
    clock.is_put(-RTC)
    sent.clear()
    goes_on(started(), clock, 3 * MINUTE)
    assert 2 <= sent.count(schedule.TASK_NAME) <= 4


def test_beat_sees_that_staff_changed_the_schedule_by_a_clock_that_was_put_back(
    clock: FakeClock, sent: list[str]
) -> None:
    beat = started()
    goes_on(beat, clock, MINUTE)
    before = beat.schedule[schedule.TASK_NAME].schedule
    clock.now -= HOUR  # on another machine
    clock.is_put(dt.timedelta(0))
    schedule.set_interval(10 * SECOND)
    clock.is_put(HOUR)
    assert beat.schedule[schedule.TASK_NAME].schedule != before


def test_no_message_expires_by_the_clock_of_another_machine(clock: FakeClock) -> None:
    schedule.apply_deployment()
    PeriodicTask.objects.update(expire_seconds=1)  # as an older version wrote them
    assert all("expires" not in Scheduler.Entry(task, app=celery_app).options for task in PeriodicTask.objects.all())
