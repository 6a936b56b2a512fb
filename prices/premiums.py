"""What a premium does to a quote, and what a quote is without it."""

import datetime as dt
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

from prices.domain.days import SpotQuote
from prices.domain.provider_table import PROVIDER_TABLE
from prices.domain.quotes import PriceKind, Quote
from prices.models import Premium


class PremiumHistory:
    """The multiplier of each metal at any moment, read once: for much history at a time."""

    def __init__(self) -> None:
        self._rows: dict[str, tuple[list[dt.datetime], list[Decimal]]] = {}
        for premium in Premium.objects.order_by("effective_from", "pk"):
            moments, multipliers = self._rows.setdefault(premium.metal_id, ([], []))
            moments.append(premium.effective_from)
            multipliers.append(premium.multiplier)

    def at(self, metal: str, at: dt.datetime) -> Decimal:
        """The multiplier in force; 1 where there was none."""
        if metal not in self._rows:
            return Decimal(1)
        moments, multipliers = self._rows[metal]
        before = bisect_right(moments, at)
        return multipliers[before - 1] if before else Decimal(1)


def with_premium(quote: Quote, premiums: Mapping[str, Decimal]) -> Quote:
    """A quote as it goes out: with its metal's premium on it, unless it is staff's or a provider's that includes it.

    Raises ValueError where that cannot be a price.
    """
    if quote.kind is PriceKind.FALLBACK or _holds_premium(quote):
        return quote
    return quote.with_premium(premiums[quote.metal])


def premium_on(quote: Quote, premiums: Mapping[str, Decimal]) -> Decimal:
    """The multiplier that a quote has on it when it goes out, whoever put it on."""
    if quote.kind is PriceKind.FALLBACK:
        return Decimal(1)
    return _charged(quote) if _holds_premium(quote) else premiums[quote.metal]


def is_under_another(published: Quote, premiums: Mapping[str, Decimal]) -> bool:
    """Whether a published quote holds another premium than it would go out with now."""
    if published.spot is None and premiums[published.metal] == 1:
        return False
    return with_premium(published.at_spot(), premiums).price != published.price


def spot_quote(quote: Quote) -> SpotQuote:
    """A quote, as its source gave it, before any premium."""
    return SpotQuote.of(quote, charged=_charged(quote) if _holds_premium(quote) else Decimal(1))


def before_premium(quote: Quote) -> Quote:
    """A quote without any premium, so that quotes can be compared and a change of duty is no jump.

    A provider that includes one is taken to charge what was in force here when it quoted.
    """
    quote = quote.at_spot()
    if not _holds_premium(quote):
        return quote
    return replace(quote.with_premium(1 / _charged(quote)), spot=None)


def restated(published: Quote, quote: Quote, premiums: Mapping[str, Decimal]) -> Quote:
    """A published quote as it would be under the premium that `quote`, of the same metal and lane, goes out with."""
    if quote.kind is PriceKind.FALLBACK:
        return published
    then = premium_on(quote, premiums)
    if _holds_premium(published) and _charged(published) == then:
        return published
    return before_premium(published).with_premium(then)


def _charged(quote: Quote) -> Decimal:
    """The premium in a quote of a provider that includes one."""
    return Premium.multipliers(quote.quoted_at)[quote.metal]


def _holds_premium(quote: Quote) -> bool:
    row = PROVIDER_TABLE.get(quote.source)
    return row is not None and row.includes_premium
