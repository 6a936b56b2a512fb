"""Swissquote's public quotes: no key, one call a metal, bid and ask in US dollars per troy ounce; still at weekends.

`GET /public-quotes/bboquotes/instrument/{XAU|XAG|XPT|XPD}/USD`: a list of trading platforms, each with its bid and ask
for several kinds of client. It is documented nowhere, and no terms of use were found: it is called only if
`PRICE_PROVIDERS` names it. prices/providers/fx.py converts its dollars to another base currency.
"""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from django.conf import settings

from infra.clock import Clock
from prices.domain.quotes import Metal, Quote
from prices.providers import fx, parsing
from prices.providers.errors import ProviderError, TemporaryError
from prices.providers.http import Client, base_url

NAME = "swissquote"

# As a part of the ask: a market's spread is a hundredth of it; in the middle of a wider one there is no price.
_WIDEST: Final = Decimal("0.1")


@dataclass(frozen=True, slots=True)
class _Offer:
    quoted_at: dt.datetime
    bid: Decimal
    ask: Decimal


def fetch(metals: Sequence[Metal], *, client: Client, clock: Clock) -> dict[Metal, Quote]:
    """Fetch one metal in dollars, and the exchange rate to the base currency. Raises ProviderError."""
    (metal,) = metals
    rate = fx.rate("USD", settings.BASE_CURRENCY, client=client, now=clock())
    url = f"{base_url(NAME)}/public-quotes/bboquotes/instrument/{metal.symbol}/USD"
    answer = client.get_json(url)
    return {metal: parse(answer, metal=metal, currency=settings.BASE_CURRENCY, rate=rate, now=clock())}


def parse(answer: Any, *, metal: Metal, currency: str, rate: fx.Rate, now: dt.datetime) -> Quote:
    """Parse one answer into bid, ask and their middle, at this `rate` of the dollar in the currency.

    Of several offers the newest counts, and of these the one with the narrowest spread: wider ones hold the provider's
    margin. Raises ProviderError if there is none.
    """
    if not isinstance(answer, list):
        raise TemporaryError(f"answers with a {type(answer).__name__} where a list was expected")
    offers: list[_Offer] = []
    reason: ProviderError = TemporaryError("gives no bid and ask")
    for platform in answer:
        try:
            offers += _offers(parsing.fields(platform), now)
        except ProviderError as error:
            reason = error
    if not offers:
        raise reason
    best = max(offers, key=lambda offer: (offer.quoted_at, offer.bid - offer.ask))
    return parsing.quote(
        metal=metal,
        price=(best.bid + best.ask) / 2,
        currency=currency,
        source=NAME,
        quoted_at=best.quoted_at,
        raw_currency="USD",
        exchange=rate.exchange,
        bid=best.bid,
        ask=best.ask,
    )


def _offers(platform: Mapping[str, Any], now: dt.datetime) -> Iterator[_Offer]:
    """The offers of one platform. Raises ProviderError at a malformed one."""
    quoted_at = parsing.quote_time(platform, "ts", now=now)
    profiles = platform.get("spreadProfilePrices")
    if not isinstance(profiles, list):
        raise TemporaryError(f"gives {parsing.shown(profiles)} as spreadProfilePrices")
    for profile in profiles:
        given = parsing.fields(profile)
        bid, ask = parsing.positive_decimal(given, "bid"), parsing.positive_decimal(given, "ask")
        if not bid <= ask <= bid / (1 - _WIDEST):
            raise TemporaryError(f"gives {parsing.shown(bid)} as bid and {parsing.shown(ask)} as ask")
        yield _Offer(quoted_at, bid, ask)
