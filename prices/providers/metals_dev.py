"""metals.dev: one call for all metals, per gram, as fresh as a minute; the price alone.

`GET /v1/latest?api_key=&currency=INR&unit=g`. The key goes into the query: no header for it is documented. (Bid and ask
are in another call, one a metal, which the free plan's hundred a month do not bear.)
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from django.conf import settings

from prices.providers.errors import PermanentError, ProviderError, QuotaError, TemporaryError
from prices.providers.http import Client
from prices.providers.parsing import (
    code,
    each,
    expect_currency,
    fields,
    part,
    positive_decimal,
    quote,
    quote_time,
    shown,
)
from prices.quotes import GRAMS_PER_TROY_OUNCE, Metal, Quote

NAME = "metals_dev"

# Grams in the unit that an answer is in, whichever was asked for.
_GRAMS: Final = {"g": Decimal(1), "toz": GRAMS_PER_TROY_OUNCE, "kg": Decimal(1000), "mt": Decimal(1_000_000)}

_QUOTA: Final = "1203"
# The key, the plan, the account; and from 2101 on, what was asked for.
_FOR_A_PERSON: Final = ("1101", "1201", "1202", "21")


def fetch(metals: Sequence[Metal], *, client: Client, now: dt.datetime) -> dict[Metal, Quote | ProviderError]:
    """Ask for all metals in the base currency. Raises ProviderError."""
    answer = client.get_json(
        f"{settings.METALS_DEV_URL}/v1/latest",
        params={"api_key": settings.METALS_DEV_KEY, "currency": settings.BASE_CURRENCY, "unit": "g"},
        explain=failure,
    )
    return parse(answer, metals=metals, currency=settings.BASE_CURRENCY, now=now)


def failure(answer: Any) -> ProviderError | None:
    """What a failure means, which may come with any status, 200 too; None for an answer that is none."""
    if not isinstance(answer, Mapping) or answer.get("status") != "failure":
        return None
    number = code(answer, "error_code")
    message = f"answers with failure {shown(number)}: {shown(answer.get('error_message'))}"
    if number == _QUOTA:
        return QuotaError(message)
    return PermanentError(message) if number.startswith(_FOR_A_PERSON) else TemporaryError(message)


def parse(
    answer: Any, *, metals: Sequence[Metal], currency: str, now: dt.datetime
) -> dict[Metal, Quote | ProviderError]:
    """The quotes in one answer, and why there is none of a metal.

    Raises ProviderError when there are none, or when they are in another currency than was asked for.
    """
    if trouble := failure(answer):
        raise trouble
    given = fields(answer)
    if given.get("status") != "success":
        raise TemporaryError(f"gives {shown(given.get('status'))} as status")
    expect_currency(given.get("currency"), currency)
    unit = given.get("unit")
    if not isinstance(unit, str) or unit not in _GRAMS:
        raise TemporaryError(f"gives {shown(unit)} as unit")
    prices = part(given, "metals")
    quoted_at = quote_time(part(given, "timestamps"), "metal", now=now)
    return each(
        metals,
        lambda metal: quote(
            metal=metal,
            price=positive_decimal(prices, metal.value),
            grams=_GRAMS[unit],
            currency=currency,
            source=NAME,
            quoted_at=quoted_at,
        ),
    )
