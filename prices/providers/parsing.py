"""What every vendor's parser needs: numbers and times out of untrusted JSON. Pure."""

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from prices.providers.errors import TemporaryError

# A source's clock may run ahead of ours by this much; a quote from further ahead would never go stale.
CLOCK_SKEW = dt.timedelta(minutes=2)
_EARLIEST = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
_MILLISECONDS_FROM = 10**11  # as seconds this is the year 5138
_ABSURD = Decimal(10) ** 18  # no amount in any currency and unit; arithmetic with more may fail


def fields(answer: Any) -> Mapping[str, Any]:
    """The answer as a JSON object. Raises ProviderError when it is another thing, or says that it is an error."""
    if not isinstance(answer, Mapping):
        raise TemporaryError(f"answers with a {type(answer).__name__} where an object was expected")
    if answer.get("error"):
        raise TemporaryError(f"answers with an error: {shown(answer['error'])}")
    return answer


def positive_decimal(answer: Mapping[str, Any], name: str) -> Decimal:
    """A positive number, also when it is written as a string. Raises ProviderError for all else."""
    given = answer.get(name)
    if not isinstance(given, Decimal | str):
        raise TemporaryError(f"gives {shown(given)} as {name}")
    try:
        number = Decimal(given)
    except InvalidOperation as error:
        raise TemporaryError(f"gives {shown(given)} as {name}") from error
    if not number.is_finite() or not 0 < number < _ABSURD:
        raise TemporaryError(f"gives {shown(given)} as {name}, which is not a positive number that an amount can be")
    return number


def quote_time(answer: Mapping[str, Any], name: str, *, now: dt.datetime) -> dt.datetime:
    """A source's own time: ISO 8601 (UTC where it names no zone), or Unix seconds or milliseconds.

    A time slightly ahead of `now` is taken for `now`. Raises ProviderError for one that is far ahead, before 2000, or
    no time at all.
    """
    given = answer.get(name)
    try:
        at = _time(given)
    except (ValueError, OverflowError, OSError, ArithmeticError) as error:
        raise TemporaryError(f"gives {shown(given)} as {name}, which is not a time") from error
    if not _EARLIEST <= at <= now + CLOCK_SKEW:
        raise TemporaryError(f"gives {at:%Y-%m-%dT%H:%M:%SZ} as {name}, which cannot be when it was quoted")
    return min(at, now)


def _time(given: Any) -> dt.datetime:
    if isinstance(given, Decimal) or (isinstance(given, str) and given.strip().isdecimal()):
        number = Decimal(given)
        seconds = number / 1000 if abs(number) >= _MILLISECONDS_FROM else number
        return dt.datetime.fromtimestamp(float(seconds), dt.UTC)
    if isinstance(given, str):
        at = dt.datetime.fromisoformat(given.strip())
        return at.replace(tzinfo=dt.UTC) if at.tzinfo is None else at.astimezone(dt.UTC)
    raise ValueError(given)


def shown(given: Any) -> str:
    """A source's own words for a log: short, quoted, in one line. What is nested is named, for its text may be huge."""
    if given is None:
        return "nothing"
    if isinstance(given, Mapping | list):
        return "an object" if isinstance(given, Mapping) else "a list"
    return repr(str(given)[:100])
