"""Candles in the database: updated with each publication, in its transaction, and rebuilt from ticks.

Every writer of candles holds the lock of `Head`, so that no tick is added to candles that are being rebuilt.
"""

import datetime as dt
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from operator import attrgetter
from typing import TypeAlias, TypeVar
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import transaction
from django.db.models import Model, Q, QuerySet
from django.utils import timezone

from prices import sql
from prices.domain import candles
from prices.domain.candles import Counted, Interval, ZonedCandle
from prices.domain.quotes import FALLBACK, SIMULATED, Metal, PriceKind, kind_of, shown_kinds
from prices.models import Candle, Head, Price

_Row = TypeVar("_Row", bound=Model)

_KEY = ("metal", "currency", "lane", "interval", "start")
_figures = attrgetter(*candles.FIGURES)
_COLUMNS = (*_KEY, *candles.FIGURES, "source")
# The columns of a tick, and of the start of a candle that holds it.
_TICK = ("metal", "currency", "lane", "close", "last_at", "seq")
_BEGIN = ("metal", "interval", "start")
# A tick is a candle by itself. Each value is sent once for all intervals, as values are a statement's main cost. The
# database merges it with the stored candle, like candles.merged, which saves reading that at each tick.
_COUNT = f"""
WITH tick (metal, currency, lane, price, at, seq) AS (VALUES {{ticks}}),
     begin (metal, interval, start) AS (VALUES {{starts}})
INSERT INTO prices_candle AS had ({", ".join(_COLUMNS)})
SELECT tick.metal, tick.currency, tick.lane, begin.interval, begin.start,
       tick.price, tick.price, tick.price, tick.price, 1, tick.at, tick.at, tick.seq, ''
FROM tick JOIN begin ON begin.metal = tick.metal
WHERE true
ON CONFLICT ({", ".join(_KEY)}) DO UPDATE SET
    open = CASE WHEN excluded.first_at < had.first_at THEN excluded.open ELSE had.open END,
    high = CASE WHEN excluded.high > had.high THEN excluded.high ELSE had.high END,
    low = CASE WHEN excluded.low < had.low THEN excluded.low ELSE had.low END,
    close = CASE WHEN excluded.last_at >= had.last_at THEN excluded.close ELSE had.close END,
    ticks = had.ticks + excluded.ticks,
    first_at = CASE WHEN excluded.first_at < had.first_at THEN excluded.first_at ELSE had.first_at END,
    last_at = CASE WHEN excluded.last_at > had.last_at THEN excluded.last_at ELSE had.last_at END,
    seq = CASE WHEN excluded.seq > had.seq THEN excluded.seq ELSE had.seq END
RETURNING {sql.columns(Candle)}
"""  # noqa: S608  (of names above alone)
# Rows in many short spans of time, by one statement that reads nothing between the spans.
_IN_SPANS = """
WITH span (span_from, span_until) AS (VALUES {spans})
SELECT {columns} FROM span JOIN {table} ON {column} >= span_from AND {column} < span_until
WHERE {which} ORDER BY {column}
"""
_WHERE_ONE_IS = f"ON CONFLICT ({', '.join(_KEY)}) DO"
_IN_ITS_PLACE = "UPDATE SET " + ", ".join(f"{name} = excluded.{name}" for name in (*candles.FIGURES, "source"))
_HAD, _NEW = (", ".join(f"{row}.{name}" for name in candles.FIGURES) for row in ("had", "excluded"))
_DIFFERS = f"({_HAD}) <> ({_NEW})"
# Conditions on a stored candle, `had`, that a new one may replace. Their parameter is `kept_from`: older ticks may be
# gone. While filling in: `had` was filled in too, has no more ticks, and is no minute whose ticks may be gone.
_FILLED_IN = (
    f"had.seq = 0 AND had.source = '' AND had.ticks <= excluded.ticks AND (had.interval <> '{Interval.MINUTE}'"
    " OR had.start >= %s)"
)
# While rebuilding: the ticks of `had` are all kept, or are no more than the new one's.
_OF_TICKS = "had.source = '' AND (had.start >= %s OR had.ticks <= excluded.ticks)"
_HOUR = dt.timedelta(hours=1)
# The market is never closed for so long: an older close is no day's previous one.
_A_WEEK = dt.timedelta(days=7)
LONG_AGO = dt.datetime.min.replace(tzinfo=dt.UTC)


# From a moment until before another.
Span: TypeAlias = tuple[dt.datetime, dt.datetime]


