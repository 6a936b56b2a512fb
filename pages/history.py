"""A metal's past as its page shows it: the candles of a range, and its last days."""

import logging
import math
import time
from collections.abc import Sequence
from threading import Lock
from typing import Final, NamedTuple, TypeAlias

from django.conf import settings
from django.db import DatabaseError, connection

from pages.ranges import ChartRange
from prices.domain.candles import Interval, ZonedCandle
from prices.domain.quotes import Metal, usual_kind
from prices.history import candle_store
from prices.history.candle_store import Series

logger = logging.getLogger(__name__)

DAYS_SHOWN: Final = 10
# Seconds after a failure in which nobody tries again: each try may wait for a database that is silent.
_PAUSE: Final = 10.0


_Key: TypeAlias = tuple[Metal, ChartRange]


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
    """The histories that pages show, each read once for all readers of a version of it.

    A history is read in the thread of the request that asks for it first; others that need the same wait for that, and
    nobody else does. While one cannot be read, there is none; while the database is away, there is no other either.
    """

    def __init__(self) -> None:
        self._kept: dict[_Key, tuple[object, History]] = {}
        self._reading = {(metal, chart_range): Lock() for metal in Metal for chart_range in ChartRange}
        # When the newest try failed, by the monotonic clock, of each that failed last; None: the database was away.
        self._failed_at: dict[_Key | None, float] = {}

    def get(self, version: object, metal: Metal, chart_range: ChartRange) -> History | None:
        """A metal's history as of a version, which is None for what is read for a single request."""
        key = metal, chart_range
        if version is None:
            return self._read(key)
        with self._reading[key]:
            of, found = self._kept.get(key, (None, None))
            if of != version and (found := self._read(key)):
                self._kept[key] = version, found
            return found

    def _read(self, key: _Key) -> History | None:
        now, never = time.monotonic(), -math.inf
        if now - max(self._failed_at.get(each, never) for each in (None, key)) < _PAUSE:
            return None
        try:
            found = read(*key)
        except DatabaseError as error:
            if not self._failed_at:
                logger.warning("pages of metals are shown without their history: %s", error)
            # One that took too long leaves the connection as it was.
            self._failed_at[key if connection.is_usable() else None] = time.monotonic()
            return None
        if self._failed_at:
            for each in (None, key):
                self._failed_at.pop(each, None)
            if not self._failed_at:
                logger.warning("pages of metals have their history again")
        return found
