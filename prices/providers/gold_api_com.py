"""gold-api.com: needs no key; one call a metal, per troy ounce, cached 30 s upstream; the price alone.

`GET /price/{XAU|XAG|XPT|XPD}/{CCY}`; older answers lack the currency fields.
"""

import datetime as dt
from collections.abc import Sequence
from typing import Any

from django.conf import settings

from prices.providers.errors import PermanentError, TemporaryError
from prices.providers.http import Client
from prices.providers.parsing import fields, positive_decimal, quote_time, shown
from prices.quotes import Metal, Quote, per_gram

NAME = "gold_api_com"


def fetch(metals: Sequence[Metal], *, client: Client, now: dt.datetime) -> dict[Metal, Quote]:
    """Ask for one metal in the base currency. Raises ProviderError."""
    (metal,) = metals
    url = f"{settings.GOLD_API_COM_URL}/price/{metal.symbol}/{settings.BASE_CURRENCY}"
    return {metal: parse(client.get_json(url), metal=metal, currency=settings.BASE_CURRENCY, now=now)}


def parse(answer: Any, *, metal: Metal, currency: str, now: dt.datetime) -> Quote:
    """The quote in one answer.

    Raises ProviderError when there is none, or when it is for another metal or currency than was asked for.
    """
    given = fields(answer)
    if (symbol := given.get("symbol")) != metal.symbol:
        raise TemporaryError(f"answers for {shown(symbol)} where {metal.symbol} was asked")
    # Without a currency field the answer is one of the older ones, which knew US dollars only.
    if (said := given.get("currency", "USD")) != currency:
        raise PermanentError(f"quotes in {shown(said)} where {currency} was asked")
    try:
        return Quote(
            metal=metal,
            price=per_gram(positive_decimal(given, "price")),
            currency=currency,
            source=NAME,
            quoted_at=quote_time(given, "updatedAt", now=now),
        )
    except ValueError as error:
        raise TemporaryError(f"gives a price that cannot be: {error}") from error
