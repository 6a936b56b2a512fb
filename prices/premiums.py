"""Premiums: a quote with its metal's premium on it, and a quote less any premium."""

import datetime as dt
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from operator import itemgetter

from prices.domain.provider_table import PROVIDER_TABLE
from prices.domain.quotes import PriceKind, Quote
from prices.models import Premium


class PremiumHistory:
    """The multiplier of each metal at any moment, read from the database once; for much history at a time."""

    def __init__(self) -> None:
        self._rows: dict[str, list[tuple[dt.datetime, Decimal]]] = {}
        for premium in Premium.objects.order_by("effective_from", "pk"):
            self._rows.setdefault(premium.metal_id, []).append((premium.effective_from, premium.multiplier))

    def at(self, metal: str, at: dt.datetime) -> Decimal:
        """The multiplier of a metal at a moment; 1 where it has none."""
        rows = self._rows.get(metal, [])
        begun = bisect_right(rows, at, key=itemgetter(0))
        return rows[begun - 1][1] if begun else Decimal(1)


def with_premium(quote: Quote, premiums: Mapping[str, Decimal]) -> Quote:
    """A quote as it goes out: with its metal's premium on it, unless staff or its provider put everything in it.

    Raises ValueError where the result cannot be a price.
    """
    return quote if _includes_premium(quote) else quote.with_premium(premium_on(quote, premiums))


def premium_on(quote: Quote, premiums: Mapping[str, Decimal]) -> Decimal:
    """The multiplier that a quote goes out with: its provider's own, or ours; 1 for staff's price."""
    if quote.kind is PriceKind.FALLBACK:
        return Decimal(1)
    return included_premium(quote) if _includes_premium(quote) else premiums[quote.metal]


def included_premium(quote: Quote) -> Decimal:
    """The premium that is in a quote as its provider gave it; 1 for a spot price.

    A provider whose prices include one is taken to charge the premium that was current here when it quoted.
    """
    return Premium.multipliers(quote.quoted_at)[quote.metal] if _includes_premium(quote) else Decimal(1)


def before_premium(quote: Quote) -> Quote:
    """A quote less any premium: quotes less premiums can be compared, and a change of duty is no jump."""
    spot, included = quote.at_spot(), included_premium(quote)
    if included == 1:
        return spot
    less = replace(spot.with_premium(1 / included), spot=None)
    return less.with_parts(spot=less.price, bid=less.bid, ask=less.ask, included=included) if less.sources else less


def is_under_another(published: Quote, premiums: Mapping[str, Decimal]) -> bool:
    """Return True if a published quote has another premium on it than it would go out with now."""
    if published.spot is None and premiums[published.metal] == 1:
        return False
    return with_premium(published.at_spot(), premiums).price != published.price


def restated(published: Quote, multiplier: Decimal) -> Quote:
    """A published quote as it would be with another premium, `multiplier`, on it."""
    if multiplier != 1 and included_premium(published) == multiplier:
        return published  # rounding once more could change it
    return before_premium(published).with_premium(multiplier)


def _includes_premium(quote: Quote) -> bool:
    row = PROVIDER_TABLE.get(quote.source)
    return row is not None and row.includes_premium
