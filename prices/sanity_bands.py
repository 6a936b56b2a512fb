"""Sanity bands, the last live quote and the levels of the last hours, to compare new prices with; less any premium."""

import datetime as dt
from typing import Final

from django.conf import settings

from prices import sql
from prices.domain import drift
from prices.domain.drift import Levels
from prices.domain.quotes import Metal, PriceKind, Quote
from prices.domain.sanity import Band
from prices.models import FallbackPrice, LatestPrice, SanityBand
from prices.premiums import before_premium

# Without a band of staff's: from staff's fallback price, or else the last live price, divided by this up to that price
# multiplied by it. Prices of years ago are within it; one per ounce, or in another currency, is not.
_BAND_TIMES: Final = 4


def bands(currency: str) -> dict[Metal, Band]:
    """The sanity band per gram of each metal that has one in this currency."""
    here = "WHERE currency = %s", [("currency", currency)]
    found = {
        Metal(fallback.metal_id): Band.around(fallback.price, _BAND_TIMES)
        for fallback in sql.rows(FallbackPrice, *here)
    }
    for band in sql.rows(SanityBand, *here):
        found[Metal(band.metal_id)] = Band(band.lowest, band.highest)
    if lacking := set(Metal) - found.keys():
        for live in LatestPrice.objects.filter(metal__in=lacking, lane=PriceKind.LIVE, currency=currency):
            found[Metal(live.metal_id)] = Band.around(before_premium(live.quote()).price, _BAND_TIMES)
    return found


def last_live(metal: str, currency: str) -> Quote | None:
    """The last accepted live quote, less any premium."""
    live = LatestPrice.live(metal, currency)
    return before_premium(live.quote()) if live else None


def recent_levels(live: LatestPrice, now: dt.datetime) -> Levels:
    """A metal's levels within the window that ends now, its last live price among them: that was current till now."""
    begin = settings.MARKET_CALENDAR.open_since(now, drift.WINDOW)
    return Levels.read(live.levels).within(begin, now).showing(before_premium(live.quote()).price, now)
