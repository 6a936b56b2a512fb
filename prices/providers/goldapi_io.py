"""goldapi.io: one call a metal, per troy ounce, with bid, ask and the day's figures, which are null for some metals.

`GET /api/{XAU|XAG|XPT|XPD}/{CCY}`, the key in `x-access-token`. Fields that another family of answers (`/api/price/…`)
renames are not used, so that both can be read.

Past days: `GET /api/{XAU|XAG|XPT|XPD}/{CCY}/{YYYYMMDD}`, one metal and one day a call, in the same shape, with times in
milliseconds. A price of zero, or an error that says so, means that a date has no data.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from django.conf import settings

from infra.clock import Clock
from prices.domain.quotes import Metal, Quote
from prices.providers import parsing
from prices.providers.errors import NoDataError, PermanentError, ProviderError, QuotaError
from prices.providers.http import Client, api_key, base_url
from prices.providers.parsing import Days

NAME = "goldapi_io"


def fetch(metals: Sequence[Metal], *, client: Client, clock: Clock) -> dict[Metal, Quote]:
    """Fetch one metal in the base currency. Raises ProviderError."""
    (metal,) = metals
    answer = client.get_json(
        f"{base_url(NAME)}/api/{metal.symbol}/{settings.BASE_CURRENCY}",
        headers={"x-access-token": api_key(NAME)},
        explain=failure,
    )
    return {metal: parse(answer, metal=metal, currency=settings.BASE_CURRENCY, now=clock())}


def failure(answer: Any) -> ProviderError | None:
    """The failure in `{"error": "<text>"}`, if the text says more than the status; else None."""
    said = answer.get("error") if isinstance(answer, Mapping) else None
    if not isinstance(said, str):
        return None
    if "quota" in said.lower():
        return QuotaError(f"answers with an error: {parsing.shown(said)}")
    if "api key" in said.lower():
        return PermanentError(f"answers with an error: {parsing.shown(said)}")
    return None


def parse(answer: Any, *, metal: Metal, currency: str, now: dt.datetime) -> Quote:
    """Parse one answer. Raises ProviderError if it has no quote, or one of another metal or currency."""
    if error := failure(answer):
        raise error
    given = parsing.fields(answer)
    parsing.expect_symbol(given.get("metal"), metal)
    parsing.expect_currency(given.get("currency"), currency)
    return parsing.quote(
        metal=metal,
        price=parsing.positive_decimal(given, "price"),
        currency=currency,
        source=NAME,
        quoted_at=parsing.quote_time(given, "timestamp", now=now),
        bid=given.get("bid"),
        ask=given.get("ask"),
        open=given.get("open_price"),
        high=given.get("high_price"),
        low=given.get("low_price"),
        previous_close=given.get("prev_close_price"),
    )


def fetch_days(metals: Sequence[Metal], first: dt.date, last: dt.date, *, client: Client, now: dt.datetime) -> Days:
    """Fetch one metal's figures of one day. Raises ProviderError."""
    (metal,) = metals
    (date,) = parsing.dates_between(first, last)
    answer = client.get_json(
        f"{base_url(NAME)}/api/{metal.symbol}/{settings.BASE_CURRENCY}/{date:%Y%m%d}",
        headers={"x-access-token": api_key(NAME)},
        explain=_failure_of_day,
    )
    return {(date, metal): parse_day(answer, date=date, metal=metal, currency=settings.BASE_CURRENCY, now=now)}


def _failure_of_day(answer: Any) -> ProviderError | None:
    """Like `failure`, but \"no data for this date\" is NoDataError, which does not count as a failure."""
    said = answer.get("error") if isinstance(answer, Mapping) else None
    if isinstance(said, str) and "no data" in said.lower():
        return NoDataError(f"answers with an error: {parsing.shown(said)}")
    return failure(answer)


def parse_day(answer: Any, *, date: dt.date, metal: Metal, currency: str, now: dt.datetime) -> Quote:
    """Parse an answer for a past day, whose price is the day's close. Raises NoDataError for a no-data day.

    Raises ProviderError if it has no quote, or one of another metal, day or currency.
    """
    if error := _failure_of_day(answer):
        raise error
    parsing.price_of_day(parsing.fields(answer), "price")
    said = parse(answer, metal=metal, currency=currency, now=now)
    parsing.expect_date(said.quoted_at, date)
    return said
