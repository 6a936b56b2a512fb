"""What a premium does to a quote, and what a quote is without it: pure, apart from what is known of the vendors."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

from prices.providers import PROVIDERS
from prices.quotes import Lane, Quote


def with_premium(quote: Quote, premiums: Mapping[str, Decimal]) -> Quote:
    """A quote as it goes out: with its metal's premium on it, unless staff or a vendor gave it with everything in it.

    Raises ValueError where that cannot be a price.
    """
    if quote.lane is Lane.FALLBACK or _holds_premium(quote):
        return quote
    return quote.with_premium(premiums.get(quote.metal, Decimal(1)))


def before_premium(quote: Quote, premiums: Mapping[str, Decimal]) -> Quote:
    """A quote as it is to be compared with others: less the premium that it went out with, or that its vendor gave it
    with, who is taken to charge what is in force here.
    """
    quote = quote.at_spot()
    if not _holds_premium(quote):
        return quote
    return replace(quote.with_premium(1 / premiums.get(quote.metal, Decimal(1))), spot=None)


def _holds_premium(quote: Quote) -> bool:
    vendor = PROVIDERS.get(quote.source)
    return vendor is not None and vendor.includes_premium
