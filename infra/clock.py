"""The time by two clocks: the wall clock, which may be wrong and may step, and a steady clock, which does neither.

The steady clock counts the seconds since the machine started. Inside a process, elapsed time is measured by it. A time
that is stored is the wall clock's; it is believed as far as it can be true (`can_be`), and with the `mark` of the clock
that it was read from it can be told how far that clock has stepped since (`stepped_since`).
"""

import datetime as dt
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

# Reads the wall clock: handed to code that needs the time after it has waited.
Clock: TypeAlias = Callable[[], dt.datetime]

# Differences of two machines' clocks, and steps of one, up to which nothing is logged and stored times are believed.
TOLERANCE: Final = dt.timedelta(seconds=5)
_NONE: Final = dt.timedelta(0)
# Linux's that goes on while the machine sleeps, as the wall clock does; elsewhere a sleep looks like a step.
_STEADY: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")


def _machine() -> str:
    """The machine since it started: all its processes and containers have one steady clock.

    Where that cannot be told, it is this process alone.
    """
    try:
        return _BOOT.read_text().strip()
    except OSError:
        return str(uuid.uuid4())


_MACHINE: Final = _machine()


def steady() -> float:
    """Seconds of the steady clock."""
    return time.clock_gettime(_STEADY)


@dataclass(frozen=True, slots=True)
class Reading:
    """Both clocks at one moment."""

    wall: dt.datetime
    steady: float

    def latest(self, now: "Reading") -> dt.datetime:
        """The time at `now`, a later reading: by its wall clock, or had that not stepped since, whichever is later.

        What was known at this reading is at least as old as that makes it.
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


def can_be(moment: dt.datetime, now: dt.datetime, *, ahead: dt.timedelta = _NONE) -> bool:
    """Whether a stored moment can be true that lies in the past, or `ahead` of it at most.

    One that lies further ahead was stored by a clock that was wrong, or is compared with one that is: it binds nobody.
    """
    return moment <= now + ahead + TOLERANCE


def difference(theirs: dt.datetime, *, before: dt.datetime, after: dt.datetime) -> dt.timedelta:
    """The lead of a clock over `theirs`, which was read between `before` and `after` by it; negative: it is behind.

    It is the least that these say: none where `theirs` lies between them.
    """
    return max(before - theirs, _NONE) + min(after - theirs, _NONE)


def mark() -> str:
    """A mark of the clock that moments are read from now, to be stored beside such a moment."""
    return f"{_MACHINE} {_began():.3f}"


def stepped_since(mark: str) -> dt.timedelta | None:
    """The step of this machine's wall clock since a mark was made, ahead or (negative) back.

    None where the mark is another machine's, or of before this one was started.
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
    return step if abs(step) > TOLERANCE else _NONE


def _began() -> float:
    """The time at which the machine started, by its wall clock of now."""
    return time.time() - steady()
