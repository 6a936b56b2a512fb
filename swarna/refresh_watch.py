"""A watch in each web process over refreshes: beat and worker may be running without beginning any."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import close_old_connections

from infra.process.valkey import RedisUnusableError, wait_for_redis
from prices import schedule

logger = logging.getLogger(__name__)

_CHECK_EVERY: Final = 5.0  # seconds
# Seconds within which worker and beat may just be late.
_SHORTEST_STANDSTILL: Final = 60.0
# Seconds for a refresh to begin after the longest ones, in all of a worker's processes, have reached their time limit.
_TO_BEGIN: Final = 10.0


class RefreshWatch:
    """Notices that the schedule's slot stands still. It moves in each interval, even while the market is closed.

    `clock` counts seconds. Time without a database or Redis, or without metals to refresh, does not count.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: object = None
        self._moved_at = clock()
        self._stands_for: float | None = None

    def problem(self) -> str | None:
        """A detail with the time since the last refresh began; None while they begin in time, or if not started."""
        return None if self._stands_for is None else f"none was begun for {self._stands_for:.0f} s"

    def check(self) -> None:
        """Compare the slot with that of the last check. Queries the database: call it in a thread."""
        try:
            progress = schedule.progress()
            if settings.REDIS_URL:
                wait_for_redis(settings.REDIS_URL, timeout=0)
        except (DatabaseError, RedisUnusableError):
            progress = None
        now = self._clock()
        if progress is None or progress.slot != self._seen:
            self._seen, self._moved_at = progress and progress.slot, now
            self._stands_for = None
        elif now - self._moved_at > self._longest(progress):
            self._stands_for = now - self._moved_at

    @staticmethod
    def _longest(progress: schedule.Progress) -> float:
        """The seconds for which the slot may stay the same."""
        refresh = settings.CELERY_TASK_TIME_LIMIT + _TO_BEGIN
        return max(3 * progress.interval.total_seconds(), refresh, _SHORTEST_STANDSTILL)

    def start(self) -> None:
        """Check every few seconds, in a thread, for as long as the process runs."""
        threading.Thread(target=self._run, name="refresh watch", daemon=True).start()

    def _run(self) -> None:
        while True:
            time.sleep(_CHECK_EVERY)
            try:
                self.check()
            except Exception:
                # The outermost boundary of this thread: an exception would end the checks.
                logger.exception("a defect of ours in the watch of refreshes")
            finally:
                close_old_connections()


# This process's; a web process starts it.
watch: Final = RefreshWatch()
