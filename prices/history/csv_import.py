"""History filled in from a file (prices/history/csv_format.py), many ticks at a time.

A file is read twice: it is written only if all of it can be read and believed. Each chunk is one transaction, in which
no publication is written, and leaves all candles whole: so the same import goes on from where it was interrupted.
"""

import datetime as dt
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter
from typing import Final

from django.conf import settings
from django.db import transaction

from prices import sql
from prices.domain import candles
from prices.domain.candles import Counted, Interval
from prices.domain.quotes import PriceKind
from prices.domain.units import rounded
from prices.history import candle_store, csv_format, partitions
from prices.history.candle_store import LONG_AGO, Series, Span
from prices.history.csv_format import Bar, CsvError, Tick
from prices.history.filling import INSTANT, Filled, series_of, validator, write_bars
from prices.history.sanity import Point, Validator
from prices.models import Head, Price
from prices.premiums import PremiumHistory

_LONGER: Final = [interval for interval in Interval if interval is not Interval.MINUTE]
_at = attrgetter("at")
# The most in one transaction, which is to take less than a second: ticks, their minutes, and days of candles.
_TICKS: Final = 4000
_MINUTES: Final = 800
_DAYS: Final = 100
_TICK_COLUMNS: Final = ("metal", "currency", "price", "bid", "ask", "open", "high", "low", "source", "quoted_at", "at")


def validated(lines: Iterable[str], *, now: dt.datetime) -> Validator:
    """Apply the sanity rules to all prices of a file, at spot, until the validator is full.

    Raises CsvError if any line of the file cannot be read.
    """
    premiums = PremiumHistory()
    rules = validator(premiums)
    for line, row in _rows(lines, now):
        if rules.is_full:
            continue  # the rest is only read, for its CsvError
        if isinstance(row, Bar):
            series, at = series_of(row.metal), row.start
            figures = {"close": row.close, "open": row.open, "high": row.high, "low": row.low}
        else:
            series, at = series_of(row.metal, row.source), row.at
            beside = (("bid", row.bid), ("ask", row.ask))
            figures = {"price": row.price} | {name: amount for name, amount in beside if amount}
        place, premium = f"line {line}, {row.metal}", premiums.at(row.metal, at)
        if premium != 1 and series.kind is not PriceKind.FALLBACK:
            place = f"{place} less its premium"
            figures = {name: rounded(amount / premium) for name, amount in figures.items()}
        price = next(iter(figures.values()))
        rules.take(series, row.metal, Point(place, at, price), figures)
    return rules


def from_csv(lines: Iterable[str], *, replace: bool = False, now: dt.datetime) -> Filled:
    """Fill in the ticks or candles of a file, whose ticks are in order of time.

    Ticks are stored unless they are older than `TICKS_KEPT_FOR`, and counted in candles whatever their age. Candles
    stay that hold published ticks or ticks that are gone, or that were given whole. Raises CsvError; the rows before it
    are filled in.
    """
    importing = _Import(replace, now)
    for _, row in _rows(lines, now):
        importing.take(row)
    importing.finish()
    return importing.filled


def _rows(lines: Iterable[str], now: dt.datetime) -> Iterator[tuple[int, Tick | Bar]]:
    """Each row with the number of its line. Raises CsvError, also for a tick that is older than the one before it."""
    last: dict[Series, dt.datetime] = {}
    for line, row in csv_format.read(lines, currency=settings.BASE_CURRENCY, zone=candle_store.zone(), now=now):
        if isinstance(row, Tick):
            series = series_of(row.metal, row.source)
            if row.at < last.get(series, row.at):
                raise CsvError(
                    line, "at", f"the ticks of {row.metal} have to be in order of time: sort the file by at."
                )
            last[series] = row.at
        yield line, row


