"""The schedule of refreshes, and how old prices may get meanwhile.

The interval is Celery beat's own; the first worker to claim a slot does its refresh.
"""

import datetime as dt
from typing import Final, NamedTuple

from django.conf import settings
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask

from infra import clock, formats, schema
from prices import clock_watch, sql
from prices.domain.quotes import SIMULATED, Quote
from prices.models import Configuration, RefreshSlot

TASK_NAME = "refresh-prices"
HISTORY_TASK_NAME = "keep-history"
PREMIUMS_TASK_NAME = "apply-premiums"
FALLBACKS_TASK_NAME = "expire-fallbacks"
SHORTEST_INTERVAL = dt.timedelta(milliseconds=100)
LONGEST_INTERVAL = dt.timedelta(days=1)
# Not the time of the first start: if the clock was ahead then, beat would wait for it.
_LONG_AGO = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)


class TaskByTheClock(NamedTuple):
    """A task of the worker at times in UTC, as a line of crontab has them; by default each minute."""

    task: str
    description: str
    minute: str = "*"
    hour: str = "*"


# The tasks at fixed times, by name. Apps above this one add theirs.
BY_THE_CLOCK: Final[dict[str, TaskByTheClock]] = {
    HISTORY_TASK_NAME: TaskByTheClock(
        "prices.tasks.keep_history",
        "Makes months of history ahead, and deletes ticks older than TICKS_KEPT_FOR.",
        minute="20",
        hour="22",  # India's small hours
    ),
    PREMIUMS_TASK_NAME: TaskByTheClock(
        "prices.tasks.apply_premiums",
        "Publishes prices under premiums that have begun, however rarely prices are fetched.",
    ),
    FALLBACKS_TASK_NAME: TaskByTheClock(
        "prices.tasks.expire_fallbacks",
        "Publishes the next best price in place of each fallback that has expired.",
    ),
}


class Progress(NamedTuple):
    """The next slot, which each claim moves on, and the current update interval."""

    slot: dt.datetime
    interval: dt.timedelta


def interval() -> dt.timedelta:
    """The current update interval, as staff or the deployment set it last."""
    # SQL by hand: each publication reads it, for the freshness limit in its receipts.
    table = PeriodicTask._meta.db_table
    of_task = f"WHERE id = (SELECT interval_id FROM {table} WHERE name = '{TASK_NAME}')"  # noqa: S608  (names)
    found = sql.rows(IntervalSchedule, of_task)
    return dt.timedelta(**{found[0].period: found[0].every}) if found else settings.PRICE_UPDATE_INTERVAL


def apply_deployment() -> None:
    """Make the schedule where it is missing, and apply PRICE_UPDATE_INTERVAL where it has changed since the last time.

    So the last change counts, an operator's or a member of staff's.
    """
    configuration = Configuration.load()
    deployed = formats.milliseconds(settings.PRICE_UPDATE_INTERVAL)
    if configuration.deployed_interval_ms != deployed or not PeriodicTask.objects.filter(name=TASK_NAME).exists():
        set_interval(settings.PRICE_UPDATE_INTERVAL)
        Configuration.objects.filter(pk=configuration.pk).update(deployed_interval_ms=deployed)
    # For the audit: it may just have been set, or in beat's own admin.
    if configuration.update_interval_ms != (current := formats.milliseconds(interval())):
        configuration.update_interval_ms = current
        configuration.save(update_fields=["update_interval_ms"])
    for name, task in BY_THE_CLOCK.items():
        _make_task(name, task)


def _make_task(name: str, task: TaskByTheClock) -> None:
    """Make a task where it is missing; staff may choose other times in beat's own admin."""
    if not PeriodicTask.objects.filter(name=name).exists():
        crontab, _ = CrontabSchedule.objects.get_or_create(minute=task.minute, hour=task.hour, timezone="UTC")
        made = {"crontab": crontab, "task": task.task, "description": task.description}
        PeriodicTask.objects.get_or_create(name=name, defaults=made)