@dataclass(frozen=True, slots=True)
class Series:
    """A metal's candles in one currency and price kind. Fallbacks make none: staff's price is no market's."""

    metal: str
    currency: str
    kind: PriceKind

    @classmethod
    def of(cls, price: Price) -> "Series":
        """The series of a price."""
        return cls(price.metal_id, price.currency, kind_of(price.source))

    def ticks(self, start: dt.datetime, end: dt.datetime) -> QuerySet[Price]:
        """Its stored ticks from `start` until before `end`."""
        others = [FALLBACK, SIMULATED]
        mine = ~Q(source__in=others) if self.kind is PriceKind.LIVE else Q(source=self.kind)
        return Price.objects.filter(mine, metal=self.metal, currency=self.currency, at__gte=start, at__lt=end)

    def kept(self, interval: Interval, start: dt.datetime, end: dt.datetime) -> QuerySet[Candle]:
        """Its candles that begin from `start` until before `end`, oldest first."""
        return self.rows.filter(interval=interval, start__gte=start, start__lt=end).order_by("start")

    def ticks_in(self, spans: Sequence[Span]) -> list[Price]:
        """Its stored ticks in these spans of time, which do not overlap, oldest first."""
        is_live = self.kind is PriceKind.LIVE
        sources = [FALLBACK, SIMULATED] if is_live else [self.kind.value]
        listed = f"{'NOT IN' if is_live else 'IN'} ({', '.join(['%s'] * len(sources))})"
        which = f"metal_id = %s AND currency = %s AND source {listed}"
        values = [("metal", self.metal), ("currency", self.currency), *(("source", source) for source in sources)]
        return _in_spans(Price, "at", spans, which, values)

    def minutes_in(self, spans: Sequence[Span]) -> list[Candle]:
        """Its minute candles that begin in these spans of time, which do not overlap, oldest first."""
        which = "metal = %s AND currency = %s AND lane = %s AND interval = %s"
        return _in_spans(Candle, "start", spans, which, [*self._key, ("interval", Interval.MINUTE.value)])

    def add(self, made: Iterable[candles.Candle], source: str, *, replace: bool) -> int:
        """Write candles that a source gave whole, where there are none or with `replace`; returns how many."""
        return len(self._put(made, source, _IN_ITS_PLACE if replace else "NOTHING"))

    def fill(self, made: Iterable[candles.Candle], *, kept_from: dt.datetime, replace: bool) -> set[dt.datetime]:
        """Write candles of any intervals that were made of filled-in ticks; returns the starts of those written.

        A stored candle that differs is replaced if it was filled in too and has no ticks that the new one lacks, which
        is unknown of a minute before `kept_from`; with `replace`, always.
        """
        if replace:
            return set(self._put(made, "", f"{_IN_ITS_PLACE} WHERE {_DIFFERS}"))
        return set(self._put(made, "", f"{_IN_ITS_PLACE} WHERE {_DIFFERS} AND {_FILLED_IN}", [("start", kept_from)]))

    def rebuild(self, made: Iterable[candles.Candle], *, kept_from: dt.datetime, given_too: bool) -> None:
        """Write candles that were rebuilt from ticks, except over those with ticks that they lack.

        Candles that a source gave whole are replaced only if they are `given_too`.
        """
        given = " OR had.source <> ''" if given_too else ""
        self._put(made, "", f"{_IN_ITS_PLACE} WHERE ({_OF_TICKS}){given}", [("start", kept_from)])

    def _put(
        self, made: Iterable[candles.Candle], source: str, action: str, values: Iterable[tuple[str, object]] = ()
    ) -> list[dt.datetime]:
        key = (self.metal, self.currency, self.kind.value)
        last_word = {(candle.interval, candle.start): candle for candle in made}
        rows = ((*key, candle.interval.value, candle.start, *_figures(candle), source) for candle in last_word.values())
        return sql.insert_many(Candle, _COLUMNS, rows, f"{_WHERE_ONE_IS} {action}", values, returning="start")

    @property
    def rows(self) -> QuerySet[Candle]:
        """All of its candles."""
        return Candle.objects.filter(**dict(self._key))

    @property
    def _key(self) -> list[tuple[str, object]]:
        return [("metal", self.metal), ("currency", self.currency), ("lane", self.kind.value)]

    def nearest(self, at: dt.datetime) -> candles.Candle | None:
        """Its candle, of any interval, that begins nearest to a moment."""
        found = [
            row.value()
            for interval in Interval  # each has the index to itself
            for row in (
                self.rows.filter(interval=interval, start__lte=at).order_by("-start").first(),
                self.rows.filter(interval=interval, start__gte=at).order_by("start").first(),
            )
            if row
        ]
        return min(found, key=lambda candle: abs(candle.start - at), default=None)

    def row(self, candle: candles.Candle, source: str = "") -> Candle:
        """One of its candles as a database row."""
        figures = {name: getattr(candle, name) for name in candles.FIGURES}
        return Candle(**dict(self._key), interval=candle.interval, start=candle.start, source=source, **figures)


