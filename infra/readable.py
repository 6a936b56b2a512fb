"""Times and spans as people read them. Pure, apart from the deployment's time zone."""

import datetime as dt
from decimal import Decimal
from typing import Final

from django.utils import timezone

_SPANS: Final = (("d", 86_400), ("h", 3600), ("min", 60))


def to_the_second(at: dt.datetime) -> str:
    """Local date and time to the second: Django's own format ends at the minute, in which there may be sixty prices."""
    return timezone.localtime(at).strftime("%Y-%m-%d %H:%M:%S")


def moment(at: dt.datetime, now: dt.datetime) -> str:
    """The time of day, with the date where it is not today's."""
    text = to_the_second(at)
    return text[11:] if text[:10] == to_the_second(now)[:10] else text


def span(seconds: float) -> str:
    """Seconds in the largest unit of which there are at least two: `90 s`, `5 min`, `3 d`."""
    for unit, length in _SPANS:
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"


def amount(price: Decimal) -> str:
    """An amount with commas and two decimals; below ten, where they would hide moves, with four."""
    return f"{price:,.{4 if abs(price) < 10 else 2}f}"


def percent(part: Decimal) -> str:
    """A share or move in percent, with its sign: `+10.00 %`."""
    return f"{part:+.2f} %"
