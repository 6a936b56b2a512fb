"""The ranges of a metal's chart, the figures of the candles in one, and paths through prices. Pure; imports no Django.

pages/static/pages/range-figures.js makes the same figures: tests/support/range_cases.json has the cases of both.
"""

import datetime as dt
import enum
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext
from typing import Final

from prices.domain.candles import Candle, Interval
from prices.domain.quotes import PERCENT_STEP, percent
from prices.domain.units import rounded


class ChartRange(enum.StrEnum):
    """A stretch of time that ends with a metal's newest candle; the value is its name in an address."""

    DAY = "1D"
    WEEK = "1W"
    MONTH = "1M"
    YEAR = "1Y"
    ALL = "all"

    @property
    def interval(self) -> Interval:
        """The interval of its candles."""
        return _INTERVALS[self]

    @property
    def span(self) -> dt.timedelta | None:
        """Its length; None for all there is."""
        return _SPANS.get(self)

    @property
    def most_candles(self) -> int | None:
        """The number of candles that it can hold; None for any number."""
        return None if self.span is None else self.span // _LENGTHS[self.interval]


# So that each range has some hundreds of candles: a chart of fewer is coarse, and a screen shows no more.
_INTERVALS: Final = {
    ChartRange.DAY: Interval.FIVE_MINUTES,
    ChartRange.WEEK: Interval.HOUR,
    ChartRange.MONTH: Interval.HOUR,
    ChartRange.YEAR: Interval.DAY,
    ChartRange.ALL: Interval.DAY,
}
_SPANS: Final = {
    ChartRange.DAY: dt.timedelta(days=1),
    ChartRange.WEEK: dt.timedelta(days=7),
    ChartRange.MONTH: dt.timedelta(days=30),
    ChartRange.YEAR: dt.timedelta(days=365),
}
_LENGTHS: Final = {
    Interval.FIVE_MINUTES: dt.timedelta(minutes=5),
    Interval.HOUR: dt.timedelta(hours=1),
    Interval.DAY: dt.timedelta(days=1),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RangeFigures:
    """The figures of a range, per gram: its first and last price, the highest and the lowest with the beginning of the
    candle that holds each, and the mean of its closes, to the published decimals.
    """

    first: Decimal
    last: Decimal
    high: Decimal
    high_at: dt.datetime
    low: Decimal
    low_at: dt.datetime
    average: Decimal

    @property
    def change(self) -> Decimal:
        return self.last - self.first

    @property
    def change_percent(self) -> Decimal:
        return percent(self.change, self.first).quantize(PERCENT_STEP) + 0  # never -0


def range_figures(candles: Sequence[Candle]) -> RangeFigures | None:
    """The figures of these candles, oldest first; None without any. Of equal extremes the first counts."""
    if not candles:
        return None
    highest = max(candles, key=lambda candle: candle.high)
    lowest = min(candles, key=lambda candle: candle.low)
    with localcontext() as context:
        context.prec = 40
        average = rounded(sum(candle.close for candle in candles) / Decimal(len(candles)))
    return RangeFigures(
        first=candles[0].open,
        last=candles[-1].close,
        high=highest.high,
        high_at=highest.start,
        low=lowest.low,
        low_at=lowest.start,
        average=average,
    )


def path(closes: Sequence[Decimal], width: int, height: int) -> str:
    """The path of an SVG through these prices, evenly spaced, in a box of whole numbers; empty for fewer than two.

    The highest is at the top and the lowest at the bottom; equal ones are in the middle.
    """
    if len(closes) < 2:
        return ""
    low, high = min(closes), max(closes)
    last = len(closes) - 1

    def point(number: int, close: Decimal) -> str:
        down = (high - close) / (high - low) if high > low else Decimal("0.5")
        return f"{number * width / last:.0f} {down * height:.0f}"

    return "M" + "L".join(point(number, close) for number, close in enumerate(closes))