def zone() -> ZoneInfo:
    """The time zone of day candles."""
    return ZoneInfo(settings.TIME_ZONE)


def midnight(date: dt.date) -> dt.datetime:
    """The beginning of a day in that zone."""
    local = zone()
    return Interval.DAY.start(dt.datetime.combine(date, dt.time(12), local), local)


def kept_from(now: dt.datetime) -> dt.datetime:
    """The moment from which all ticks are kept; LONG_AGO if they are kept for good.

    It is the beginning of a day: retention deletes whole days, so that no candle keeps a part of its ticks.
    """
    if settings.TICKS_KEPT_FOR is None:
        return LONG_AGO
    return Interval.DAY.start(now - settings.TICKS_KEPT_FOR, zone())


def oldest(series: Series) -> dt.datetime | None:
    """The moment of a series' oldest tick or minute; None if it has none."""
    any_time = (LONG_AGO, dt.datetime.max.replace(tzinfo=dt.UTC))
    tick = series.ticks(*any_time).order_by("at").values_list("at", flat=True).first()
    minute = series.kept(Interval.MINUTE, *any_time).values_list("start", flat=True).first()
    return min((at for at in (tick, minute) if at), default=None)


def last_day_before(series: Series, at: dt.datetime) -> candles.Candle | None:
    """A series' last day candle before the day of `at`; None where it is more than a week older."""
    today = Interval.DAY.start(at, zone())
    row = series.kept(Interval.DAY, today - _A_WEEK, today).last()
    return row.value() if row else None


def holding(series: Series, at: dt.datetime) -> tuple[Interval, Candle] | None:
    """The shortest kept candle that holds a moment, with its interval."""
    for interval in Interval:
        start = interval.start(at, zone())
        if candle := series.kept(interval, start, interval.end(start, zone())).first():
            return interval, candle
    return None


def counted(price: Price) -> Counted:
    """A price as candles count it."""
    return Counted(at=price.at, source=price.source, price=price.price, order=price.pk, seq=price.seq or 0)


def take(prices: Iterable[Price], *, corrected: Collection[str] = ()) -> list[Candle]:
    """Count new prices, one a metal, in the candles of all intervals; returns these candles as they are now.

    For metals in `corrected` the moment may have a tick already: their candles are rebuilt, as merging cannot remove a
    high that was a slip.
    """
    local = zone()
    new: list[Price] = []
    remade: list[Candle] = []
    for price in prices:
        series = Series.of(price)
        if series.kind is PriceKind.FALLBACK:
            continue
        if price.metal_id in corrected:
            remade += _recounted(series, price.at, local)
        else:
            new.append(price)
    put(remade)
    return _count(new, local) + remade


def _count(prices: Sequence[Price], local: ZoneInfo) -> list[Candle]:
    """Add ticks, one a metal, to their candles."""
    if not prices:
        return []
    ticks = [
        (price.metal_id, price.currency, kind_of(price.source).value, price.price, price.at, price.seq or 0)
        for price in prices
    ]
    starts = [
        (price.metal_id, interval.value, interval.start(price.at, local)) for price in prices for interval in Interval
    ]
    statement = _COUNT.format(ticks=sql.places(len(ticks), len(_TICK)), starts=sql.places(len(starts), len(_BEGIN)))
    values = [
        *(named for tick in ticks for named in zip(_TICK, tick, strict=True)),
        *(named for start in starts for named in zip(_BEGIN, start, strict=True)),
    ]
    return sql.run(Candle, statement, values)


def by_metal(rows: Iterable[Candle]) -> dict[Metal, list[ZonedCandle]]:
    """Rows as candles, by metal."""
    local = zone()
    found: dict[Metal, list[ZonedCandle]] = {}
    for row in rows:
        found.setdefault(Metal(row.metal), []).append(ZonedCandle.of(row.value(), local))
    return found


def changed_since(seq: int, start: dt.datetime) -> list[Candle]:
    """The shown candles with ticks after `seq`, all of which were at `start` or later."""
    local = zone()
    begins = Q(
        *(Q(interval=interval, start__gte=interval.start(start, local)) for interval in Interval), _connector=Q.OR
    )
    kinds = shown_kinds(settings.PRICE_PROVIDERS)
    return list(Candle.objects.filter(begins, currency=settings.BASE_CURRENCY, lane__in=kinds, seq__gt=seq))


def put(rows: Sequence[Candle]) -> None:
    """Write candles, over any stored ones."""
    Candle.objects.bulk_create(
        rows,
        batch_size=sql.MOST_ROWS,
        update_conflicts=True,
        unique_fields=_KEY,
        update_fields=[*candles.FIGURES, "source"],
    )


