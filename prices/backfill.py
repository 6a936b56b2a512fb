"""History filled in from elsewhere: a vendor's past days, or a file.

Nothing here is published, and no price in force changes. What is there stays, unless it is to be replaced; so whatever
was interrupted is gone on with by doing it again.
"""

import datetime as dt
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final

from django.conf import settings
from django.db import transaction

from prices import candles, history, history_csv, partitions, sources
from prices.candles import Counted, Interval
from prices.days import SpotQuote, day_figures
from prices.history import Series
from prices.history_csv import Bar, CsvError
from prices.models import Candle, Head, Premium, Price, ProviderState, SilentDay
from prices.premiums import with_premium
from prices.providers import Archive
from prices.providers.errors import NoDataError, ProviderError
from prices.providers.http import TRIES, Client
from prices.providers.parsing import dates_between
from prices.quotes import Lane, Metal, Quote, lane_of

_LONGER: Final = [interval for interval in Interval if interval is not Interval.MINUTE]
_A_DAY: Final = dt.timedelta(days=1)
# After so long, a day that a vendor knows nothing of stays so.
_SETTLED: Final = dt.timedelta(days=7)
_INSTANT: Final = dt.timedelta(microseconds=1)
# In one transaction, for whose length no tick is written.
_BATCH: Final = 500


@dataclass(slots=True)
class Filled:
    """How many days, candles or ticks were `written`, were `there` already, and are `unknown` to the vendor; `troubles`
    says of each other one why it could not be had."""

    written: int = 0
    there: int = 0
    unknown: int = 0
    troubles: list[str] = field(default_factory=list)


class QuotaEndsError(Exception):
    """The calls that may be used are used; says when to go on."""


# --- a vendor's past days --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ask:
    """One call: for these metals, the days from `first` to `last`, both with them."""

    metals: tuple[Metal, ...]
    first: dt.date
    last: dt.date


def plan(missing: Mapping[dt.date, AbstractSet[Metal]], *, days_per_call: int, brings_all: bool) -> Iterator[Ask]:
    """The fewest calls that bring the metals that are missing on each day, oldest first. Pure."""
    dates = sorted(date for date, metals in missing.items() if metals)
    if not brings_all:
        yield from (
            Ask((metal,), date, date) for date in dates for metal in sorted(missing[date], key=list(Metal).index)
        )
        return
    while dates:
        within = [date for date in dates if date < dates[0] + dt.timedelta(days=days_per_call)]
        wanted = {metal for date in within for metal in missing[date]}
        yield Ask(tuple(metal for metal in Metal if metal in wanted), within[0], within[-1])
        dates = dates[len(within) :]


def missing_days(
    archive: Archive, metals: Sequence[Metal], first: dt.date, last: dt.date, *, replace: bool = False
) -> dict[dt.date, set[Metal]]:
    """The metals that each day from `first` to `last` has no candle of, of the days on which the market was open.

    To `replace` candles, those that this vendor did not give are missing too.
    """
    missing = {date: set(metals) for date in dates_between(first, last) if _is_open(date)}
    local = history.zone()
    begin, end = history.midnight(first), history.midnight(last + _A_DAY)
    for metal in metals:
        kept = _series(metal).kept(Interval.DAY, begin, end)
        for start in (kept.filter(source=archive.source) if replace else kept).values_list("start", flat=True):
            missing.get(start.astimezone(local).date(), set()).discard(metal)
    return missing


def leave_out_silent(archive: Archive, missing: Mapping[dt.date, set[Metal]], *, now: dt.datetime) -> int:
    """Leave out the missing days that the provider had no data for when they were fetched before; returns how many.

    A day that is not settled at `now` was fetched by a clock that was ahead, and is fetched again.
    """
    settled = now.date() - _SETTLED
    silent = SilentDay.objects.filter(archive=archive.name, currency=settings.BASE_CURRENCY, date__lt=settled)
    known = [(date, metal) for date, metal in silent.values_list("date", "metal") if metal in missing.get(date, ())]
    for date, metal in known:
        missing[date].discard(Metal(metal))
    return len(known)


