"""Parsing that providers share: numbers, times and quotes out of untrusted JSON. Pure."""

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal, InvalidOperation, localcontext
from functools import partial
from typing import Any, TypeAlias, TypeVar

from infra.formats import to_ms
from infra.redaction import without_secrets
from prices.domain.quotes import LARGEST_PRICE, Metal, Quote
from prices.domain.source_quotes import GRAMS, Exchange, RawUnit, SourceQuote
from prices.domain.units import per_gram
from prices.providers.errors import NoDataError, PermanentError, ProviderError, TemporaryError

# A provider's clock may be ahead of ours by this much; a quote from further ahead would never go stale.
CLOCK_SKEW = dt.timedelta(minutes=2)
_EARLIEST = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
_MILLISECONDS_FROM = 10**11  # as seconds this is the year 5138
_ABSURD = Decimal(10) ** 18  # no amount in any currency and unit; arithmetic with more may fail
# A reciprocal of fewer digits may be wrong by more than 0.05 %.
_FEWEST_DIGITS = 4
_LEAST_RATE = Decimal("1e-15")  # no currency buys less of a metal than this
# Per gram. With any premium that staff may set, from a tenth to ten times, a price stays within what is stored.
_LEAST_PRICE, _MOST_PRICE = Decimal("0.001"), LARGEST_PRICE / 20
# No market moves by more in a day: such a figure is of another unit, metal or currency than the price beside it.
_STRAYS = 2

# Quotes of past days, which are UTC's; a no-data day is absent. A quote's price is the day's close or, without other
# figures, the provider's one price of that day.
Days: TypeAlias = dict[tuple[dt.date, Metal], Quote | ProviderError]

_Key = TypeVar("_Key")  # a metal, or a date and a metal


def fields(answer: Any) -> Mapping[str, Any]:
    """The answer as a JSON object. Raises ProviderError if it is none, or reports an error."""
    if not isinstance(answer, Mapping):
        raise TemporaryError(f"answers with a {type(answer).__name__} where an object was expected")
    if answer.get("error"):
        raise TemporaryError(f"answers with an error: {shown(answer['error'])}")
    return answer


def code(answer: Mapping[str, Any], name: str) -> str:
    """A provider's failure code as text, whether a number or a string; else a description of the value."""
    given = answer.get(name)
    return str(given) if isinstance(given, Decimal | str) else shown(given)


