"""The market's hours on New York's clock, and a quote's age by them. Pure, apart from the time zone database.

A session is named by the New York date, Monday to Friday, on which it ends: it begins at 18:00 the evening before and
ends at 17:00. It is always 23 hours long: New York's clocks change on Sundays before dawn, when nothing trades.
"""

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from zoneinfo import ZoneInfo

from prices.domain.quotes import PriceKind, kind_of

_NEW_YORK: Final = ZoneInfo("America/New_York")
# From the beginning of a session to the midnight in it.
_EVENING: Final = dt.timedelta(hours=6)
_SESSION: Final = dt.timedelta(hours=23)
_NONE: Final = dt.timedelta(0)
_A_DAY: Final = dt.timedelta(days=1)
_SOME_MONDAY: Final = dt.date(2001, 1, 1)
_HOLIDAY: Final = re.compile(r"(\d{4}-\d\d-\d\d)(?:T(\d\d:\d\d))?")


@dataclass(frozen=True, slots=True)
class Calendar:
    """The market's hours: each session of Monday to Friday, less the holidays.

    `holidays` are New York dates. With None the session of that date, which would have begun the evening before, does
    not take place; with a time before 17:00 it ends at that time. The next session begins as usual.
    """

    holidays: Mapping[dt.date, dt.time | None] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> "Calendar":
        """Parse dates separated by commas, such as `2026-12-25, 2026-11-26T14:30`.

        Raises ValueError, which says what to write.
        """
        holidays: dict[dt.date, dt.time | None] = {}
        for written in filter(None, map(str.strip, text.split(","))):
            match = _HOLIDAY.fullmatch(written)
            try:
                if match is None:
                    raise ValueError(written)
                date, closes = dt.date.fromisoformat(match[1]), dt.time.fromisoformat(match[2]) if match[2] else None
            except ValueError as error:
                raise ValueError(
                    "write dates with commas between, each with the time at which it closes early, if it does: "
                    "2026-12-25, 2026-11-26T14:30"
                ) from error
            if closes and _since_midnight(closes) + _EVENING >= _SESSION:
                raise ValueError(f"{written} is no early close: sessions end at 17:00, New York time")
            if date in holidays:
                raise ValueError(f"{date} is given twice: keep one of them")
            holidays[date] = closes
        return cls(holidays)

    def is_open(self, at: dt.datetime) -> bool:
        """Return True if spot metals trade at `at`."""
        date, passed = _session_at(at)
        return passed < self._length(date)

    def next_change(self, at: dt.datetime) -> dt.datetime:
        """The next time after `at` when the market closes, if it is open at `at`, or else opens; in UTC."""
        date, passed = _session_at(at)
        if passed < self._length(date):
            return _moment(date, self._length(date))
        date += _A_DAY
        while not self._length(date):
            date += _A_DAY
        return _moment(date, _NONE)

    def open_time(self, since: dt.datetime, until: dt.datetime) -> dt.timedelta:
        """Open-market time from `since` to `until`; negative where `until` is the earlier.

        The work does not grow with the time between them.
        """
        return self._clock(until) - self._clock(since)

    def age(self, source: str, quoted_at: dt.datetime, now: dt.datetime) -> dt.timedelta:
        """A quote's age for the freshness limit: the time in which its source could have given a newer quote.

        A live source gives no newer quote while the market is closed. Simulated prices and staff's fallbacks do not
        depend on the market: their age is by the clock.
        """
        return self.open_time(quoted_at, now) if kind_of(source) is PriceKind.LIVE else now - quoted_at

    def is_of_now(self, quoted_at: dt.datetime, now: dt.datetime, limit: dt.timedelta) -> bool:
        """Return True if a live quote is of now: the market is open, and the quote within `limit` by the clock.

        The price of a close is not, though `age` calls it fresh: until a source quotes after the opening, the market
        may be far from it.
        """
        return self.is_open(now) and now - quoted_at <= limit

    def _length(self, date: dt.date) -> dt.timedelta:
        """The length of the session of a date; zero where there is no session."""
        if date not in self.holidays:
            return _usual_length(date)
        closes = self.holidays[date]
        return _NONE if closes is None else min(_EVENING + _since_midnight(closes), _usual_length(date))

    def _clock(self, at: dt.datetime) -> dt.timedelta:
        """Open-market time from a fixed Monday up to `at`: two readings differ by the open time between them."""
        date, passed = _session_at(at)
        weeks, days = divmod((date - _SOME_MONDAY).days, 7)
        lost = sum((_usual_length(each) - self._length(each) for each in self.holidays if each < date), _NONE)
        return (5 * weeks + min(days, 5)) * _SESSION - lost + min(passed, self._length(date))


def _session_at(at: dt.datetime) -> tuple[dt.date, dt.timedelta]:
    """The date of the session in which `at` lies, or after which, in a break; and the time since it began."""
    shifted = at.astimezone(_NEW_YORK).replace(tzinfo=None) + _EVENING
    return shifted.date(), _since_midnight(shifted.time())


def _moment(date: dt.date, passed: dt.timedelta) -> dt.datetime:
    """The moment `passed` after the beginning of a session."""
    local = dt.datetime.combine(date, dt.time.min) - _EVENING + passed
    return local.replace(tzinfo=_NEW_YORK).astimezone(dt.UTC)


def _usual_length(date: dt.date) -> dt.timedelta:
    return _SESSION if date.isoweekday() <= 5 else _NONE


def _since_midnight(time: dt.time) -> dt.timedelta:
    return dt.timedelta(hours=time.hour, minutes=time.minute, seconds=time.second, microseconds=time.microsecond)
