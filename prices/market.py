"""When spot metals trade: pure, apart from the time zone database."""

import datetime as dt
from zoneinfo import ZoneInfo

_NEW_YORK = ZoneInfo("America/New_York")
_OPENS = dt.time(18, 0)
_CLOSES = dt.time(17, 0)
_FRIDAY, _SATURDAY, _SUNDAY = 5, 6, 7


def is_open(at: dt.datetime) -> bool:
    """Whether spot metals trade at `at`: Sunday 18:00 to Friday 17:00 New York, with a break each day from 17 to 18."""
    local = at.astimezone(_NEW_YORK)
    day, time = local.isoweekday(), local.time()
    if day == _SATURDAY:
        return False
    if day == _SUNDAY:
        return time >= _OPENS
    if day == _FRIDAY:
        return time < _CLOSES
    return not _CLOSES <= time < _OPENS
