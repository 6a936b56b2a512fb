"""Filling history in: the parts that backfill.py, from a provider's past days, and csv_import.py, from a file, share.

Neither publishes anything or changes a current price; `manage.py backfill` then has `ingest.take_closes` bring a
previous close from history. Existing candles and ticks stay unless they are to be replaced, so the same command goes on
from where it was interrupted.
"""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from django.conf import settings
from django.db import transaction

from prices.domain.candles import Candle
from prices.domain.quotes import kind_of
from prices.domain.units import rounded
from prices.history import candle_store
from prices.history.candle_store import Series
from prices.history.csv_format import Bar
from prices.history.sanity import Point, Validator
from prices.models import Head
from prices.premiums import PremiumHistory
from prices.sanity_bands import bands

INSTANT: Final = dt.timedelta(microseconds=1)


@dataclass(slots=True)
class Filled:
    """The numbers of days, candles or ticks that were `written`, that were `there` already, and that the provider has
    `no_data` for. `failures` has the reason for each that was not fetched, `violations` for each not believed.
    """

    written: int = 0
    there: int = 0
    no_data: int = 0
    failures: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)


def series_of(metal: str, source: str = "") -> Series:
    """The series of a metal's prices from a source; without a source, the live series."""
    return Series(metal, settings.BASE_CURRENCY, kind_of(source))


def validator(premiums: PremiumHistory) -> Validator:
    """A validator with the metals' sanity bands, which compares each series with its nearest candle, at spot."""

    def nearest(series: Series, at: dt.datetime) -> Point | None:
        candle = series.nearest(at)
        if candle is None:
            return None
        price = rounded(candle.close / premiums.at(series.metal, candle.start))
        return Point(f"the {candle.interval} candle of {candle.start:%Y-%m-%dT%H:%MZ}", candle.start, price)

    return Validator(bands(settings.BASE_CURRENCY), nearest)


def write_bars(series: Series, bars: Iterable[Bar], source: str, *, replace: bool, now: dt.datetime) -> int:
    """Write whole candles of a source where none are, or where they are to be replaced; returns the number written."""
    with transaction.atomic():
        Head.locked()
        return series.add((_candle(bar, now) for bar in bars), source, replace=replace)


def _candle(bar: Bar, now: dt.datetime) -> Candle:
    """A candle that is not made of ticks.

    `first_at` and `last_at` are not the times of ticks: they let its open stand against any tick, and its close too
    once it is over. One that is still running takes its close from later ticks.
    """
    end = bar.interval.end(bar.start, candle_store.zone())
    return Candle(
        interval=bar.interval,
        start=bar.start,
        open=bar.open,
        high=bar.high,
        low=bar.low,
        close=bar.close,
        ticks=0,
        first_at=bar.start,
        last_at=end - INSTANT if end <= now else bar.start,
        seq=0,
    )
