"""Swarna's settings with a market that is open now, whatever day it is, and closes tonight: for pictures of pages."""

import datetime as dt

from tests.support.always_open import *  # noqa: F403
from tests.support.always_open import AlwaysOpen

_TONIGHT = dt.datetime.now(dt.UTC).replace(hour=22, minute=0, second=0, microsecond=0)


class OpenToday(AlwaysOpen):
    def next_change(self, at: dt.datetime) -> dt.datetime:
        return _TONIGHT if at < _TONIGHT else _TONIGHT + dt.timedelta(days=1)


MARKET_CALENDAR = OpenToday()
