"""A metal's past as its page shows it: the candles of a range, and its last days."""

from collections.abc import Sequence
from threading import Lock
from typing import Final, NamedTuple

from django.conf import settings

from pages.ranges import ChartRange
from prices.domain.candles import Interval, ZonedCandle
from prices.domain.quotes import Metal, usual_kind
from prices.history import candle_store
from prices.history.candle_store import Series

DAYS_SHOWN: Final = 10


class History(NamedTuple):
    """A range's candles, oldest first; and the last days, newest first, with one more, whose close comes before."""

    candles: Sequence[ZonedCandle]
    days: Sequence[ZonedCandle]


def read(metal: Metal, chart_range: ChartRange) -> History:
    """Read a metal's history from the database. Without any candle it is empty."""
    candles = _newest(metal, chart_range.interval, chart_range.most_candles)[::-1]
    if candles and chart_range.span is not None:
        begin = candles[-1].end - chart_range.span
        candles = [candle for candle in candles if candle.candle.start >= begin]
    return History(candles, _newest(metal, Interval.DAY, DAYS_SHOWN + 1))


def _newest(metal: Metal, interval: Interval, most: int | None) -> list[ZonedCandle]:
    """The newest candles of an interval, newest first; at most so many, or all for None."""
    zone = candle_store.zone()
    rows = series(metal).rows.filter(interval=interval).order_by("-start")[:most]
    return [ZonedCandle.of(row.value(), zone) for row in rows]


def series(metal: Metal) -> Series:
    """A metal's candles of the market in the base currency, or those of a simulated one where it is the only source."""
    return Series(metal, settings.BASE_CURRENCY, usual_kind(settings.PRICE_PROVIDERS))


class Histories:
    """The histories of one version of what pages show, read once for all readers.

    A history is read in the thread of the request that needs it first; others that need the same wait for that, and
    nobody else does.
    """

    def __init__(self) -> None:
        self._kept: tuple[object, dict[tuple[Metal, ChartRange], History]] = (None, {})
        self._reading = {(metal, chart_range): Lock() for metal in Metal for chart_range in ChartRange}

    def get(self, version: object, metal: Metal, chart_range: ChartRange) -> History:
        """A metal's history as of a version, which is None for what is read for a single request."""
        if version is None:
            return read(metal, chart_range)
        key = metal, chart_range
        with self._reading[key]:
            of, found = self._kept
            if of != version:
                found = {}
                self._kept = version, found
            if key not in found:
                found[key] = read(metal, chart_range)
            return found[key]