def ask(archive: Archive, asked: Ask, *, leave: int, replace: bool, now: dt.datetime) -> Filled:
    """Make one call, and write the days that it brings.

    Raises QuotaEndsError where no more than `leave` calls are left in the vendor's quota, and ProviderError.
    """
    source, _ = ProviderState.objects.get_or_create(name=archive.source)
    left = source.calls_left(now)
    if source.quota and left is not None and left <= leave:
        raise QuotaEndsError(
            f"{left} calls are left of {source.name}'s {source.quota}, and {leave} are for its refreshes. "
            f"It begins anew on {source.quota.begins_anew(now)}: give the same command then, and it goes on"
        )
    booking = sources.book(archive.source, TRIES, now)
    deadline = time.monotonic() + settings.PROVIDER_BUDGET.total_seconds()
    client = Client(deadline=deadline, most_calls=booking.calls if booking else None)
    try:
        found = archive.fetch(asked.metals, asked.first, asked.last, client=client, now=now)
    except NoDataError:
        found = {}
    finally:
        sources.count_calls(archive.source, client.calls, now, booking)
    filled = Filled(unknown=_remember_silence(archive, asked, found, now))
    rows = []
    for (date, metal), said in found.items():
        if isinstance(said, ProviderError):
            filled.troubles.append(f"{date} {metal}: {said}")
        elif _is_open(date):  # else it is the day before once more
            rows.append(_day(date, said, archive.source, now))
    filled.written = _write(rows, replace=replace)
    filled.there = len(rows) - filled.written
    return filled


def _remember_silence(archive: Archive, asked: Ask, found: Collection[tuple[dt.date, Metal]], now: dt.datetime) -> int:
    """Remember the days of a call that the vendor knows nothing of, where they are long over; returns how many days it
    knows nothing of. An answer without any of several days is not remembered: that may be a defect of the vendor's."""
    dates = [date for date in dates_between(asked.first, asked.last) if _is_open(date)]
    silent = [(date, metal) for date in dates for metal in asked.metals if (date, metal) not in found]
    if found or asked.first == asked.last:
        SilentDay.objects.bulk_create(
            (
                SilentDay(archive=archive.name, metal=metal, currency=settings.BASE_CURRENCY, date=date)
                for date, metal in silent
                if now.date() - date > _SETTLED
            ),
            ignore_conflicts=True,
        )
    return len(silent)


def _series(metal: str, source: str = "") -> Series:
    return Series(metal, settings.BASE_CURRENCY, lane_of(source))


def _is_open(date: dt.date) -> bool:
    """Whether the market was open for a moment of this day of UTC's."""
    begins = dt.datetime.combine(date, dt.time(), dt.UTC)
    return settings.MARKET_CALENDAR.open_time(begins, begins + _A_DAY) > dt.timedelta(0)


def _day(date: dt.date, said: Quote, source: str, now: dt.datetime) -> Candle:
    """A vendor's day as the candle of the day of that date here, with the premium that was in force at its end."""
    quote = with_premium(said, Premium.in_force(history.midnight(date + _A_DAY) - _INSTANT))
    figures = day_figures(SpotQuote.of(quote))
    bar = Bar(
        metal=quote.metal,
        interval=Interval.DAY,
        start=history.midnight(date),
        open=figures.open,
        high=figures.high,
        low=figures.low,
        close=quote.price,
    )
    return _given_whole(bar, source, now)


