"""History filled in from a provider's past days: day candles, call by call, within the provider's quota."""

import datetime as dt
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final

from django.conf import settings

from infra import schema
from prices.domain.candles import Interval
from prices.domain.days import SpotQuote, day_figures
from prices.domain.provider_table import ArchiveRow
from prices.domain.quotes import Metal, Quote
from prices.history import candle_store
from prices.history.candle_store import Series
from prices.history.csv_format import Bar
from prices.history.filling import INSTANT, Filled, series_of, validator, write_bars
from prices.history.sanity import Point
from prices.models import ProviderState, SilentDay
from prices.premiums import PremiumHistory, before_premium, with_premium
from prices.providers import FETCH_DAYS
from prices.providers.errors import NoDataError, ProviderError
from prices.providers.http import TRIES, Client
from prices.providers.parsing import dates_between
from prices.sources import registry

_A_DAY: Final = dt.timedelta(days=1)
# After this long, a day without data is taken to stay so.
_SETTLED: Final = dt.timedelta(days=7)


class QuotaEndsError(Exception):
    """No more calls may be made; the message has the day on which the quota begins anew."""


@dataclass(frozen=True, slots=True)
class DaysRequest:
    """One call: for these metals, the days from `first` to `last`, both included."""

    metals: tuple[Metal, ...]
    first: dt.date
    last: dt.date


def plan(
    missing: Mapping[dt.date, AbstractSet[Metal]], *, days_per_call: int, brings_all: bool
) -> Iterator[DaysRequest]:
    """The fewest calls for the metals that are missing on each day, oldest first. Pure."""
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
    """The metals without a candle, for each day from `first` to `last` on which the market was open.

    With `replace`, a candle that is not this provider's counts as missing.
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


def fill(
    archive: ArchiveRow, request: DaysRequest, *, leave: int, replace: bool, now: dt.datetime, confirmed: bool = False
) -> Filled:
    """Make one call and write its days: those that keep the sanity rules, or all of them if they are `confirmed`.

    Raises QuotaEndsError if no more than `leave` calls are left in the provider's quota, and ProviderError.
    """
    source = schema.get_or_create(ProviderState.objects.all(), name=archive.provider)
    left = source.calls_left(now)
    if source.quota and left is not None and left <= leave:
        raise QuotaEndsError(
            f"{left} calls are left of {source.name}'s {source.quota}, and {leave} are left to its refreshes. "
            f"The quota begins anew on {source.quota.begins_anew(now)}: give the same command then, and it goes on"
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
    filled = Filled(no_data=_remember_no_data(archive, request, found, now))
    days: dict[tuple[dt.date, Metal], Quote] = {}
    for (date, metal), said in found.items():
        if isinstance(said, ProviderError):
            filled.failures.append(f"{date} {metal}: {said}")
        elif _is_open(date):  # else its prices are those of the day before
            days[date, metal] = said
    premiums = PremiumHistory()
    if not confirmed:
        for day, why in _violations(days, premiums).items():
            del days[day]
            filled.violations.append(why)
    by_series: dict[Series, list[Bar]] = {}
    for (date, metal), quote in days.items():
        by_series.setdefault(series_of(metal), []).append(_bar(date, quote, premiums))
    for series, bars in by_series.items():
        filled.written += write_bars(series, bars, archive.provider, replace=replace, now=now)
    filled.there = len(days) - filled.written
    return filled


def _violations(
    days: Mapping[tuple[dt.date, Metal], Quote], premiums: PremiumHistory
) -> dict[tuple[dt.date, Metal], str]:
    """The days of an answer that break a sanity rule, each with its violation."""
    rules = validator(premiums)
    places: dict[str, tuple[dt.date, Metal]] = {}
    for (date, metal), quote in sorted(days.items()):
        spot = before_premium(quote)
        figures = {"price": spot.price}
        figures |= {name: amount for name in ("open", "high", "low") if (amount := getattr(spot, name))}
        place = f"{date} {metal}"
        places[place] = date, metal
        rules.take(series_of(metal), metal, Point(place, candle_store.midnight(date), spot.price), figures)
    return {places[found.place]: str(found) for found in rules.violations()}


def _remember_no_data(
    archive: ArchiveRow, request: DaysRequest, found: Collection[tuple[dt.date, Metal]], now: dt.datetime
) -> int:
    """Remember the no-data days of a call, of those that are long over; returns how many there are in all.

    An answer without any of several days is not remembered: that may be a defect of the provider's.
    """
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


def _is_open(date: dt.date) -> bool:
    """Return True if the market was open at any time of this day, by UTC."""
    begins = dt.datetime.combine(date, dt.time(), dt.UTC)
    return settings.MARKET_CALENDAR.open_time(begins, begins + _A_DAY) > dt.timedelta(0)


def _bar(date: dt.date, quote: Quote, premiums: PremiumHistory) -> Bar:
    """A provider's day, which is UTC's, as the day of that date in TIME_ZONE, with the premium at its end."""
    end = candle_store.midnight(date + _A_DAY) - INSTANT
    quote = with_premium(quote, {quote.metal: premiums.at(quote.metal, end)})
    figures = day_figures(SpotQuote.of(quote))
    return Bar(
        metal=quote.metal,
        interval=Interval.DAY,
        start=candle_store.midnight(date),
        open=figures.open,
        high=figures.high,
        low=figures.low,
        close=quote.price,
    )
