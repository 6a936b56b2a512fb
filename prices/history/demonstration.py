"""The made-up past of a simulated market: candles of the 30 days before its first price, for demonstrations."""

import datetime as dt
import random
from collections.abc import Iterator
from decimal import Decimal
from itertools import pairwise
from typing import Final

from django.conf import settings
from django.db import transaction

from prices.domain.candles import Candle, Interval, longer
from prices.domain.quotes import SIMULATED, Metal, PriceKind, usual_kind
from prices.domain.units import rounded
from prices.history import candle_store
from prices.history.candle_store import Series
from prices.history.filling import INSTANT
from prices.models import Head, ListedMetal
from prices.providers import simulated

_PAST: Final = dt.timedelta(days=30)
# The last day has a candle a minute, the days before it one each quarter of an hour: 30 days of minutes would take ten
# seconds.
_BY_THE_MINUTE: Final = dt.timedelta(days=1)
_MINUTE: Final = dt.timedelta(minutes=1)
_QUARTER: Final = dt.timedelta(minutes=15)
# The standard deviation of a minute's move; and the part of what it is away from the price at which the market begins
# that it comes nearer in a minute, so that the oldest prices are a few per cent away.
_MOVE: Final = 0.0003
_PULL: Final = 0.00005
_WICK: Final = 0.0002


def make_up(*, now: dt.datetime) -> int:
    """Write 30 days of candles for each listed metal that has no simulated ones yet; returns how many were written.

    Does nothing where any other provider is configured: there is a market then. The past of a metal ends at the last
    minute, at the price at which its simulated market begins.
    """
    if usual_kind(settings.PRICE_PROVIDERS) is not PriceKind.SIMULATED:
        return 0
    written = 0
    for metal in ListedMetal.metals():
        series = Series(metal, settings.BASE_CURRENCY, PriceKind.SIMULATED)
        if not series.rows.exists():
            past = list(_candles(metal, now))
            with transaction.atomic():
                Head.locked()
                written += series.add(past, SIMULATED, replace=False)
    return written


def _candles(metal: Metal, now: dt.datetime) -> Iterator[Candle]:
    """The candles of all intervals that end before `now`, and the parts of those that are running then."""
    zone = candle_store.zone()
    chance = random.Random(metal)  # noqa: S311  (a simulation, not a secret)
    shortest = [_candle(before, after, chance) for before, after in pairwise(_prices(metal, now, chance))]
    minutes = [candle for candle in shortest if candle.interval is Interval.MINUTE]
    older = shortest[: len(shortest) - len(minutes)]
    fives = list(longer(minutes, Interval.FIVE_MINUTES, zone))
    quarters = [*older, *longer(fives, Interval.QUARTER, zone)]
    yield from minutes
    yield from fives
    yield from quarters
    # Days too are made of quarters of an hour: of hours they could not be where a zone is half an hour off.
    for interval in (Interval.HOUR, Interval.DAY):
        yield from longer(quarters, interval, zone)


def _prices(metal: Metal, now: dt.datetime, chance: random.Random) -> list[tuple[dt.datetime, Decimal]]:
    """Moments and the price at each, oldest first: a walk back in time from the price at the last whole minute."""
    moment = Interval.MINUTE.start(now, dt.UTC)
    oldest = candle_store.midnight((moment - _PAST).astimezone(candle_store.zone()).date())
    by_the_minute = Interval.HOUR.start(moment - _BY_THE_MINUTE, dt.UTC)
    ends_at = simulated.price_at(metal, int(moment.timestamp()))
    price, walked = float(ends_at), [(moment, ends_at)]
    while moment > oldest:
        step = _MINUTE if moment > by_the_minute else _QUARTER
        minutes = step / _MINUTE
        price *= 1 + chance.gauss(0, _MOVE * minutes**0.5) + _PULL * minutes * (float(ends_at) / price - 1)
        moment -= step
        walked.append((moment, rounded(Decimal(price))))
    return walked[::-1]


def _candle(before: tuple[dt.datetime, Decimal], after: tuple[dt.datetime, Decimal], chance: random.Random) -> Candle:
    """The candle between two moments, whose prices are its open and close."""
    (start, opened), (end, closed) = before, after
    up, down = (Decimal(str(round(abs(chance.gauss(0, _WICK)), 8))) for _ in range(2))
    return Candle(
        interval=Interval.MINUTE if end - start == _MINUTE else Interval.QUARTER,
        start=start,
        open=opened,
        high=rounded(max(opened, closed) * (1 + up)),
        low=rounded(min(opened, closed) * (1 - down)),
        close=closed,
        ticks=0,
        first_at=start,
        last_at=end - INSTANT,
        seq=0,
    )
