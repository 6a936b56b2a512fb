"""goldapi.io: one call a metal, per troy ounce, with bid, ask and the day's figures, which are null for some metals.

`GET /api/{XAU|XAG|XPT|XPD}/{CCY}`, the key in `x-access-token`. What another family of answers (`/api/price/…`) renames
is not used here, so that both are read alike.

Past days: `GET /api/{XAU|XAG|XPT|XPD}/{CCY}/{YYYYMMDD}`, one metal and one day a call, in the same shape, with times in
milliseconds. A price of zero, or an error in words, stands for a date without data.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from django.conf import settings

from infra.clock import Clock
from prices.domain.quotes import Metal, Quote
from prices.providers.errors import NoDataError, PermanentError, ProviderError, QuotaError
from prices.providers.http import Client, api_key, base_url
from prices.providers.parsing import (
    Days,
    dates_between,
    expect_currency,
    expect_date,
    expect_symbol,
    fields,
    positive_decimal,
    price_of_day,
    quote,
    quote_time,
    shown,
)

NAME = "goldapi_io"


def fetch(metals: Sequence[Metal], *, client: Client, clock: Clock) -> dict[Metal, Quote]:
    """Ask for one metal in the base currency. Raises ProviderError."""
    (metal,) = metals
    answer = client.get_json(
        f"{base_url(NAME)}/api/{metal.symbol}/{settings.BASE_CURRENCY}",
        headers={"x-access-token": api_key(NAME)},
        explain=failure,
    )
    return {metal: parse(answer, metal=metal, currency=settings.BASE_CURRENCY, now=clock())}


def failure(answer: Any) -> ProviderError | None:
    """What `{"error": "<text>"}` means where the text says more than the status; None for all else."""
    said = answer.get("error") if isinstance(answer, Mapping) else None
    if not isinstance(said, str):
        return None
    if "quota" in said.lower():
        return QuotaError(f"answers with an error: {shown(said)}")
    if "api key" in said.lower():
        return PermanentError(f"answers with an error: {shown(said)}")
    return None


def parse(answer: Any, *, metal: Metal, currency: str, now: dt.datetime) -> Quote:
    """The quote in one answer. A price of zero, which stands for a date without data, is none.

    Raises ProviderError when there is none, or when it is for another metal or currency than was asked for.
    """
    if error := failure(answer):
        raise error
    given = fields(answer)
    expect_symbol(given.get("metal"), metal)
    expect_currency(given.get("currency"), currency)
    return quote(
        metal=metal,
        price=positive_decimal(given, "price"),
        currency=currency,
        source=NAME,
        quoted_at=quote_time(given, "timestamp", now=now),
        bid=given.get("bid"),
        ask=given.get("ask"),
        open=given.get("open_price"),
        high=given.get("high_price"),
        low=given.get("low_price"),
        previous_close=given.get("prev_close_price"),
    )


def fetch_days(metals: Sequence[Metal], first: dt.date, last: dt.date, *, client: Client, now: dt.datetime) -> Days:
    """Ask for one metal's figures of one day. Raises ProviderError."""
    (metal,) = metals
    (date,) = dates_between(first, last)
    answer = client.get_json(
        f"{base_url(NAME)}/api/{metal.symbol}/{settings.BASE_CURRENCY}/{date:%Y%m%d}",
        headers={"x-access-token": api_key(NAME)},
        explain=_failure_of_day,
    )
    return {(date, metal): parse_day(answer, date=date, metal=metal, currency=settings.BASE_CURRENCY, now=now)}


def _failure_of_day(answer: Any) -> ProviderError | None:
    """As `failure`; that there is no data is none."""
    said = answer.get("error") if isinstance(answer, Mapping) else None
    if isinstance(said, str) and "no data" in said.lower():
        return NoDataError(f"answers with an error: {shown(said)}")
    return failure(answer)


def parse_day(answer: Any, *, date: dt.date, metal: Metal, currency: str, now: dt.datetime) -> Quote:
    """The quote in an answer for a past day: its price is the day's close. Raises NoDataError where there is none.

    Raises ProviderError when it is no quote, or of another metal, day or currency than was asked for.
    """
    if error := _failure_of_day(answer):
        raise error
    price_of_day(fields(answer), "price")
    said = parse(answer, metal=metal, currency=currency, now=now)
    expect_date(said.quoted_at, date)
    return said
