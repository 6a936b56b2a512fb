"""When prices are refreshed: whose slot it is, and whose interval."""

import datetime as dt

import pytest
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask, PeriodicTasks
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings

from prices import schedule
from prices.models import Configuration, RefreshSlot
from swarna.celery import app as celery_app
from tests.support.quotes import NOW
from tests.support.threads import at_once

SECOND = dt.timedelta(seconds=1)
MINUTE = dt.timedelta(minutes=1)

intervals = st.timedeltas(schedule.SHORTEST_INTERVAL, dt.timedelta(days=1))
# A share of an interval that a task may be early or late by.
jitters = st.floats(-0.249, 0.249)


def claims(times: list[dt.datetime], every: dt.timedelta, due: dt.datetime | None = None) -> list[dt.datetime]:
    """Which of these tasks find a slot to do, the first of all making it where none is due yet."""
    claimed = []
    for now in sorted(times):
        next_due = schedule.next_slot(due or now, now, every)
        if next_due is not None:
            claimed.append(now)
            due = next_due
    return claimed


# --- slots ---------------------------------------------------------------------------------------------------------


@given(intervals, st.floats(0, 1), st.integers(1, 50))
def test_a_second_beat_of_any_phase_adds_nothing(every: dt.timedelta, phase: float, ticks: int) -> None:
    first = [NOW + number * every for number in range(ticks)]
    second = [at + phase * every for at in first]
    assert ticks <= len(claims(first + second, every)) <= ticks + 1


@given(intervals, st.lists(jitters, max_size=50))
def test_no_slot_is_lost_to_tasks_that_are_a_little_early_or_late(every: dt.timedelta, jitter: list[float]) -> None:
    times = [NOW] + [NOW + (number + share) * every for number, share in enumerate(jitter, start=1)]
    assert claims(times, every) == times


@given(intervals, st.lists(jitters, min_size=1, max_size=50))
def test_jitter_does_not_move_the_slots(every: dt.timedelta, jitter: list[float]) -> None:
    due = NOW
    for number, share in enumerate(jitter):
        next_due = schedule.next_slot(due, NOW + (number + share) * every, every)
        assert next_due is not None
        due = next_due
    assert due == NOW + len(jitter) * every


@given(intervals, st.floats(0.26, 1000))
def test_a_task_that_comes_late_starts_the_slots_anew(every: dt.timedelta, late: float) -> None:
    now = NOW + late * every
    assert schedule.next_slot(NOW, now, every) == now + every


@given(intervals, intervals, st.floats(0, 1))
def test_a_shorter_interval_takes_effect_at_once(one: dt.timedelta, other: dt.timedelta, waited: float) -> None:
    short, long = sorted((one, other))
    due = NOW + long
    now = NOW + waited * long
    # Beat's tasks now come at the shorter interval: the second of them is served at the latest.
    assert claims([now, now + short, now + 2 * short], short, due)[0] <= now + 2 * short
    if due - now > 1.25 * short:
        assert schedule.next_slot(due, now, short) == now + short


def test_an_early_task_does_not_take_the_slot() -> None:
    assert schedule.next_slot(NOW, NOW - 16 * SECOND, MINUTE) is None
    assert schedule.next_slot(NOW, NOW - 15 * SECOND, MINUTE) == NOW + MINUTE


@pytest.mark.django_db
def test_a_slot_is_claimed_once(settings: Settings) -> None:
    settings.PRICE_UPDATE_INTERVAL = MINUTE
    assert schedule.claim(NOW)
    assert not schedule.claim(NOW)
    assert not schedule.claim(NOW + 30 * SECOND)
    assert schedule.claim(NOW + MINUTE)


@pytest.mark.django_db(transaction=True)
def test_of_several_claimants_one_wins() -> None:
    for slot in range(5):  # the first of which does not exist yet
        won = at_once(lambda _, at=NOW + slot * MINUTE: schedule.claim(at), 8)  # type: ignore[misc]  # no type is inferred for a default
        assert won.count(True) == 1
    assert RefreshSlot.objects.get().due_at == NOW + 5 * MINUTE


@pytest.mark.django_db
def test_refreshes_are_on_time_until_two_slots_have_passed_unclaimed() -> None:
    schedule.set_interval(MINUTE)
    assert not schedule.is_on_time(NOW)
    schedule.claim(NOW)
    assert schedule.is_on_time(NOW)
    assert schedule.is_on_time(NOW + 3 * MINUTE - SECOND)
    assert not schedule.is_on_time(NOW + 3 * MINUTE)


# --- the interval --------------------------------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("given_interval", "kept"),
    [
        (dt.timedelta(milliseconds=100), (100_000, IntervalSchedule.MICROSECONDS)),
        (dt.timedelta(seconds=1.5), (1_500_000, IntervalSchedule.MICROSECONDS)),
        (MINUTE, (60, IntervalSchedule.SECONDS)),
        (dt.timedelta(days=1), (86_400, IntervalSchedule.SECONDS)),
        # More microseconds than a 32-bit column holds.
        (dt.timedelta(minutes=36, milliseconds=500), (2160, IntervalSchedule.SECONDS)),
    ],
)
def test_an_interval_is_kept_as_beat_counts_it(given_interval: dt.timedelta, kept: tuple[int, str]) -> None:
    schedule.set_interval(given_interval)
    interval = PeriodicTask.objects.get(name=schedule.TASK_NAME).interval
    assert (interval.every, interval.period) == kept
    assert interval.every < 2**31
    assert abs(schedule.interval() - given_interval) < SECOND