class _Import:
    """An import in progress. A minute of a series is written when it is whole."""

    def __init__(self, replace: bool, now: dt.datetime) -> None:
        self.filled = Filled()
        self._replace = replace
        self._now = now
        self._local = candle_store.zone()
        # The beginning of a day, so that each candle is made of stored ticks alone, or of none.
        self._stored_from = candle_store.kept_from(now)
        self._bars: dict[Series, list[Bar]] = {}
        self._ticks: dict[Series, list[Tick]] = {}
        # The ends of the minute and the day of each series' last tick; how many of all series wait to be written.
        self._minute_ends: dict[Series, dt.datetime] = {}
        self._day_ends: dict[Series, dt.datetime] = {}
        self._ticks_waiting = self._minutes_waiting = self._days_waiting = 0

    def take(self, row: Tick | Bar) -> None:
        if isinstance(row, Bar):
            bars = self._bars.setdefault(series_of(row.metal), [])
            bars.append(row)
            if len(bars) == _MINUTES:
                self._write_bars()
            return
        series = series_of(row.metal, row.source)
        if row.at >= self._minute_ends.get(series, LONG_AGO):
            if self._ticks_waiting >= _TICKS or self._minutes_waiting >= _MINUTES or self._days_waiting >= _DAYS:
                self._write_minutes()
            minute = Interval.MINUTE.start(row.at, self._local)
            self._minute_ends[series] = Interval.MINUTE.end(minute, self._local)
            self._minutes_waiting += 1
            if row.at >= self._day_ends.get(series, LONG_AGO):
                self._day_ends[series] = Interval.DAY.end(Interval.DAY.start(row.at, self._local), self._local)
                self._days_waiting += 1
        self._ticks.setdefault(series, []).append(row)
        self._ticks_waiting += 1

    def finish(self) -> None:
        """Write the rest."""
        self._write_bars()
        self._write({series: ticks for series, ticks in self._ticks.items() if ticks})

    def _write_bars(self) -> None:
        for series, bars in self._bars.items():
            written = write_bars(series, bars, csv_format.CSV, replace=self._replace, now=self._now)
            self.filled.written += written
            self.filled.there += len(bars) - written
        self._bars = {}

    def _write_minutes(self) -> None:
        """Write all minutes but the last of each series, which may not be whole."""
        whole: dict[Series, list[Tick]] = {}
        for series, ticks in self._ticks.items():
            if not ticks:
                continue
            minute = Interval.MINUTE.start(ticks[-1].at, self._local)
            end = bisect_left(ticks, minute, key=_at)
            if end:
                whole[series], self._ticks[series] = ticks[:end], ticks[end:]
        self._write(whole)
        self._ticks_waiting = self._minutes_waiting = self._days_waiting = 0

    def _write(self, chunk: dict[Series, list[Tick]]) -> None:
        """Write ticks of whole minutes, and their candles."""
        stored = [tick for ticks in chunk.values() for tick in ticks if tick.at >= self._stored_from]
        partitions.ensure(tick.at for tick in stored)
        with transaction.atomic():
            Head.locked()
            for series, ticks in chunk.items():
                self._write_series(series, ticks)

    def _write_series(self, series: Series, ticks: list[Tick]) -> None:
        first_stored = bisect_left(ticks, self._stored_from, key=_at)
        gone, stored = ticks[:first_stored], ticks[first_stored:]
        counted = [
            Counted(at=tick.at, source=tick.source, price=tick.price, order=order, seq=0)
            for order, tick in enumerate(gone)
        ]
        new = 0
        if stored:
            all_stored, new = self._store(series, stored)
            counted += all_stored
        if series.kind is not PriceKind.FALLBACK:
            made = list(candles.fold(candles.effective(counted), Interval.MINUTE, self._local))
            new += self._count(series, made, gone)
        self.filled.written += new
        self.filled.there += len(ticks) - new

    def _store(self, series: Series, ticks: Sequence[Tick]) -> tuple[list[Counted], int]:
        """Store the new ticks in the order of the file; with `replace`, also those whose stored price differs.

        Returns all ticks of their minutes, and how many are new. Of ticks at one moment, the file's last counts.
        """
        there = sorted(series.ticks_in(_spans(ticks, self._local)), key=lambda price: price.pk)
        known = {(price.source, price.at): price.price for price in there}
        last_word = {(tick.source, tick.at): tick for tick in ticks}

        def is_new(tick: Tick) -> bool:
            key = tick.source, tick.at
            if key not in known:
                return True
            return self._replace and tick is last_word[key] and tick.price != known[key]

        news = [tick for tick in ticks if is_new(tick)]
        sql.insert_many(
            Price,
            _TICK_COLUMNS,
            (
                (
                    series.metal,
                    series.currency,
                    tick.price,
                    tick.bid,
                    tick.ask,
                    tick.price,
                    tick.price,
                    tick.price,
                    tick.source,
                    tick.at,
                    tick.at,
                )
                for tick in news
            ),
        )
        after = there[-1].pk + 1 if there else 0
        counted = [candle_store.counted(price) for price in there]
        counted += [
            Counted(at=tick.at, source=tick.source, price=tick.price, order=after + number, seq=0)
            for number, tick in enumerate(news)
        ]
        return counted, len(news)

    def _count(self, series: Series, made: Sequence[candles.Candle], gone: Sequence[Tick]) -> int:
        """Write minutes and their longer candles.

        Returns how many ticks of `gone`, which are not stored, are in minutes that were written.
        """
        # Read before the minutes are written: mostly there are none.
        before = {row.start: row.value() for row in series.minutes_in(self._days(made))}
        written = series.fill(made, kept_from=self._stored_from, replace=self._replace)
        minutes = before | {minute.start: minute for minute in made if minute.start in written}
        in_order = [minutes[start] for start in sorted(minutes)]
        longer: list[candles.Candle] = []
        for interval in _LONGER:
            touched = set(candles.starts(made, interval, self._local))
            longer += (candle for candle in candles.longer(in_order, interval, self._local) if candle.start in touched)
        series.fill(longer, kept_from=self._stored_from, replace=self._replace)
        return sum(Interval.MINUTE.start(tick.at, self._local) in written for tick in gone)

    def _days(self, minutes: Sequence[candles.Candle]) -> list[Span]:
        """The days of minutes, widened to whole hours: a zone's midnight may be in the middle of one."""
        days: list[Span] = []
        for start in candles.starts(minutes, Interval.DAY, self._local):
            end = Interval.DAY.end(start, self._local)
            begin = Interval.HOUR.start(start, self._local)
            until = Interval.HOUR.end(Interval.HOUR.start(end - INSTANT, self._local), self._local)
            if days and begin <= days[-1][1]:
                days[-1] = (days[-1][0], until)
            else:
                days.append((begin, until))
        return days


def _spans(ticks: Iterable[Tick], zone: dt.tzinfo) -> list[Span]:
    """The minutes of ticks in order of time; adjacent ones form one span."""
    spans: list[Span] = []
    for tick in ticks:
        if spans and tick.at < spans[-1][1]:
            continue
        minute = Interval.MINUTE.start(tick.at, zone)
        end = Interval.MINUTE.end(minute, zone)
        if spans and minute == spans[-1][1]:
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((minute, end))
    return spans
