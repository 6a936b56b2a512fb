"""The market's hours on New York's clock, and a quote's age by them.

Pure, apart from the time zone database and the table of holidays beside this file.

A session is named by the New York date, Monday to Friday, on which it ends: it begins at 18:00 the evening before and
ends at 17:00. It is always 23 hours long: New York's clocks change on Sundays before dawn, when nothing trades.
"""

import csv
import datetime as dt
import re
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from prices.domain.quotes import PriceKind, kind_of

_NEW_YORK: Final = ZoneInfo("America/New_York")
# From the beginning of a session to the midnight in it.
_EVENING: Final = dt.timedelta(hours=6)
_SESSION: Final = dt.timedelta(hours=23)
_NONE: Final = dt.timedelta(0)
_A_DAY: Final = dt.timedelta(days=1)
_WARNED_AHEAD: Final = dt.timedelta(days=365)
_SOME_MONDAY: Final = dt.date(2001, 1, 1)
_HOLIDAY: Final = re.compile(r"(\d{4}-\d\d-\d\d)(?:T(\d\d:\d\d)|(=open))?")
# COMEX's, as tests/support/market_holidays.py wrote them: a date a line, with the time of an early close.
_TABLE: Final = Path(__file__).with_name("holidays.csv")


@dataclass(frozen=True, slots=True)
class Calendar:
    """The market's hours: each session of Monday to Friday, less the holidays.

    `holidays` are New York dates. With None the session of that date, which would have begun the evening before, does
    not take place; with a time before 17:00 it ends at that time. The next session begins as usual.
    """

    holidays: Mapping[dt.date, dt.time | None] = field(default_factory=dict)
    # The holidays' dates in order, and the open time that all holidays before each date take; after the last one, all.
    _dates: tuple[dt.date, ...] = field(init=False, repr=False, compare=False)
    _taken: tuple[dt.timedelta, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        dates = tuple(sorted(self.holidays))
        taken = accumulate((_usual_length(date) - self._length(date) for date in dates), initial=_NONE)
        object.__setattr__(self, "_dates", dates)
        object.__setattr__(self, "_taken", tuple(taken))

    @classmethod
    def built_in(cls) -> "Calendar":
        """The calendar with the holidays of COMEX that are known."""
        with _TABLE.open(newline="") as table:
            rows = list(csv.DictReader(table))
        return cls(
            {
                dt.date.fromisoformat(row["date"]): dt.time.fromisoformat(row["closes"]) if row["closes"] else None
                for row in rows
            }
        )

    def corrected(self, text: str) -> "Calendar":
        """This calendar with dates added, replaced or taken out; `2026-12-25, 2026-11-26T14:30, 2026-06-19=open`.

        Raises ValueError, which says what to write.
        """
        holidays = dict(self.holidays)
        named: set[dt.date] = set()
        for written in filter(None, map(str.strip, text.split(","))):
            match = _HOLIDAY.fullmatch(written)
            try:
                if match is None:
                    raise ValueError(written)
                date, closes = dt.date.fromisoformat(match[1]), dt.time.fromisoformat(match[2]) if match[2] else None
            except ValueError as error:
                raise ValueError(
                    "write dates with commas between, each with the time at which it closes early, if it does, or "
                    "with =open if it trades as usual: 2026-12-25, 2026-11-26T14:30, 2026-06-19=open"
                ) from error
            if closes and _since_midnight(closes) + _EVENING >= _SESSION:
                raise ValueError(
                    f"{written} is no early close: sessions end at 17:00, New York time. If this one does as "
                    f"usual, write {date}=open"
                )
            if date in named:
                raise ValueError(f"{date} is given twice: keep one of them")
            named.add(date)
            holidays[date] = closes
            if match[3]:
                del holidays[date]
        return Calendar(holidays)

    @property
    def known_until(self) -> dt.date | None:
        """The last day of the years, without a gap between them, of which holidays are known; None if none are."""
        years = {date.year for date in self.holidays}
        if not years:
            return None
        last = min(years)
        while last + 1 in years:
            last += 1
        return dt.date(last, 12, 31)

    def runs_out(self, now: dt.datetime) -> dt.date | None:
        """The day until which holidays are known, if that is less than a year away; else None."""
        until = self.known_until
        return until if until and until < now.date() + _WARNED_AHEAD else None

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

    def open_since(self, at: dt.datetime, span: dt.timedelta) -> dt.datetime:
        """The latest moment from which until `at` the market was open for `span`."""
        date, passed = _session_at(at)
        passed = min(passed, self._length(date))
        while span > passed:
            span -= passed
            date -= _A_DAY
            passed = self._length(date)
        return _moment(date, passed - span)

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
        taken = self._taken[bisect_left(self._dates, date)]
        return (5 * weeks + min(days, 5)) * _SESSION - taken + min(passed, self._length(date))


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