@pytest.mark.django_db
def test_an_interval_that_staff_added_twice_is_one_still() -> None:
    for _ in range(2):
        IntervalSchedule.objects.create(every=5, period=IntervalSchedule.SECONDS)
    schedule.set_interval(5 * SECOND)
    assert schedule.interval() == 5 * SECOND


@pytest.mark.django_db
def test_an_interval_that_is_too_short_is_refused() -> None:
    with pytest.raises(ValueError, match="100 ms"):
        schedule.set_interval(dt.timedelta(milliseconds=99))
    assert not PeriodicTask.objects.filter(name=schedule.TASK_NAME).exists()


@pytest.mark.django_db
def test_beat_gets_a_task_that_exists_and_hears_of_each_change() -> None:
    schedule.set_interval(MINUTE)
    task = PeriodicTask.objects.get(name=schedule.TASK_NAME)
    before = PeriodicTasks.last_change()
    schedule.set_interval(2 * MINUTE)
    changed = PeriodicTask.objects.get(name=schedule.TASK_NAME)

    celery_app.loader.import_default_modules()
    assert task.task in celery_app.tasks
    assert (task.enabled, task.pk, task.start_time) == (True, changed.pk, changed.start_time)
    assert PeriodicTasks.last_change() > before


@pytest.mark.django_db
def test_without_a_schedule_the_deployments_interval_counts(settings: Settings) -> None:
    settings.PRICE_UPDATE_INTERVAL = 7 * SECOND
    assert schedule.interval() == 7 * SECOND


def deploy(settings: Settings, interval: dt.timedelta) -> None:
    settings.PRICE_UPDATE_INTERVAL = interval
    schedule.apply_deployment()


@pytest.mark.django_db
def test_a_changed_deployment_takes_effect(settings: Settings) -> None:
    deploy(settings, MINUTE)
    assert schedule.interval() == MINUTE
    deploy(settings, 5 * SECOND)
    assert schedule.interval() == 5 * SECOND


@pytest.mark.django_db
def test_staffs_interval_outlives_a_restart(settings: Settings) -> None:
    deploy(settings, MINUTE)
    schedule.set_interval(10 * SECOND)
    deploy(settings, MINUTE)
    assert schedule.interval() == 10 * SECOND


@pytest.mark.django_db
def test_the_last_word_counts(settings: Settings) -> None:
    deploy(settings, MINUTE)
    schedule.set_interval(10 * SECOND)
    deploy(settings, 30 * SECOND)
    assert schedule.interval() == 30 * SECOND
    schedule.set_interval(20 * SECOND)
    deploy(settings, 30 * SECOND)
    assert schedule.interval() == 20 * SECOND


@pytest.mark.django_db
def test_a_schedule_that_was_deleted_comes_back(settings: Settings) -> None:
    deploy(settings, MINUTE)
    PeriodicTask.objects.all().delete()
    deploy(settings, MINUTE)
    assert PeriodicTask.objects.get(name=schedule.TASK_NAME).interval.every == 60
    assert Configuration.load().deployed_interval_ms == 60_000


@pytest.mark.django_db
def test_an_edit_of_beats_own_task_counts_too(settings: Settings) -> None:
    deploy(settings, MINUTE)
    every_hour = IntervalSchedule.objects.create(every=1, period=IntervalSchedule.HOURS)
    PeriodicTask.objects.filter(name=schedule.TASK_NAME).update(interval=every_hour)
    assert schedule.interval() == dt.timedelta(hours=1)
    deploy(settings, MINUTE)
    assert schedule.interval() == dt.timedelta(hours=1)


@pytest.mark.django_db
def test_slots_of_a_crontab_are_as_long_as_the_deployments(settings: Settings) -> None:
    deploy(settings, MINUTE)
    crontab = CrontabSchedule.objects.create()
    PeriodicTask.objects.filter(name=schedule.TASK_NAME).update(interval=None, crontab=crontab)
    assert schedule.interval() == MINUTE


# --- what is done by the clock -------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_premiums_are_looked_at_each_minute(settings: Settings) -> None:
    deploy(settings, dt.timedelta(hours=1))
    task = PeriodicTask.objects.get(name=schedule.PREMIUMS_TASK_NAME)
    assert task.task in celery_app.tasks
    assert (task.crontab.minute, task.crontab.hour, task.crontab.day_of_week) == ("*", "*", "*")


@pytest.mark.django_db
def test_history_is_looked_after_once_a_day_at_an_hour_that_staff_may_change(settings: Settings) -> None:
    deploy(settings, MINUTE)
    task = PeriodicTask.objects.get(name=schedule.HISTORY_TASK_NAME)
    celery_app.loader.import_default_modules()  # as a worker does
    assert task.task in celery_app.tasks
    assert (task.crontab.minute, task.crontab.hour, task.crontab.day_of_week) == ("20", "22", "*")
    noon = CrontabSchedule.objects.create(minute="0", hour="12", timezone="UTC")
    PeriodicTask.objects.filter(pk=task.pk).update(crontab=noon)
    deploy(settings, MINUTE)
    assert PeriodicTask.objects.get(name=schedule.HISTORY_TASK_NAME).crontab == noon
