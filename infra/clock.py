"""The time by two clocks: the wall clock, which may be wrong and may step, and a steady clock, which does neither.

The steady clock counts the seconds since the machine started. Inside a process, elapsed time is measured by it. A time
that is stored is the wall clock's. It is believed as far as it can be true (`is_plausible`); with the `mark` of the
clock that it was read from, `stepped_since` tells how far that clock has stepped.
"""

import datetime as dt
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

# A reader of the wall clock, for code that needs the time after it has waited.
Clock: TypeAlias = Callable[[], dt.datetime]

# Differences of two machines' clocks, and steps of one, up to which nothing is logged and stored times are believed.
TOLERANCE: Final = dt.timedelta(seconds=5)
_ZERO: Final = dt.timedelta(0)
# On Linux it goes on while the machine sleeps, as the wall clock does. Elsewhere a sleep looks like a step.
_STEADY: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")


def _machine() -> str:
    """An identifier of this machine's run, whose processes and containers share one steady clock.

    On a system that has none, it identifies this process alone.
    """
    try:
        return _BOOT.read_text().strip()
    except OSError:
        return str(uuid.uuid4())


_MACHINE: Final = _machine()


def steady() -> float:
    """Seconds by the steady clock."""
    return time.clock_gettime(_STEADY)


@dataclass(frozen=True, slots=True)
class Reading:
    """Both clocks at one moment."""

    wall: dt.datetime
    steady: float

    def latest(self, now: "Reading") -> dt.datetime:
        """The time at `now`, a later reading: by its wall clock, or by the steady one, whichever is later.

        An age computed from it is never too low, even if the wall clock was set back since.
        """
        return max(now.wall, self._expected(now))

    def stepped(self, now: "Reading") -> dt.timedelta:
        """The step of the wall clock, ahead or (negative) back, between this reading and `now`, a later one.

        Zero where it was no more than TOLERANCE.
        """
        return _noticed(now.wall - self._expected(now))

    def _expected(self, now: "Reading") -> dt.datetime:
        """The time at `now`, had the wall clock not stepped."""
        return self.wall + dt.timedelta(seconds=now.steady - self.steady)


def wall() -> dt.datetime:
    """The wall clock's time, in UTC."""
    return dt.datetime.now(dt.UTC)


def read() -> Reading:
    """Both clocks now."""
    return Reading(wall(), steady())


def is_plausible(moment: dt.datetime, now: dt.datetime, *, ahead: dt.timedelta = _ZERO) -> bool:
    """Return True if a stored moment can be true: it is past, or at most `ahead` of `now`.

    A moment further ahead was stored by a wrong clock, or is compared with one: ignore it.
    """
    return moment <= now + ahead + TOLERANCE


def difference(theirs: dt.datetime, *, before: dt.datetime, after: dt.datetime) -> dt.timedelta:
    """The lead of our clock over `theirs`, which was read between `before` and `after` by ours; negative: a lag.

    It is the least lead that fits: zero where `theirs` lies between them.
    """
    return max(before - theirs, _ZERO) + min(after - theirs, _ZERO)


def mark() -> str:
    """A mark of this machine's wall clock as it goes now, to be stored beside a moment that was read from it."""
    return f"{_MACHINE} {_began():.3f}"


def stepped_since(mark: str) -> dt.timedelta | None:
    """The step of this machine's wall clock since a mark was made, ahead or (negative) back.

    None where the mark is another machine's, or older than this machine's start.
    """
    machine, _, began = mark.partition(" ")
    if machine != _MACHINE:
        return None
    return _noticed(dt.timedelta(seconds=_began() - float(began)))


def amount(step: dt.timedelta) -> str:
    """The size of a step or difference, in either direction, such as `40 s` or `5:30:00`."""
    seconds = round(abs(step).total_seconds())
    return f"{seconds} s" if seconds < 120 else str(dt.timedelta(seconds=seconds))


def _noticed(step: dt.timedelta) -> dt.timedelta:
    return step if abs(step) > TOLERANCE else _ZERO


def _began() -> float:
    """The machine's start in seconds since 1970, by the wall clock as it goes now."""
    return time.time() - steady()
