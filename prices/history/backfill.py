"""History filled in from a vendor's past days. (From a file: prices/history/csv_import.py.)

Nothing here is published, and no price in force changes. What is there stays, unless it is to be replaced; so whatever
was interrupted is gone on with by doing it again.
"""

import datetime as dt
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Final

from django.conf import settings
from django.db import transaction

from infra import schema
from prices.domain import candles
from prices.domain.candles import Interval
from prices.domain.days import SpotQuote, day_figures
from prices.domain.provider_table import ArchiveRow
from prices.domain.quotes import Metal, Quote, kind_of, rounded
from prices.history import candle_store
from prices.history.candle_store import Series
from prices.history.csv_format import Bar
from prices.history.sanity import Nearest, Point, Validator
from prices.models import Head, ProviderState, SilentDay
from prices.premiums import PremiumHistory, before_premium, with_premium
from prices.providers import FETCH_DAYS
from prices.providers.errors import NoDataError, ProviderError
from prices.providers.http import TRIES, Client
from prices.providers.parsing import dates_between
from prices.sanity_bands import bands
from prices.sources import registry

_A_DAY: Final = dt.timedelta(days=1)
# After so long, a day that a vendor knows nothing of stays so.
_SETTLED: Final = dt.timedelta(days=7)
_INSTANT: Final = dt.timedelta(microseconds=1)


@dataclass(slots=True)
class Filled:
    """How many days, candles or ticks were `written`, were `there` already, and are `unknown` to the vendor; `failures`
    says of each other one why it could not be had, and `violations` why it could not be believed.
    """

    written: int = 0
    there: int = 0
    unknown: int = 0
    failures: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)


class QuotaEndsError(Exception):
    """The calls that may be used are used; says when to go on."""


# --- a vendor's past days --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DaysRequest:
    """One call: for these metals, the days from `first` to `last`, both with them."""

    metals: tuple[Metal, ...]
    first: dt.date
    last: dt.date


def plan(
    missing: Mapping[dt.date, AbstractSet[Metal]], *, days_per_call: int, brings_all: bool
) -> Iterator[DaysRequest]:
    """The fewest calls that bring the metals that are missing on each day, oldest first. Pure."""
    dates = sorted(date for date, metals in missing.items() if metals)
    if not brings_all:
        yield from (
            DaysRequest((metal,), date, date)
            for date in dates
            for metal in sorted(missing[date], key=list(Metal).index)
        )
        return
    while dates:
        within = [date for date in dates if date < dates[0] + dt.timedelta(days=days_per_call)]
        wanted = {metal for date in within for metal in missing[date]}
        yield DaysRequest(tuple(metal for metal in Metal if metal in wanted), within[0], within[-1])
        dates = dates[len(within) :]


def missing_days(
    archive: ArchiveRow, metals: Sequence[Metal], first: dt.date, last: dt.date, *, replace: bool = False
) -> dict[dt.date, set[Metal]]:
    """The metals that each day from `first` to `last` has no candle of, of the days on which the market was open.

    To `replace` candles, those that this vendor did not give are missing too.
    """
    missing = {date: set(metals) for date in dates_between(first, last) if _is_open(date)}
    local = candle_store.zone()
    begin, end = candle_store.midnight(first), candle_store.midnight(last + _A_DAY)
    for metal in metals:
        kept = series_of(metal).kept(Interval.DAY, begin, end)
        for start in (kept.filter(source=archive.provider) if replace else kept).values_list("start", flat=True):
            missing.get(start.astimezone(local).date(), set()).discard(metal)
    return missing


def leave_out_no_data(archive: ArchiveRow, missing: Mapping[dt.date, set[Metal]], *, now: dt.datetime) -> int:
    """Leave out the missing days that the provider had no data for when they were fetched before; returns how many.

    A day that is not settled at `now` was fetched by a clock that was ahead, and is fetched again.
    """
    settled = now.date() - _SETTLED
    no_data = SilentDay.objects.filter(archive=archive.name, currency=settings.BASE_CURRENCY, date__lt=settled)
    known = [(date, metal) for date, metal in no_data.values_list("date", "metal") if metal in missing.get(date, ())]
    for date, metal in known:
        missing[date].discard(Metal(metal))
    return len(known)


