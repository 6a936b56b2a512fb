"""A watch of refreshes, in each web process: beat and worker may live and begin none."""

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
# Below so many seconds nobody can say that worker and beat are not just late. A refresh that takes as long as one may
# keeps others from beginning, in each of a worker's processes, and is ended by the worker itself.
_SHORTEST_STANDSTILL: Final = 60.0
_TO_BEGIN: Final = 10.0


class RefreshWatch:
    """Notices that the schedule's slot stands still. It moves in each interval, whether the market is open or not.

    Time is counted by `clock`, and not while there is no database or no Redis, or nothing is to be refreshed.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: object = None
        self._moved_at = clock()
        self._stands_for: float | None = None

    def trouble(self) -> str | None:
        """A complaint that no refresh was begun; None where one was in time, or nobody checks."""
        return None if self._stands_for is None else f"none was begun for {self._stands_for:.0f} s"

    def check(self) -> None:
        """Compare the slot with that of the last check. It queries: call it in a thread."""
        try:
            progress = schedule.progress()
            if settings.REDIS_URL:
                wait_for_redis(settings.REDIS_URL, patience=0)
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
        """Seconds for which the slot may stay where it is."""
        refresh = settings.CELERY_TASK_TIME_LIMIT + _TO_BEGIN
        return max(3 * progress.interval.total_seconds(), refresh, _SHORTEST_STANDSTILL)

    def start(self) -> None:
        """Check regularly, in a thread, for as long as the process runs."""
        threading.Thread(target=self._run, name="refresh watch", daemon=True).start()

    def _run(self) -> None:
        while True:
            time.sleep(_CHECK_EVERY)
            try:
                self.check()
            except Exception:
                # The outermost boundary of this thread: without it the checks would end.
                logger.exception("a defect of ours in the watch of refreshes")
            finally:
                close_old_connections()


# This process's; a web process starts it.
watch: Final = RefreshWatch()
