"""Celery beat's schedule in the database, for a beat that outlives a lost database and a stepping wall clock."""

import contextlib
import datetime as dt
import logging
from typing import Any

from django.core.exceptions import ObjectDoesNotExist
from django.db import Error as DatabaseError
from django.db import close_old_connections, connections
from django_celery_beat.schedulers import DatabaseScheduler, ModelEntry

from infra import clock
from prices import clock_watch
from prices.models import Head

logger = logging.getLogger(__name__)

# Seconds until a database that is away is tried again.
_RETRY_AFTER = 1.0


class Entry(ModelEntry):
    """A task of the schedule. One whose last run lies in the future counts as having run now."""

    last_run_at: dt.datetime

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        # A message would expire by this machine's clock, compared with the worker's. A late task finds nothing to do
        # instead (prices/tasks.py).
        self.options.pop("expires", None)
        if not clock.is_plausible(self.last_run_at, now := self._default_now()):
            self.last_run_at = self.model.last_run_at = now


class Scheduler(DatabaseScheduler):
    """A django_celery_beat scheduler that survives database errors, most of which would end beat.

    It waits for the database, logs that once, and reads the schedule again; also when the wall clock steps, by which
    django_celery_beat computes all its times.
    """

    Entry = Entry

    _last_timestamp: dt.datetime | None = None
    _is_set_up = False
    _has_lost_the_database = False
    _last_tick: clock.Reading | None = None

    def setup_schedule(self) -> None:
        """Do nothing: `tick` reads the schedule first, so that beat starts while the database is away."""

    def tick(self, *args: Any, **options: Any) -> float:
        """Send the task that is due; return the seconds until the next call."""
        now = clock.read()
        if self._last_tick and self._last_tick.stepped(now):
            self._reload()
        self._last_tick = now
        try:
            clock_watch.watch.check()
            Head.expect_whole_database()
            if not self._is_set_up:
                super().setup_schedule()
                self._is_set_up = True
            pause: float = super().tick(*args, **options)
        except DatabaseError as error:
            self._lost(error)
            # The schedule may have been read in part, or a task taken off the heap and not put back.
            self._reload()
            return _RETRY_AFTER
        if self._has_lost_the_database:
            self._has_lost_the_database = False
            logger.warning("the database is back, tasks are sent again")
        return pause

    def schedule_changed(self) -> bool:
        """Return True if the schedule was changed since the last call. Raises DatabaseError, which `tick` handles."""
        close_old_connections()
        last: dt.datetime | None = self._last_timestamp
        self._last_timestamp = self.Changes.last_change()
        # Any other time counts, not only a later one: the clock that it was read from may have been put back.
        return last is not None and self._last_timestamp != last

    def sync(self) -> None:
        """Save when tasks last ran; where the database is away, the next call does."""
        try:
            close_old_connections()
            if self._dirty:
                Head.expect_whole_database()
            for name in tuple(self._dirty):
                with contextlib.suppress(KeyError, TypeError, ObjectDoesNotExist):  # no longer in the schedule
                    self._schedule[name].save()
                self._dirty.discard(name)
        except DatabaseError as error:
            self._lost(error)

    def _reload(self) -> None:
        self._initial_read = True
        self._heap = None

    def _lost(self, error: Exception) -> None:
        connections.close_all()
        if not self._has_lost_the_database:
            self._has_lost_the_database = True
            reason = str(error).partition("\n")[0] or type(error).__name__
            logger.error("the database cannot be used, no task is sent until it can: %s", reason)
