"""The clock of this process, compared with the database's; the worker's is known from its last refresh.

On SQLite the database has no clock of its own. docs/operations.md describes the effects of a wrong clock on prices.
"""

import datetime as dt
import logging
from collections.abc import Callable
from typing import Final

from django.db import connection
from django.utils import timezone

from infra import clock
from infra.clock import TOLERANCE
from prices.models import RefreshSlot

logger = logging.getLogger(__name__)

_CHECK_EVERY: Final = 5.0  # seconds
_NONE: Final = dt.timedelta(0)
_ADVICE: Final = "let all machines set their clocks by NTP"


def database_time() -> dt.datetime | None:
    """The time by the database's own clock; None where it has none."""
    if connection.vendor != "postgresql":
        return None
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        (time,) = cursor.fetchone()
    assert isinstance(time, dt.datetime)
    return time


class ClockWatch:
    """Compares this process's clock with the database's; logs when a difference begins and ends, and each step."""

    def __init__(self, theirs: Callable[[], dt.datetime | None] = database_time) -> None:
        self.ahead = _NONE  # of the database's; negative: behind
        self._theirs = theirs
        self._last: clock.Reading | None = None

    def check(self) -> dt.timedelta:
        """Return the lead of this process's clock over the database's; compare them every `_CHECK_EVERY` seconds."""
        now = clock.read()
        if self._last and now.steady - self._last.steady < _CHECK_EVERY and not self._last.stepped(now):
            return self.ahead
        if self._last and (step := self._last.stepped(now)):
            direction = "ahead" if step > _NONE else "back"
            logger.error("the clock of this machine was put %s %s: %s", clock.amount(step), direction, _ADVICE)
        self._last = now
        before = timezone.now()
        if theirs := self._theirs():
            self._compare(clock.difference(theirs, before=before, after=timezone.now()))
        return self.ahead

    def _compare(self, ahead: dt.timedelta) -> None:
        was, self.ahead = self.ahead, ahead
        if differs(ahead) and not differs(was):
            logger.error("the clock of this machine is %s: %s", beside(ahead), _ADVICE)
        elif differs(was) and not differs(ahead):
            logger.warning("the clock of this machine agrees with the database's again")


# The watch of this process.
watch: Final = ClockWatch()


def differs(ahead: dt.timedelta) -> bool:
    """Return True if a clock is too far ahead of the database's, or behind it."""
    return abs(ahead) > TOLERANCE


def beside(ahead: dt.timedelta) -> str:
    """A difference for people, such as `40 s behind the database's`."""
    return f"{clock.amount(ahead)} {'ahead of' if ahead > _NONE else 'behind'} the database's"


def worker_ahead() -> dt.timedelta:
    """The lead of the worker's clock over the database's when it claimed the last refresh."""
    slot = RefreshSlot.objects.first()
    return dt.timedelta(milliseconds=slot.clock_ahead_ms) if slot else _NONE


def complaints() -> list[str]:
    """A line for each clock that differs from the database's, with advice."""
    clocks = {"this web process's": watch.check(), "the worker's": worker_ahead()}
    return [f"{whose} clock is {beside(ahead)}: {_ADVICE}" for whose, ahead in clocks.items() if differs(ahead)]