def fetch_days(
    archive: ArchiveRow, request: DaysRequest, *, leave: int, replace: bool, now: dt.datetime, confirmed: bool = False
) -> Filled:
    """Make one call, and write the days that it brings and that can be believed (prices/history/sanity.py), or all of
    them where somebody `confirmed` them.

    Raises QuotaEndsError where no more than `leave` calls are left in the vendor's quota, and ProviderError.
    """
    source = schema.get_or_create(ProviderState.objects.all(), name=archive.provider)
    left = source.calls_left(now)
    if source.quota and left is not None and left <= leave:
        raise QuotaEndsError(
            f"{left} calls are left of {source.name}'s {source.quota}, and {leave} are for its refreshes. "
            f"It begins anew on {source.quota.begins_anew(now)}: give the same command then, and it goes on"
        )
    reservation = registry.reserve(archive.provider, TRIES, now)
    deadline = time.monotonic() + settings.PROVIDER_BUDGET.total_seconds()
    client = Client(deadline=deadline, most_calls=reservation.calls if reservation else None)
    try:
        found = FETCH_DAYS[archive.name](request.metals, request.first, request.last, client=client, now=now)
    except NoDataError:
        found = {}
    finally:
        registry.count_calls(archive.provider, client.calls, now, reservation)
    filled = Filled(unknown=_remember_no_data(archive, request, found, now))
    days: dict[tuple[dt.date, Metal], Quote] = {}
    for (date, metal), said in found.items():
        if isinstance(said, ProviderError):
            filled.failures.append(f"{date} {metal}: {said}")
        elif _is_open(date):  # else it is the day before once more
            days[date, metal] = said
    premiums = PremiumHistory()
    if not confirmed:
        for day, why in _violations(days, premiums).items():
            del days[day]
            filled.violations.append(why)
    by_series: dict[Series, list[candles.Candle]] = {}
    for (date, metal), said in days.items():
        by_series.setdefault(series_of(metal), []).append(_day(date, said, premiums, now))
    for series, given in by_series.items():
        filled.written += put_missing(series, given, archive.provider, replace=replace)
    filled.there = len(days) - filled.written
    return filled


def _violations(
    days: Mapping[tuple[dt.date, Metal], Quote], premiums: PremiumHistory
) -> dict[tuple[dt.date, Metal], str]:
    """The days of an answer that cannot be believed, and why."""
    validator = Validator(bands(settings.BASE_CURRENCY))
    places: dict[str, tuple[dt.date, Metal]] = {}
    for (date, metal), said in sorted(days.items()):
        quote, at = before_premium(said), candle_store.midnight(date)
        figures = {"price": quote.price}
        figures |= {name: amount for name in ("open", "high", "low") if (amount := getattr(quote, name))}
        place = f"{date} {metal}"
        places[place] = date, metal
        series = series_of(metal)
        validator.take(series, metal, Point(place, at, quote.price), figures, nearest(series, premiums))
    return {places[found.place]: str(found) for found in validator.violations()}


def nearest(series: Series, premiums: PremiumHistory) -> Nearest:
    """A function that gives the kept price of a series nearest to a moment, at spot."""

    def point(at: dt.datetime) -> Point | None:
        candle = series.nearest(at)
        if candle is None:
            return None
        price = rounded(candle.close / premiums.at(series.metal, candle.start))
        return Point(f"the {candle.interval} candle of {candle.start:%Y-%m-%dT%H:%MZ}", candle.start, price)

    return point


def _remember_no_data(
    archive: ArchiveRow, request: DaysRequest, found: Collection[tuple[dt.date, Metal]], now: dt.datetime
) -> int:
    """Remember the days of a call that the vendor knows nothing of, where they are long over; returns how many days it
    knows nothing of. An answer without any of several days is not remembered: that may be a defect of the vendor's."""
    dates = [date for date in dates_between(request.first, request.last) if _is_open(date)]
    no_data = [(date, metal) for date in dates for metal in request.metals if (date, metal) not in found]
    if found or request.first == request.last:
        SilentDay.objects.bulk_create(
            (
                SilentDay(archive=archive.name, metal=metal, currency=settings.BASE_CURRENCY, date=date)
                for date, metal in no_data
                if now.date() - date > _SETTLED
            ),
            ignore_conflicts=True,
        )
    return len(no_data)


def series_of(metal: str, source: str = "") -> Series:
    """The series of a metal's prices from a source; without one, live."""
    return Series(metal, settings.BASE_CURRENCY, kind_of(source))


def _is_open(date: dt.date) -> bool:
    """Whether the market was open for a moment of this day of UTC's."""
    begins = dt.datetime.combine(date, dt.time(), dt.UTC)
    return settings.MARKET_CALENDAR.open_time(begins, begins + _A_DAY) > dt.timedelta(0)


def _day(date: dt.date, said: Quote, premiums: PremiumHistory, now: dt.datetime) -> candles.Candle:
    """A vendor's day as the candle of the day of that date here, with the premium that was in force at its end."""
    end = candle_store.midnight(date + _A_DAY) - _INSTANT
    quote = with_premium(said, {said.metal: premiums.at(said.metal, end)})
    figures = day_figures(SpotQuote.of(quote))
    bar = Bar(
        metal=quote.metal,
        interval=Interval.DAY,
        start=candle_store.midnight(date),
        open=figures.open,
        high=figures.high,
        low=figures.low,
        close=quote.price,
    )
    return given_whole(bar, now)


def given_whole(bar: Bar, now: dt.datetime) -> candles.Candle:
    """A candle that was not made of ticks of ours.

    `first_at` and `last_at` are no ticks' times: with them its open stands against any tick, and where it is over, its
    close too. One that is still running takes its close from the ticks to come.
    """
    end = bar.interval.end(bar.start, candle_store.zone())
    return candles.Candle(
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


def put_missing(series: Series, given: Sequence[candles.Candle], source: str, *, replace: bool) -> int:
    """Write candles that were given whole, but where others are, unless these are to be replaced; returns how many."""
    with transaction.atomic():
        Head.locked()
        return series.add(given, source, replace=replace)