def _in_spans(
    model: type[_Row], column: str, spans: Sequence[Span], which: str, values: Sequence[tuple[str, object]]
) -> list[_Row]:
    """Rows of a model whose time in `column` lies in one of these spans, oldest first."""
    found: list[_Row] = []
    for some in sql.parts(spans):
        statement = _IN_SPANS.format(
            spans=sql.places(len(some), 2),
            columns=sql.columns(model),
            table=model._meta.db_table,
            column=column,
            which=which,
        )
        found += sql.run(model, statement, [*((column, at) for span in some for at in span), *values])
    return found


def rebuild(series: Series, start: dt.datetime, end: dt.datetime, *, given_too: bool = False) -> Iterator[dt.datetime]:
    """Rebuild the candles of whole days, from the day of `start` to the day of `end`; yields the end of each day.

    Minutes are made of ticks, if there are any (older ones may be gone), and longer candles of minutes; no candle is
    made of only a part of its ticks. Candles that a source gave whole stay, unless they are `given_too`. Publications
    go on meanwhile: each step is a short transaction.
    """
    local = zone()
    end = Interval.DAY.end(Interval.DAY.start(end, local), local)
    day = Interval.DAY.start(start, local)
    first_kept = kept_from(timezone.now())
    while day < end:
        next_day = Interval.DAY.end(day, local)
        hour = day
        while hour < next_day:
            until = min(hour + _HOUR, next_day)
            with transaction.atomic():
                Head.locked()
                ticks = candles.effective(counted(price) for price in series.ticks(hour, until).order_by())
                minutes = candles.fold(ticks, Interval.MINUTE, local)
                series.rebuild(minutes, kept_from=first_kept, given_too=given_too)
            hour = until
        with transaction.atomic():
            Head.locked()
            longer = _longer_candles(series, day, next_day, local)
            series.rebuild(longer, kept_from=first_kept, given_too=given_too)
        yield next_day
        day = next_day


def _recounted(series: Series, at: dt.datetime, local: ZoneInfo) -> list[Candle]:
    """Rebuild the candles of a moment: the minute from its ticks, longer ones from minutes."""
    spans = {interval: (start := interval.start(at, local), interval.end(start, local)) for interval in Interval}
    given = _given(series, {interval: start for interval, (start, _) in spans.items()})
    minute, minute_ends = spans.pop(Interval.MINUTE)
    ticks = [counted(price) for price in series.ticks(minute, minute_ends).order_by()]
    lasting = candles.effective(ticks)
    slips = {tick.price for tick in ticks} - {tick.price for tick in lasting}

    def row(candle: candles.Candle) -> Candle:
        had = given.get(candle.interval)
        return series.row(_with_ticks(had.value(), candle, slips), had.source) if had else series.row(candle)

    made = [row(candle) for candle in candles.fold(lasting, Interval.MINUTE, local)]
    begin, end = min(start for start, _ in spans.values()), max(end for _, end in spans.values())
    others = series.kept(Interval.MINUTE, begin, end).exclude(start=minute)
    minutes = sorted((each.value() for each in (*made, *others)), key=lambda candle: candle.start)
    for interval, (start, until) in spans.items():
        made.append(row(candles.widened([each for each in minutes if start <= each.start < until], interval, start)))
    return made


def _given(series: Series, starts: Mapping[Interval, dt.datetime]) -> dict[str, Candle]:
    """The candles at these starts that a source gave whole, by interval."""
    places = Q(*(Q(interval=interval, start=start) for interval, start in starts.items()), _connector=Q.OR)
    return {row.interval: row for row in series.rows.filter(places).exclude(source="")}


def _with_ticks(given: candles.Candle, ticks: candles.Candle, slips: Collection[Decimal]) -> candles.Candle:
    """A candle that a source gave whole, merged with its `ticks`, and without the `slips` among them.

    The given high or low is no longer known if a slip went beyond it.
    """
    without = replace(
        given,
        high=given.open if given.high in slips else given.high,
        low=given.open if given.low in slips else given.low,
        ticks=0,
    )
    return candles.merged(without, ticks)


def _longer_candles(series: Series, start: dt.datetime, end: dt.datetime, local: ZoneInfo) -> list[candles.Candle]:
    """Make the candles longer than a minute that overlap a day, an hour across its midnight included.

    Deletes stored ones that have no minutes: they were made for another time zone.
    """
    begin = start - _HOUR
    minutes = [row.value() for row in series.kept(Interval.MINUTE, begin, end + _HOUR)]
    found: list[candles.Candle] = []
    for interval in Interval:
        if interval is Interval.MINUTE:
            continue
        whole = [
            candle
            for candle in candles.longer(minutes, interval, local)
            if begin <= candle.start and start < interval.end(candle.start, local) <= end + _HOUR
        ]
        lasting = [candle.start for candle in whole]
        series.kept(interval, start, end).filter(source="").exclude(start__in=lasting).delete()
        found += whole
    return found
