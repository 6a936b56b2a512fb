"""metals.dev: one call for all metals, per gram, as fresh as a minute; the price alone.

`GET /v1/latest?api_key=&currency=INR&unit=g`. The key goes into the query: no header for it is documented. (Bid and ask
are in another call, one a metal, which the free plan's hundred a month do not bear.)

Past days: `GET /v1/timeseries?api_key=&start_date=&end_date=` has a price of each day, for at most thirty. Known
answers are in dollars per ounce, with each day's exchange rates. Our currency and unit are requested all the same,
though no document mentions these parameters, and either answer is read.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any, Final

from django.conf import settings

from infra.clock import Clock
from prices.domain.quotes import Metal, Quote
from prices.domain.source_quotes import RawUnit
from prices.providers import parsing
from prices.providers.errors import NoDataError, PermanentError, ProviderError, QuotaError, TemporaryError
from prices.providers.http import Client, api_key, base_url
from prices.providers.parsing import Days

NAME = "metals_dev"

# The unit of an answer, which may be another than the requested one.
_UNITS: Final = {"g": RawUnit.GRAM, "toz": RawUnit.TROY_OUNCE, "kg": RawUnit.KILOGRAM, "mt": RawUnit.TONNE}

_QUOTA: Final = "1203"
# The key, the plan, the account; from 2101 on, an unacceptable request.
_FOR_A_PERSON: Final = ("1101", "1201", "1202", "21")


def fetch(metals: Sequence[Metal], *, client: Client, clock: Clock) -> dict[Metal, Quote | ProviderError]:
    """Fetch all metals in the base currency. Raises ProviderError."""
    answer = client.get_json(
        f"{base_url(NAME)}/v1/latest",
        params={"api_key": api_key(NAME), "currency": settings.BASE_CURRENCY, "unit": "g"},
        explain=failure,
    )
    return parse(answer, metals=metals, currency=settings.BASE_CURRENCY, now=clock())


def failure(answer: Any) -> ProviderError | None:
    """The failure that an answer reports, with any status, 200 too; None if it reports none."""
    if not isinstance(answer, Mapping) or answer.get("status") != "failure":
        return None
    number = parsing.code(answer, "error_code")
    message = f"answers with failure {parsing.shown(number)}: {parsing.shown(answer.get('error_message'))}"
    if number == _QUOTA:
        return QuotaError(message)
    return PermanentError(message) if number.startswith(_FOR_A_PERSON) else TemporaryError(message)


def parse(
    answer: Any, *, metals: Sequence[Metal], currency: str, now: dt.datetime
) -> dict[Metal, Quote | ProviderError]:
    """Parse one answer: the quote of each metal, or the reason why it has none.

    Raises ProviderError if it has no quotes at all, or has them in another currency.
    """
    given, unit = _successful(answer)
    parsing.expect_currency(given.get("currency"), currency)
    prices = parsing.part(given, "metals")
    quoted_at = parsing.quote_time(parsing.part(given, "timestamps"), "metal", now=now)
    return parsing.each(
        metals,
        lambda metal: parsing.quote(
            metal=metal,
            price=parsing.positive_decimal(prices, metal.value),
            unit=unit,
            currency=currency,
            source=NAME,
            quoted_at=quoted_at,
        ),
    )


def fetch_days(metals: Sequence[Metal], first: dt.date, last: dt.date, *, client: Client, now: dt.datetime) -> Days:
    """Fetch the price of each day, all metals in one call. Raises ProviderError."""
    answer = client.get_json(
        f"{base_url(NAME)}/v1/timeseries",
        params={
            "api_key": api_key(NAME),
            "currency": settings.BASE_CURRENCY,
            "unit": "g",
            "start_date": first.isoformat(),
            "end_date": last.isoformat(),
        },
        explain=failure,
    )
    return parse_days(answer, first=first, last=last, metals=metals, currency=settings.BASE_CURRENCY)


def parse_days(answer: Any, *, first: dt.date, last: dt.date, metals: Sequence[Metal], currency: str) -> Days:
    """Parse an answer for several days: a quote for each metal and day, as of its end, or the reason why it has none.

    Prices in another currency are converted by the rate beside them. Days and metals without a price are left out.
    Raises ProviderError if it has no quotes at all.
    """
    given, unit = _successful(answer)
    said = given.get("currency")
    days = parsing.part(given, "rates")

    def of_day(key: tuple[dt.date, Metal]) -> Quote:
        date, metal = key
        if days.get(date.isoformat()) is None:
            raise NoDataError(f"gives nothing as {date}")
        day = parsing.part(days, date.isoformat())
        if day.get("date", date.isoformat()) != date.isoformat():
            raise TemporaryError(f"gives {parsing.shown(day['date'])} as {date}")
        price = parsing.price_of_day(parsing.part(day, "metals"), metal.value)
        if said != currency:
            price = parsing.quotient(price, parsing.part(day, "currencies"), currency)
        return parsing.quote(
            metal=metal, price=price, unit=unit, currency=currency, source=NAME, quoted_at=parsing.close_of(date)
        )

    return parsing.each(product(parsing.dates_between(first, last), metals), of_day)


def _successful(answer: Any) -> tuple[Mapping[str, Any], RawUnit]:
    """The fields of an answer that reports no failure, and its unit."""
    if error := failure(answer):
        raise error
    given = parsing.fields(answer)
    if given.get("status") != "success":
        raise TemporaryError(f"gives {parsing.shown(given.get('status'))} as status")
    unit = given.get("unit")
    if not isinstance(unit, str) or unit not in _UNITS:
        raise TemporaryError(f"gives {parsing.shown(unit)} as unit")
    return given, _UNITS[unit]
