"""Swarna's settings with a market that never closes: for processes of the product, whose clock is the real one.

`DJANGO_SETTINGS_MODULE=tests.support.always_open` gives it to them: what
they show does not depend on the hour of the test.
"""

import datetime as dt

from prices.domain.calendar import Calendar
from swarna.settings import *  # noqa: F403


class AlwaysOpen(Calendar):
    def is_open(self, at: dt.datetime) -> bool:
        return True

    def next_change(self, at: dt.datetime) -> dt.datetime:
        return dt.datetime(2100, 1, 1, tzinfo=dt.UTC)  # the same at any time, or each moment had a status of its own

    def open_time(self, since: dt.datetime, until: dt.datetime) -> dt.timedelta:
        return until - since

    def open_since(self, at: dt.datetime, span: dt.timedelta) -> dt.datetime:
        return at - span


MARKET_CALENDAR = AlwaysOpen()