def _given_whole(bar: Bar, source: str, now: dt.datetime) -> Candle:
    """A candle that was not made of ticks of ours.

    `first_at` and `last_at` are no ticks' times: with them its open stands against any tick, and where it is over, its
    close too. One that is still running takes its close from the ticks to come.
    """
    end = bar.interval.end(bar.start, history.zone())
    whole = candles.Candle(
        interval=bar.interval,
        start=bar.start,
        open=bar.open,
        high=bar.high,
        low=bar.low,
        close=bar.close,
        ticks=0,
        first_at=bar.start,
        last_at=end - _INSTANT if end <= now else bar.start,
        seq=0,
    )
    return _series(bar.metal).row(whole, source)


def _write(rows: Sequence[Candle], *, replace: bool) -> int:
    """Write candles, of which those that are there stay where they are not to be replaced; returns how many."""
    written = 0
    for begin in range(0, len(rows), _BATCH):
        batch = rows[begin : begin + _BATCH]
        with transaction.atomic():
            Head.locked()
            there = {
                (row.metal, row.currency, row.lane, row.interval, row.start)
                for row in Candle.objects.filter(pk__in=[row.pk for row in batch])
            }
            news = {row.pk: row for row in batch if replace or row.pk not in there}
            history.put(list(news.values()))
            written += len(news)
    return written


# --- a file ----------------------------------------------------------------------------------------------------------


def from_csv(lines: Iterable[str], *, replace: bool = False, now: dt.datetime) -> Filled:
    """Fill in the ticks or candles of a file (prices/history_csv.py), whose ticks are in order of time.

    Ticks are stored where they are not older than `TICKS_KEPT_FOR`, and counted in candles whatever their age; candles
    that hold ticks of the stream or ticks that are gone, or that were given whole, stay. Raises CsvError; what came
    before is filled in, as far as it fills whole minutes or is stored.
    """
    rows = history_csv.read(lines, currency=settings.BASE_CURRENCY, zone=history.zone(), now=now)
    filling = _Filling(replace, now)
    is_whole = False
    try:
        for line, row in rows:
            filling.take(line, row)
        is_whole = True
    finally:
        filling.flush(is_whole=is_whole)
    return filling.filled