def set_interval(every: dt.timedelta) -> None:
    """Set the update interval, in whole seconds where it is over half an hour; beat sees it within seconds.

    Raises ValueError below `SHORTEST_INTERVAL`.
    """
    if every < SHORTEST_INTERVAL:
        raise ValueError(f"the shortest interval is {formats.milliseconds(SHORTEST_INTERVAL)} ms")
    # The count is a 32-bit number: of microseconds it takes 35 minutes.
    if every.microseconds and every <= dt.timedelta(minutes=30):
        period, count = IntervalSchedule.MICROSECONDS, every // dt.timedelta(microseconds=1)
    else:
        period, count = IntervalSchedule.SECONDS, every // dt.timedelta(seconds=1)
    # Not get_or_create: staff may have added the same interval twice in beat's own admin.
    same = IntervalSchedule.objects.filter(every=count, period=period)
    schedule = same.first() or IntervalSchedule.objects.create(every=count, period=period)
    timing = {
        "interval": schedule,
        # A task with a start time in the past is due at once; without one, beat waits for an interval first.
        "start_time": _LONG_AGO,
    }
    PeriodicTask.objects.update_or_create(
        name=TASK_NAME,
        defaults=timing,
        create_defaults={
            **timing,
            "task": "prices.tasks.refresh_prices",
            "description": "Fetches prices and publishes them. Its interval is set in Configuration.",
        },
    )


def claim(now: dt.datetime) -> bool:
    """Claim the refresh that is due now. Returns False if another worker has it, or none is due.

    Slots lie one interval apart from the first claim on, so that a late task does not make the next one early, and the
    tasks of a second beat, whatever their phase, find every slot claimed.
    """
    every = interval()
    slot = schema.get_or_create(RefreshSlot.objects.all(), pk=1, defaults={"due_at": now})
    due = next_slot(slot.due_at, now, every)
    if due is None:
        return False
    ahead = formats.milliseconds(clock_watch.watch.check())
    claimed = {"claimed_at": now, "claimed_by": clock.mark(), "clock_ahead_ms": ahead}
    return RefreshSlot.objects.filter(pk=1, due_at=slot.due_at).update(due_at=due, **claimed) == 1


def progress() -> Progress | None:
    """The next slot and the interval; None where the task is switched off, or no refresh was ever due."""
    slot = RefreshSlot.objects.first()
    is_on = PeriodicTask.objects.filter(name=TASK_NAME, enabled=True).exists()
    return Progress(slot.due_at, interval()) if slot and is_on else None


def is_on_time(now: dt.datetime) -> bool:
    """Return True if a refresh was claimed in the last three intervals, so that beat and a worker do their work.

    Steps of the clock do not count, where they are known.
    """
    slot = RefreshSlot.objects.first()
    if slot is None or slot.claimed_at is None:
        return False
    stepped = clock.stepped_since(slot.claimed_by)
    if stepped is not None:
        age = now - slot.claimed_at - stepped
    else:  # another machine's worker: by the database's clock, where it has one
        age = (clock_watch.database_time() or now) - slot.claimed_at + dt.timedelta(milliseconds=slot.clock_ahead_ms)
    return -clock.TOLERANCE <= age < 3 * interval()


def freshness_limit() -> dt.timedelta:
    """The age at which a quote becomes stale, as staff or the deployment set it."""
    return Configuration.load().freshness_limit(interval())


def is_stale(quote: Quote, *, now: dt.datetime, limit: dt.timedelta) -> bool:
    """Return True if a quote is older than the limit, by its source's own time and the market's hours."""
    return settings.MARKET_CALENDAR.age(quote.source, quote.quoted_at, now) > limit


def closed_interval(every: dt.timedelta) -> dt.timedelta:
    """The interval at which each metal is fetched while the market is closed, given the current update interval."""
    # A simulated market never closes.
    return every if SIMULATED in settings.PRICE_PROVIDERS else max(every, settings.CLOSED_UPDATE_INTERVAL)


def fetched_again(confirmed_at: dt.datetime, every: dt.timedelta) -> dt.datetime:
    """The time from which refreshes, at intervals of `every`, fetch a metal again that a source confirmed.

    It is at once where the market is open at the next refresh. While the market is closed prices do not move, and a
    confirmed metal rests for the closed market's interval, or until the market opens.
    """
    market, due, rest = settings.MARKET_CALENDAR, confirmed_at + every, closed_interval(every)
    if rest == every or market.is_open(due):
        return confirmed_at
    return min(confirmed_at + rest, market.next_change(due))


def next_slot(due: dt.datetime, now: dt.datetime, every: dt.timedelta) -> dt.datetime | None:
    """The slot after the one at `due`, if that one may be claimed at `now`; else None. Pure.

    A task may come a quarter of an interval early. A slot further ahead than an early claim sets it is of a former,
    longer interval, and is ignored.
    """
    early = every / 4
    if now < due - early and due <= now + every + early:
        return None
    return (due if abs(due - now) <= early else now) + every