def part(answer: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """An object inside an answer. Raises ProviderError if it is missing or no object."""
    given = answer.get(name)
    if not isinstance(given, Mapping):
        raise TemporaryError(f"gives {shown(given)} as {name}")
    return given


def expect_currency(given: Any, wanted: str) -> None:
    """Raise ProviderError for a currency other than the requested one: its price would be a wrong number."""
    if given != wanted:
        raise PermanentError(f"quotes in {shown(given)}, not in {wanted}")


def expect_symbol(given: Any, metal: Metal) -> None:
    """Raise ProviderError for a metal other than the requested one."""
    if given != metal.symbol:
        raise TemporaryError(f"answers for {shown(given)}, not for {metal.symbol}")


def each(keys: Iterable[_Key], parse: Callable[[_Key], Quote]) -> dict[_Key, Quote | ProviderError]:
    """Parse each part of an answer, without those that have no data: a malformed one must not cost the others."""
    found: dict[_Key, Quote | ProviderError] = {}
    for key in keys:
        try:
            found[key] = parse(key)
        except NoDataError:
            continue
        except ProviderError as error:
            found[key] = error
    return found


def quote(
    *,
    metal: Metal,
    price: Decimal,
    currency: str,
    source: str,
    quoted_at: dt.datetime,
    unit: RawUnit = RawUnit.TROY_OUNCE,
    raw_price: Decimal | None = None,
    raw_currency: str | None = None,
    exchange: Exchange | None = None,
    **figures: Any,
) -> Quote:
    """Build a quote per gram from a `price` for one `unit`. Raises ProviderError if it cannot be a price.

    `raw_price` is the provider's own number where that is the reciprocal of `price`. With `exchange`, all amounts are
    in `raw_currency`, and are converted.

    `figures` are other amounts for as much, as the JSON has them: `bid` and `ask`, `open`, `high`, `low`,
    `previous_close`. The price is good without them, so wrong ones are left out: one that is no amount or far from the
    price, a bid above its ask, a high below its low, an open outside of these.
    """
    per = partial(per_gram, grams=GRAMS[unit], exchange_rate=exchange.rate if exchange else Decimal(1))
    fine = per(price)
    if not _LEAST_PRICE <= fine <= _MOST_PRICE:
        raise TemporaryError(f"gives a price that cannot be: {fine} per gram")
    beside: dict[str, Any] = {name: _beside(fine, given, per) for name, given in figures.items()}
    for lower, upper in (("bid", "ask"), ("low", "high"), ("low", "open"), ("open", "high")):
        if (least := beside.get(lower)) and (most := beside.get(upper)) and least > most:
            beside |= {"open": None} if "open" in (lower, upper) else {lower: None, upper: None}
    raw = SourceQuote(
        source=source,
        spot=fine,
        quoted_ms=to_ms(quoted_at),
        raw_price=+(price if raw_price is None else raw_price),  # with 28 digits at most
        raw_currency=raw_currency or currency,
        raw_unit=unit,
        bid=beside.get("bid"),
        ask=beside.get("ask"),
        exchange=exchange,
    )
    return Quote(
        metal=metal, price=fine, currency=currency, source=source, quoted_at=quoted_at, sources=(raw,), **beside
    )


def _beside(price: Decimal, given: Any, per: Callable[[Decimal], Decimal]) -> Decimal | None:
    """A figure per gram; None if it cannot stand beside this price per gram."""
    try:
        amount = per(positive_decimal({"figure": given}, "figure"))
    except ProviderError:
        return None
    return amount if price / _STRAYS <= amount <= min(price * _STRAYS, LARGEST_PRICE) else None


def dates_between(first: dt.date, last: dt.date) -> list[dt.date]:
    """All dates from the first to the last, both included."""
    return [first + dt.timedelta(days=number) for number in range((last - first).days + 1)]


def close_of(date: dt.date) -> dt.datetime:
    """The last second of a day by UTC, as the time of a price that has only a date."""
    return dt.datetime.combine(date, dt.time(23, 59, 59), dt.UTC)


def expect_date(at: dt.datetime, wanted: dt.date) -> None:
    """Raise ProviderError for a day other than the requested one: its price would be a wrong one."""
    if at.date() != wanted:
        raise TemporaryError(f"answers for {at.date()}, not for {wanted}")


def price_of_day(answer: Mapping[str, Any], name: str) -> Decimal:
    """A positive number. Raises NoDataError for a missing one, null and zero, which mean that the day has no price."""
    if (given := answer.get(name)) in (None, 0, "", "0"):
        raise NoDataError(f"gives {shown(given)} as {name}")
    return positive_decimal(answer, name)


def quotient(amount: Decimal, answer: Mapping[str, Any], name: str) -> Decimal:
    """An amount divided by a number of the answer. Raises ProviderError if that has too few digits to divide by."""
    rate = positive_decimal(answer, name)
    if rate < _LEAST_RATE or len(rate.normalize().as_tuple().digits) < _FEWEST_DIGITS:
        raise TemporaryError(f"gives {shown(rate)} as {name}, which has too few digits for a price")
    with localcontext(prec=40):
        return positive_decimal({name: amount / rate}, name)


def positive_decimal(answer: Mapping[str, Any], name: str) -> Decimal:
    """A positive number, which may be written as a string. Raises ProviderError for anything else."""
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
    """The provider's own time: ISO 8601 (UTC if it names no zone), Unix seconds or milliseconds.

    A time slightly ahead of `now` becomes `now`. Raises ProviderError for one far ahead, before 2000, or malformed.
    """
    given = answer.get(name)
    try:
        at = _time(given)
    except (ValueError, OverflowError, OSError, ArithmeticError) as error:
        raise TemporaryError(f"gives {shown(given)} as {name}, which is not a time") from error
    if not _EARLIEST <= at <= now + CLOCK_SKEW:
        why = " (is our clock behind?)" if at > now else ""
        raise TemporaryError(f"gives {at:%Y-%m-%dT%H:%M:%SZ} as {name}, which cannot be when it was quoted{why}")
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
    """A value of an answer as a log may show it: short, quoted, in one line, without our key, which it may repeat.

    A nested value is only named, for its text may be huge.
    """
    if given is None:
        return "nothing"
    if isinstance(given, Mapping | list):
        return "an object" if isinstance(given, Mapping) else "a list"
    return repr(without_secrets(str(given))[:100])  # cut afterwards: half a key would not be known as one
