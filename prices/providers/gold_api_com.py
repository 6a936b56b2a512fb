"""gold-api.com: needs no key; one call a metal, per troy ounce, cached there for 30 s; the price alone.

`GET /price/{XAU|XAG|XPT|XPD}/{CCY}`; older answers lack the currency fields.
"""

import datetime as dt
from collections.abc import Sequence
from typing import Any

from django.conf import settings

from infra.clock import Clock
from prices.domain.quotes import Metal, Quote
from prices.providers import parsing
from prices.providers.http import Client, base_url

NAME = "gold_api_com"


def fetch(metals: Sequence[Metal], *, client: Client, clock: Clock) -> dict[Metal, Quote]:
    """Fetch one metal in the base currency. Raises ProviderError."""
    (metal,) = metals
    url = f"{base_url(NAME)}/price/{metal.symbol}/{settings.BASE_CURRENCY}"
    return {metal: parse(client.get_json(url), metal=metal, currency=settings.BASE_CURRENCY, now=clock())}


def parse(answer: Any, *, metal: Metal, currency: str, now: dt.datetime) -> Quote:
    """Parse one answer. Raises ProviderError if it has no quote, or one of another metal or currency."""
    given = parsing.fields(answer)
    parsing.expect_symbol(given.get("symbol"), metal)
    # Older answers have no currency field, and are in US dollars.
    parsing.expect_currency(given.get("currency", "USD"), currency)
    return parsing.quote(
        metal=metal,
        price=parsing.positive_decimal(given, "price"),
        currency=currency,
        source=NAME,
        quoted_at=parsing.quote_time(given, "updatedAt", now=now),
    )
