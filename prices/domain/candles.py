"""Candles: the open, high, low and close of a metal's ticks in one interval. Pure; imports no Django.

A tick counts at the moment from which its price was true. Two ticks of the same source at the same moment count as one:
the later corrects the earlier.
"""

import datetime as dt
import enum
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import reduce
from typing import Final, NamedTuple

from infra.formats import EPOCH


class Interval(enum.StrEnum):
    """The length of a candle; the value is its name on the wire."""

    MINUTE = "1m"
    FIVE_MINUTES = "5m"
    QUARTER = "15m"
    HOUR = "1h"
    DAY = "1d"

    def start(self, at: dt.datetime, zone: dt.tzinfo) -> dt.datetime:
        """The UTC beginning of the candle around `at`: a day's at midnight in `zone`, others at multiples in UTC."""
        if self is Interval.DAY:
            return _midnight(at.astimezone(zone).date(), zone)
        return at - (at - EPOCH) % _LENGTHS[self]

    def end(self, start: dt.datetime, zone: dt.tzinfo) -> dt.datetime:
        """The end of the candle that begins at `start`, in UTC: the next begins then. A day may have 23 or 25 hours."""
        if self is Interval.DAY:
            return _midnight(start.astimezone(zone).date() + dt.timedelta(days=1), zone)
        return start + _LENGTHS[self]


_LENGTHS: Final = {
    Interval.MINUTE: dt.timedelta(minutes=1),
    Interval.FIVE_MINUTES: dt.timedelta(minutes=5),
    Interval.QUARTER: dt.timedelta(minutes=15),
    Interval.HOUR: dt.timedelta(hours=1),
}


def _midnight(day: dt.date, zone: dt.tzinfo) -> dt.datetime:
    """The beginning of a day: where clocks leap over midnight, the leap; where midnight comes twice, the first."""
    return dt.datetime.combine(day, dt.time(), zone).astimezone(dt.UTC)


# The fields of a candle that its ticks make.
FIGURES: Final = ("open", "high", "low", "close", "ticks", "first_at", "last_at", "seq")


@dataclass(frozen=True, slots=True, kw_only=True)
class Candle:
    """A metal's prices in one interval from `start` on; amounts in the base currency per gram.

    `ticks` is the number of ticks in it, `first_at` and `last_at` are the moments of the first and the last, and `seq`
    is the newest publication's (0 where no tick was streamed).
    """

    interval: Interval
    start: dt.datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    ticks: int
    first_at: dt.datetime
    last_at: dt.datetime
    seq: int


class ZonedCandle(NamedTuple):
    """A candle with what the deployment's time zone makes of it: its end, and the date of a day candle, else None."""

    candle: Candle
    end: dt.datetime
    date: dt.date | None

    @classmethod
    def of(cls, candle: Candle, zone: dt.tzinfo) -> "ZonedCandle":
        """Add the end and the date of a candle in a zone."""
        is_day = candle.interval is Interval.DAY
        date = candle.start.astimezone(zone).date() if is_day else None
        return cls(candle, candle.interval.end(candle.start, zone), date)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """A tick as candles count it. Of two ticks the one of higher `order` was recorded later."""

    at: dt.datetime
    source: str
    price: Decimal
    order: int
    seq: int


def effective(ticks: Iterable[Counted]) -> list[Counted]:
    """The ticks that count, by moment: of a source's ticks at one moment, only the one recorded last."""
    by_key = {(tick.source, tick.at): tick for tick in sorted(ticks, key=lambda tick: tick.order)}
    return sorted(by_key.values(), key=lambda tick: (tick.at, tick.order))


def fold(ticks: Iterable[Counted], interval: Interval, zone: dt.tzinfo) -> Iterator[Candle]:
    """Make candles, oldest first, from ticks as `effective` sorts them."""
    made: Candle | None = None
    end = EPOCH
    for tick in ticks:
        if made is not None and tick.at < end:
            made = merged(made, of_tick(tick, interval, made.start))
            continue
        if made is not None:
            yield made
        start = interval.start(tick.at, zone)
        end = interval.end(start, zone)
        made = of_tick(tick, interval, start)
    if made is not None:
        yield made


def of_tick(tick: Counted, interval: Interval, start: dt.datetime) -> Candle:
    """The candle of one tick."""
    return Candle(
        interval=interval,
        start=start,
        open=tick.price,
        high=tick.price,
        low=tick.price,
        close=tick.price,
        ticks=1,
        first_at=tick.at,
        last_at=tick.at,
        seq=tick.seq,
    )


def merged(candle: Candle, more: Candle) -> Candle:
    """One candle of two that share no tick. Of ticks at the same moment, those in `more` are the later."""
    return Candle(
        interval=candle.interval,
        start=candle.start,
        open=more.open if more.first_at < candle.first_at else candle.open,
        high=max(candle.high, more.high),
        low=min(candle.low, more.low),
        close=more.close if more.last_at >= candle.last_at else candle.close,
        ticks=candle.ticks + more.ticks,
        first_at=min(candle.first_at, more.first_at),
        last_at=max(candle.last_at, more.last_at),
        seq=max(candle.seq, more.seq),
    )


def longer(minutes: Iterable[Candle], interval: Interval, zone: dt.tzinfo) -> Iterator[Candle]:
    """The candles of a longer interval, made of minutes, oldest first."""
    within: list[Candle] = []
    start = end = EPOCH
    for minute in minutes:
        if within and minute.start >= end:
            yield widened(within, interval, start)
            within = []
        if not within:
            start = interval.start(minute.start, zone)
            end = interval.end(start, zone)
        within.append(minute)
    if within:
        yield widened(within, interval, start)


def starts(minutes: Iterable[Candle], interval: Interval, zone: dt.tzinfo) -> Iterator[dt.datetime]:
    """The beginnings of the candles of a longer interval that hold these minutes, which come oldest first."""
    end: dt.datetime | None = None
    for minute in minutes:
        if end is None or minute.start >= end:
            start = interval.start(minute.start, zone)
            end = interval.end(start, zone)
            yield start


def widened(candles: Iterable[Candle], interval: Interval, start: dt.datetime) -> Candle:
    """One candle of a longer interval, made of all shorter ones in it: oldest first, at least one."""
    first, *others = candles
    return reduce(merged, others, replace(first, interval=interval, start=start))
