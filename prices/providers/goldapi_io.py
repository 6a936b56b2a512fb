"""goldapi.io: one call a metal, per troy ounce, with bid, ask and the day's figures, which are null for some metals.

`GET /api/{XAU|XAG|XPT|XPD}/{CCY}`, the key in `x-access-token`. What another family of answers (`/api/price/…`) renames
is not used here, so that both are read alike.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from django.conf import settings

from prices.providers.errors import PermanentError, ProviderError, QuotaError
from prices.providers.http import Client
from prices.providers.parsing import (
    expect_currency,
    expect_symbol,
    fields,
    positive_decimal,
    quote,
    quote_time,
    shown,
)
from prices.quotes import Metal, Quote

NAME = "goldapi_io"


def fetch(metals: Sequence[Metal], *, client: Client, now: dt.datetime) -> dict[Metal, Quote]:
    """Ask for one metal in the base currency. Raises ProviderError."""
    (metal,) = metals
    answer = client.get_json(
        f"{settings.GOLDAPI_IO_URL}/api/{metal.symbol}/{settings.BASE_CURRENCY}",
        headers={"x-access-token": settings.GOLDAPI_IO_KEY},
        explain=failure,
    )
    return {metal: parse(answer, metal=metal, currency=settings.BASE_CURRENCY, now=now)}


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
    if trouble := failure(answer):
        raise trouble
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
