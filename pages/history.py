"""A metal's past as its page shows it: the candles of a range, and its last days."""

import logging
import time
from collections.abc import Sequence
from threading import Lock
from typing import Final, NamedTuple

from django.conf import settings
from django.db import DatabaseError

from pages.ranges import ChartRange
from prices.domain.candles import Interval, ZonedCandle
from prices.domain.quotes import Metal, usual_kind
from prices.history import candle_store
from prices.history.candle_store import Series

logger = logging.getLogger(__name__)

DAYS_SHOWN: Final = 10
# Seconds after a failure in which nobody tries again: each try may wait for a database that is silent.
_PAUSE: Final = 10.0


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

    A history is read in the thread of the request that asks for it first; others that need the same wait for that, and
    nobody else does. While the database cannot be read there is none.
    """

    def __init__(self) -> None:
        self._kept: tuple[object, dict[tuple[Metal, ChartRange], History]] = (None, {})
        self._reading = {(metal, chart_range): Lock() for metal in Metal for chart_range in ChartRange}
        # When the newest try failed, by the monotonic clock; None after one that did not.
        self._failed_at: float | None = None

    def get(self, version: object, metal: Metal, chart_range: ChartRange) -> History | None:
        """A metal's history as of a version, which is None for what is read for a single request."""
        if version is None:
            return self._read(metal, chart_range)
        key = metal, chart_range
        with self._reading[key]:
            of, kept = self._kept
            if of != version:
                kept = {}
                self._kept = version, kept
            if key not in kept and (found := self._read(metal, chart_range)):
                kept[key] = found
            return kept.get(key)

    def _read(self, metal: Metal, chart_range: ChartRange) -> History | None:
        failed_at = self._failed_at
        if failed_at is not None and time.monotonic() - failed_at < _PAUSE:
            return None
        try:
            found = read(metal, chart_range)
        except DatabaseError as error:
            if self._failed_at is None:
                logger.warning("pages of metals are shown without their history: %s", error)
            self._failed_at = time.monotonic()
            return None
        if self._failed_at is not None:
            self._failed_at = None
            logger.warning("pages of metals have their history again")
        return found
