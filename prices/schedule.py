"""When prices are refreshed, and how old they may get meanwhile.

The interval is Celery beat's own; a slot is fetched by whoever claims it first.
"""

import datetime as dt
from typing import Any, NamedTuple

from django.conf import settings
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask

from infra import clock, formats, schema
from prices import clock_watch
from prices.domain.quotes import SIMULATED, Quote
from prices.models import Configuration, RefreshSlot

TASK_NAME = "refresh-prices"
HISTORY_TASK_NAME = "keep-history"
PREMIUMS_TASK_NAME = "apply-premiums"
SHORTEST_INTERVAL = dt.timedelta(milliseconds=100)
LONGEST_INTERVAL = dt.timedelta(days=1)
# Not the time of the first start, when the clock may be ahead: beat would wait for it.
_LONG_AGO = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)


class Progress(NamedTuple):
    """The slot that is due next, which whoever claims one moves on, and the update interval in force."""

    slot: dt.datetime
    interval: dt.timedelta


def interval() -> dt.timedelta:
    """The update interval in force: what staff or the deployment set last."""
    task = PeriodicTask.objects.filter(name=TASK_NAME).select_related("interval").first()
    if task is None or task.interval is None:
        return settings.PRICE_UPDATE_INTERVAL
    return dt.timedelta(**{task.interval.period: task.interval.every})


def apply_deployment() -> None:
    """Make the schedule exist, and take over PRICE_UPDATE_INTERVAL where it changed since it was last applied.

    So the last word counts, whether it was an operator's or, since then, a member of staff's.
    """
    configuration = Configuration.load()
    deployed = formats.milliseconds(settings.PRICE_UPDATE_INTERVAL)
    if configuration.deployed_interval_ms != deployed or not PeriodicTask.objects.filter(name=TASK_NAME).exists():
        set_interval(settings.PRICE_UPDATE_INTERVAL)
        Configuration.objects.filter(pk=configuration.pk).update(deployed_interval_ms=deployed)
    _by_the_clock(
        HISTORY_TASK_NAME,
        CrontabSchedule(minute="20", hour="22"),  # India's small hours
        task="prices.tasks.keep_history",
        description="Makes months of history ahead, and drops ticks that are older than TICKS_KEPT_FOR.",
    )
    _by_the_clock(
        PREMIUMS_TASK_NAME,
        CrontabSchedule(),  # each minute
        task="prices.tasks.apply_premiums",
        description="Puts premiums on the screens whose time has come, however rarely prices are fetched.",
    )


def _by_the_clock(name: str, times: CrontabSchedule, **task: Any) -> None:
    """A task at times of UTC's, where it is missing; staff may choose others in beat's own admin."""
    if not PeriodicTask.objects.filter(name=name).exists():
        crontab, _ = CrontabSchedule.objects.get_or_create(minute=times.minute, hour=times.hour, timezone="UTC")
        PeriodicTask.objects.get_or_create(name=name, defaults={"crontab": crontab, **task})


def set_interval(every: dt.timedelta) -> None:
    """Refresh this often from now on, to the second where that is over half an hour; beat sees it within seconds.

    Raises ValueError below `SHORTEST_INTERVAL`.
    """
    if every < SHORTEST_INTERVAL:
        raise ValueError(f"the shortest interval is {formats.milliseconds(SHORTEST_INTERVAL)} ms")
    # The count is a 32-bit number: of microseconds it holds 35 minutes.
    if every.microseconds and every <= dt.timedelta(minutes=30):
        period, count = IntervalSchedule.MICROSECONDS, every // dt.timedelta(microseconds=1)
    else:
        period, count = IntervalSchedule.SECONDS, every // dt.timedelta(seconds=1)
    # Not get_or_create: nothing keeps staff from adding the same interval twice in beat's own admin.
    same = IntervalSchedule.objects.filter(every=count, period=period)
    schedule = same.first() or IntervalSchedule.objects.create(every=count, period=period)
    timing = {
        "interval": schedule,
        # A task with a start time in the past is due at once; without one, beat waits a first interval.
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
    """Whether this caller may do the refresh that is due now; false when somebody else does it or none is due.

    Slots lie one interval apart, wherever the first claim put them, so that a late task does not make the next one
    early, and a second beat's tasks, whatever their phase, find every slot taken.
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
    """The slot and interval of refreshes. None where nothing moves: the task is switched off, or none was ever due."""
    slot = RefreshSlot.objects.first()
    is_on = PeriodicTask.objects.filter(name=TASK_NAME, enabled=True).exists()
    return Progress(slot.due_at, interval()) if slot and is_on else None


def is_on_time(now: dt.datetime) -> bool:
    """Whether a refresh was claimed in the last three intervals, whatever the clock at `now` says: beat sends them, and
    a worker does them.
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
    """How old a quote may be before it is stale, as staff or the deployment set it."""
    return Configuration.load().freshness_limit(interval())


def is_stale(quote: Quote, *, now: dt.datetime, limit: dt.timedelta) -> bool:
    """Whether a quote is older than the limit, by its source's own time and the market's hours."""
    return settings.MARKET_CALENDAR.age(quote.source, quote.quoted_at, now) > limit


def closed_interval(every: dt.timedelta) -> dt.timedelta:
    """How often each metal is asked for while the market is closed, given the update interval in force."""
    # A simulated market never closes.
    return every if SIMULATED in settings.PRICE_PROVIDERS else max(every, settings.CLOSED_UPDATE_INTERVAL)


def fetched_again(confirmed_at: dt.datetime, every: dt.timedelta) -> dt.datetime:
    """From when on each refresh asks for a metal again that a source confirmed at this time; `every` is their interval.

    At once, where the market is open when the next one is due: then prices move. While it is closed they stand still,
    and one that was confirmed is left alone for the closed market's interval, or until the market opens.
    """
    market, due, rest = settings.MARKET_CALENDAR, confirmed_at + every, closed_interval(every)
    if rest == every or market.is_open(due):
        return confirmed_at
    return min(confirmed_at + rest, market.next_change(due))


def next_slot(due: dt.datetime, now: dt.datetime, every: dt.timedelta) -> dt.datetime | None:
    """When the slot after the one at `due` begins, if that one may be claimed at `now`; else None. Pure.

    A task may come a quarter of an interval early. A slot further ahead than an early claim can put it was claimed
    under a longer interval, and does not bind.
    """
    early = every / 4
    if now < due - early and due <= now + every + early:
        return None
    return (due if abs(due - now) <= early else now) + every