class _Filling:
    """A file on its way into the database, in short transactions. A series' minute is written when it is whole."""

    def __init__(self, replace: bool, now: dt.datetime) -> None:
        self.filled = Filled()
        self._replace = replace
        self._now = now
        self._local = history.zone()
        # From a whole day on, so that each candle is made of stored ticks alone, or of none.
        self._stored_from = history.kept_from(now)
        self._bars: list[Candle] = []
        self._ticks: dict[Series, list[history_csv.Tick]] = {}
        self._last: dict[Series, dt.datetime] = {}

    def take(self, line: int, row: history_csv.Tick | Bar) -> None:
        if isinstance(row, Bar):
            self._bars.append(_given_whole(row, history_csv.CSV, self._now))
            if len(self._bars) == _BATCH:
                self._write_bars()
            return
        series = _series(row.metal, row.source)
        ticks = self._ticks.setdefault(series, [])
        last = self._last.get(series, row.at)
        if row.at < last:
            raise CsvError(line, "at", f"the ticks of {row.metal} have to be in order of time: sort the file by at.")
        day = Interval.DAY.start(last, self._local)
        if row.at >= Interval.DAY.end(day, self._local):
            self._write_ticks(series)
            self._lengthen(series, day)
        elif len(ticks) >= _BATCH and Interval.MINUTE.start(row.at, self._local) > last:
            self._write_ticks(series)
        self._ticks[series].append(row)
        self._last[series] = row.at

    def flush(self, *, is_whole: bool) -> None:
        """Write what is left; where more was to come, without a last minute whose other ticks nobody would miss."""
        self._write_bars()
        for series, last in self._last.items():
            minute = Interval.MINUTE.start(last, self._local)
            if not is_whole and not self._is_stored(last):
                self._ticks[series] = [tick for tick in self._ticks[series] if tick.at < minute]
            self._write_ticks(series)
            self._lengthen(series, Interval.DAY.start(last, self._local))

    def _write_bars(self) -> None:
        written = _write(self._bars, replace=self._replace)
        self.filled.written += written
        self.filled.there += len(self._bars) - written
        self._bars = []

    def _write_ticks(self, series: Series) -> None:
        ticks, self._ticks[series] = self._ticks[series], []
        if not ticks:
            return
        begin = Interval.MINUTE.start(ticks[0].at, self._local)
        end = Interval.MINUTE.end(Interval.MINUTE.start(ticks[-1].at, self._local), self._local)
        # They are of one day: either all are stored, or none.
        is_stored = self._is_stored(begin)
        if is_stored:
            partitions.ensure(tick.at for tick in ticks)
        with transaction.atomic():
            Head.locked()
            if is_stored:
                new = self._store(series, ticks, begin, end)
                counted = [history.counted(price) for price in series.ticks(begin, end).order_by()]
            else:
                counted = [
                    Counted(at=tick.at, source=tick.source, price=tick.price, order=order, seq=0)
                    for order, tick in enumerate(ticks)
                ]
            written: set[dt.datetime] = set()
            if series.lane is not Lane.FALLBACK:
                made = candles.fold(candles.effective(counted), Interval.MINUTE, self._local)
                written = history.put_where(series, Interval.MINUTE, made, self._may_replace)
            if not is_stored:
                new = sum(Interval.MINUTE.start(tick.at, self._local) in written for tick in ticks)
        self.filled.written += new
        self.filled.there += len(ticks) - new

    def _is_stored(self, at: dt.datetime) -> bool:
        return self._stored_from is None or at >= self._stored_from

    def _store(self, series: Series, ticks: Sequence[history_csv.Tick], begin: dt.datetime, end: dt.datetime) -> int:
        """Store the ticks that are not there, in the order of the file; where they are to be replaced, those also whose
        last word is another than the one that is there.
        """
        known = {(price.source, price.at): price.price for price in series.ticks(begin, end).order_by("pk")}
        last_word = {(tick.source, tick.at): tick for tick in ticks}

        def is_new(tick: history_csv.Tick) -> bool:
            key = tick.source, tick.at
            if key not in known:
                return True
            return self._replace and tick is last_word[key] and tick.price != known[key]

        news = [tick for tick in ticks if is_new(tick)]
        Price.objects.bulk_create(
            Price(
                metal_id=series.metal,
                currency=series.currency,
                price=tick.price,
                bid=tick.bid,
                ask=tick.ask,
                open=tick.price,
                high=tick.price,
                low=tick.price,
                source=tick.source,
                quoted_at=tick.at,
                at=tick.at,
            )
            for tick in news
        )
        return len(news)

    def _lengthen(self, series: Series, day: dt.datetime) -> None:
        """Make the longer candles of a day out of its minutes."""
        if series.lane is Lane.FALLBACK:
            return
        last = Interval.DAY.end(day, self._local) - _INSTANT
        with transaction.atomic():
            Head.locked()
            for interval in _LONGER:
                begin = interval.start(day, self._local)
                end = interval.end(interval.start(last, self._local), self._local)
                minutes = (row.value() for row in series.kept(Interval.MINUTE, begin, end))
                by_start = groupby(minutes, key=lambda minute: interval.start(minute.start, self._local))
                made = (candles.widened(within, interval, start) for start, within in by_start)
                history.put_where(series, interval, made, self._may_replace)

    def _may_replace(self, row: Candle, candle: candles.Candle) -> bool:
        """Whether a candle takes the place of the one that is there and differs: with --replace always, else where that
        was filled in, of no ticks that the new one lacks.

        Of ticks that are not stored nobody knows: a minute of these stays as it is.
        """
        if row.value() == candle:
            return False
        if self._replace:
            return True
        if row.seq or row.source:
            return False
        if candle.interval is Interval.MINUTE and not self._is_stored(row.start):
            return False
        return candle.ticks >= row.ticks
