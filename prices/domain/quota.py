"""Quotas: the calls that a provider allows in a month or a day. Pure. We stop before the provider does."""

import datetime as dt
import re
from dataclasses import dataclass

_WRITTEN = re.compile(r"([1-9]\d{0,8})\s*/\s*(day|month)")


@dataclass(frozen=True, slots=True)
class Quota:
    """At most `calls` in each `period`, a `day` or a `month`; both begin at midnight UTC."""

    calls: int
    period: str

    @classmethod
    def parse(cls, text: str) -> "Quota":
        """Parse `100/month` or `1000/day`. Raises ValueError, which says what to write, for anything else."""
        match = _WRITTEN.fullmatch(text.strip())
        if match is None:
            raise ValueError("write a number of calls and a period: 100/month or 1000/day")
        return cls(int(match[1]), match[2])

    def begins(self, at: dt.datetime) -> dt.date:
        """The first day of the period that `at` is in."""
        day = at.astimezone(dt.UTC).date()
        return day if self.period == "day" else day.replace(day=1)

    def begins_anew(self, at: dt.datetime) -> dt.date:
        """The first day of the period after the one that `at` is in."""
        begins = self.begins(at)
        return (
            begins + dt.timedelta(days=1) if self.period == "day" else (begins + dt.timedelta(days=31)).replace(day=1)
        )

    def counted_from(self, since: dt.date | None, at: dt.datetime) -> dt.date:
        """The first day of the period in which calls at `at` count; `since` is the first day of the last calls' period.

        Where `since` begins the next period, a clock was ahead: the calls counted then were made in this one.
        """
        return since if since == self.begins_anew(at) else self.begins(at)

    def left(self, used: int, since: dt.date | None, at: dt.datetime) -> int:
        """Calls left at `at`, after `used` calls in the period that began on `since`."""
        return self.calls if since != self.counted_from(since, at) else max(0, self.calls - used)

    def __str__(self) -> str:
        return f"{self.calls}/{self.period}"


@dataclass(frozen=True, slots=True)
class Reservation:
    """Calls of the period that began on `since`: all count as used until it is known how many were made."""

    calls: int
    since: dt.date
