"""The only writer of ticks: quotes in, one transaction, one publication after its commit.

Ticks are written one at a time (a row lock; SQLite's write lock), so that their numbers rise without a gap in the order
in which they become visible, and "the price before" means the same to everyone.
"""

import datetime as dt
import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Greatest

from infra import clock
from prices import schedule, sql
from prices.domain.changes import significant_change
from prices.domain.consensus import Agreement
from prices.domain.days import Day, following
from prices.domain.quotes import Change, DayFigures, Metal, PriceKind, Publication, Quote, shown_kinds
from prices.domain.succession import Arrival, Last, Order, effective_from, order, repeats
from prices.history import candle_store, partitions
from prices.models import (
    Configuration,
    FallbackPrice,
    Head,
    HeldPrice,
    LatestPrice,
    ListedMetal,
    Premium,
    Price,
    SignificantChange,
)
from prices.premiums import before_premium, is_under_another, premium_on, restated, spot_quote, with_premium
from prices.publishing import confirmations
from prices.publishing.quarantine import Validator
from prices.sanity_bands import bands
from streaming import publish

logger = logging.getLogger(__name__)

# What a row of the latest prices has from the price: all but whose it is.
_PUBLISHED = [field.name for field in Price._meta.fields if field.name not in ("id", "metal")]
_IN_ITS_PLACE = "ON CONFLICT (metal_id, lane, currency) DO UPDATE SET " + ", ".join(
    f"{name} = excluded.{name}" for name in (*_PUBLISHED, "confirmed_at", "confirmed_by", "refresh", "trading_day")
)


def record(quotes: Iterable[Quote], *, now: dt.datetime) -> Publication | None:
    """Write the quotes that are new as one tick, publish it when committed, and return it; None when nothing is new.

    A repeated quote only confirms that its source is alive. One older than the lane's latest is not news.
    """
    with _one_at_a_time(now) as writer:
        return writer.write(writer.candidates(quotes))


def reload() -> None:
    """Make every web process read the database again: what is listed, or how long a quote is fresh, has changed.

    To be called after the commit.
    """
    publish.reload()


def offer(quotes: Iterable[Quote], *, now: dt.datetime, refresh: int | None = None) -> set[Metal]:
    """Write the quotes that can be believed, as `record` does, and quarantine the others, whose metals it returns.

    `refresh` is the number of the refresh that they came in, which says whether they are newer than other sources';
    without it their own times do.
    """
    with _one_at_a_time(now, refresh) as writer:
        validator = writer.validator()
        offered = writer.candidates(quotes)
        believed = [each for each in offered if each.quote.kind is not PriceKind.LIVE or validator.accepts(each.quote)]
        writer.write(believed)
        return {each.quote.metal for each in offered if each not in believed}


def offer_agreements(agreements: Iterable[Agreement], *, now: dt.datetime, refresh: int) -> None:
    """Write what sources agree on in a refresh and can be believed; hold the rest of what is final."""
    with _one_at_a_time(now, refresh) as writer:
        validator = writer.validator()
        agreed = {found.quote: found for found in agreements if found.quote}
        offered = writer.candidates(agreed)
        writer.write([each for each in offered if validator.accepts_agreement(agreed[each.quote], each.quote)])


def quarantine_disagreement(quotes: Sequence[Quote], *, now: dt.datetime, refresh: int) -> None:
    """Record what the sources of one metal say that do not agree: staff may decide between them."""
    with _one_at_a_time(now, refresh) as writer:
        writer.validator().quarantine_disagreement([each.quote for each in writer.candidates(quotes)])


def decide(held_id: int, *, approve: bool, by: str, now: dt.datetime) -> Publication | None:
    """Staff's word on a price that is held: publish it, or not. Raises ValueError where it was decided meanwhile, or
    where it cannot be shown: a newer price is out, the currency or the metal is no longer shown.
    """
    with _one_at_a_time(now) as writer:
        held = HeldPrice.objects.select_for_update().get(pk=held_id)
        if held.decision != HeldPrice.Decision.PENDING:
            raise ValueError(f"it was {held.decision} by {held.decided_by} already")
        if not approve:
            held.decide(HeldPrice.Decision.REJECTED, by=by, at=now)
            return None
        if held.currency != settings.BASE_CURRENCY:
            raise ValueError(f"it is in {held.currency}, and prices are shown in {settings.BASE_CURRENCY} now")
        if held.metal_id not in writer.listed:
            raise ValueError("the metal is switched off")
        writer.refresh = held.refresh
        if not (approved := writer.candidates([held.quote()])):
            raise ValueError("a newer price of this metal is out")
        held.decide(HeldPrice.Decision.APPROVED, by=by, at=now)
        # Staff have said which of the metal's prices is right.
        for other in HeldPrice.pending().filter(metal=held.metal_id, currency=held.currency):
            other.decide(HeldPrice.Decision.SUPERSEDED, by=by, at=now)
        return writer.write(approved)


def apply_premiums(*, now: dt.datetime) -> Publication | None:
    """Publish the shown prices once more where the premium in force at `now` is not the one that they went out with.

    That confirms no source. It may be called at any time by any process; where nothing has changed it takes no lock.
    """
    if not _Writer(Head(), now).under_other_premiums():
        return None
    with _one_at_a_time(now) as writer:
        return writer.write(writer.under_other_premiums(), confirms=False)


def fall_back_where_due(*, now: dt.datetime, unpriced_only: bool = False) -> Publication | None:
    """Publish staff's price of each metal that no source has confirmed for `FALLBACK_AFTER`, or ever.

    Time in which nobody was to ask, since the market is closed, does not count.

    With `unpriced_only`, of those alone that no source has ever confirmed: after a night switched off, the last live
    price is shown until the sources were asked.

    Idempotent: what is already shown is not published again, so it may be called at any time by any process, and
    after each edit of a fallback price.
    """
    with _one_at_a_time(now) as writer:
        return writer.write(writer.fallbacks_due(unpriced_only))


@contextmanager
def _one_at_a_time(now: dt.datetime, refresh: int | None = None) -> Iterator["_Writer"]:
    with transaction.atomic():
        yield _Writer(Head.locked(), now, refresh)


@dataclass(frozen=True, slots=True, eq=False)
class _Candidate:
    """A quote that may be published, before any premium of ours, and where its lane stands: last price and day."""

    quote: Quote
    row: LatestPrice | None
    last: Last | None
    day: Day | None


@dataclass(frozen=True, slots=True, eq=False)
class _Outgoing:
    """A candidate as it goes out: with any premium; from when on it is the price; its day, under that and at spot."""

    candidate: _Candidate
    quote: Quote
    at: dt.datetime
    figures: DayFigures
    day: Day | None


class _Writer:
    """Publication writer: where every metal stands at `now`, for one transaction that holds the lock.

    `refresh` is the number of the refresh that brings what is written; None where none does.
    """

    def __init__(self, head: Head, now: dt.datetime, refresh: int | None = None) -> None:
        self.head = head
        self.now = now
        self.refresh = refresh
        self.configuration = Configuration.load()
        self.premiums = Premium.multipliers(now)
        self.kinds = shown_kinds(settings.PRICE_PROVIDERS)
        self.listed = ListedMetal.metals()
        self.latest: dict[tuple[str, str], LatestPrice] = {
            (latest.metal_id, latest.lane): latest
            for latest in sql.rows(LatestPrice, "WHERE currency = %s", [("currency", settings.BASE_CURRENCY)])
        }

    def validator(self) -> Validator:
        """Who says which quotes can be believed."""
        return Validator(
            last=self._last_live,
            bands=bands(settings.BASE_CURRENCY),
            max_jump_percent=self.configuration.jump_percent,
            now=self.now,
            refresh=self._arrival.counts_as,
        )

    @property
    def _arrival(self) -> Arrival:
        return Arrival(self.now, self.refresh, self.head.refreshes)

    def _last_live(self, metal: Metal) -> Quote | None:
        live = self.latest.get((metal, PriceKind.LIVE))
        return before_premium(live.quote()) if live else None

    # --- what may be published ---------------------------------------------------------------------------------------

    def candidates(self, quotes: Iterable[Quote]) -> list[_Candidate]:
        """The quotes of listed metals that are not older than the last of their lane."""
        offered = (self._candidate(quote) for quote in quotes if quote.metal in self.listed)
        return [each for each in offered if self._is_next(each)]

    def under_other_premiums(self) -> list[_Candidate]:
        """The quotes that are shown with another premium than the one in force."""
        shown = [latest.quote() for metal in self.listed if (latest := self._shown(metal))]
        return [self._candidate(quote.at_spot()) for quote in shown if is_under_another(quote, self.premiums)]

    def fallbacks_due(self, unpriced_only: bool) -> list[_Candidate]:
        """Staff's price of each metal that no source has confirmed for long enough, or ever."""
        confirmed, every = confirmations.unconfirmed_since(self.now), schedule.interval()
        return [
            self._candidate(fallback.quote())
            for fallback in FallbackPrice.objects.filter(currency=settings.BASE_CURRENCY, metal__in=self.listed)
            if (at := confirmed.get(fallback.metal_id)) is None
            or (not unpriced_only and self._is_due_after(at, Metal(fallback.metal_id), every))
        ]

    def _candidate(self, quote: Quote) -> _Candidate:
        row = self.latest.get((quote.metal, quote.kind))
        if row is None:
            return _Candidate(quote, None, None, None)
        return _Candidate(quote, row, row.last(), Day.read(row.trading_day) if row.trading_day else None)

    def _is_next(self, candidate: _Candidate) -> bool:
        """Whether its lane has nothing newer; logged where it has."""
        quote, last = candidate.quote, candidate.last
        match order(quote, last, self._arrival, has_newer=lambda: self._has_newer(quote)):
            case Order.SUPERSEDED:
                logger.info(
                    "%s gave %s a price in a refresh that a later one has superseded", quote.source, quote.metal
                )
            case Order.OLDER:
                assert last is not None
                logger.warning(
                    "%s gives %s an older quote, of %s; that of %s stays",
                    quote.source,
                    quote.metal,
                    f"{quote.quoted_at:%Y-%m-%dT%H:%M:%SZ}",
                    f"{last.quote.quoted_at:%Y-%m-%dT%H:%M:%SZ}",
                )
            case Order.NEXT:
                return True
        return False

    def _has_newer(self, quote: Quote) -> bool:
        """Whether the quote's source has given a newer one."""
        of_source = Price.objects.filter(metal=quote.metal, currency=quote.currency, source=quote.source)
        # A price is never from earlier on than when it was quoted: so the index ends the search.
        return of_source.filter(at__gt=quote.quoted_at, quoted_at__gt=quote.quoted_at).exists()

    def _shown(self, metal: Metal) -> LatestPrice | None:
        """The price that screens show: the one that was published last, of all lanes that are shown here."""
        prices = [latest for (name, kind), latest in self.latest.items() if name == metal and kind in self.kinds]
        return max(prices, key=lambda latest: latest.seq or 0, default=None)

    def _is_due_after(self, confirmed_at: dt.datetime, metal: Metal, every: dt.timedelta) -> bool:
        """Whether staff's price of a metal is due that no source has confirmed since."""
        shown = self._shown(metal)
        if shown is not None and shown.lane == PriceKind.FALLBACK:
            return True  # no source has spoken since it went out, however long ago that seems now
        return self.now - schedule.fetched_again(confirmed_at, every) >= settings.FALLBACK_AFTER

    # --- publishing it -----------------------------------------------------------------------------------------------

    def write(self, candidates: Iterable[_Candidate], *, confirms: bool = True) -> Publication | None:
        """Write what is new, and publish it when committed; `confirms`: it is what sources, or staff, say now."""
        outgoing = [self._outgoing(each, confirms=confirms) for each in candidates]
        news = [each for each in outgoing if not self._is_shown(each)]
        if confirms:
            self._confirm([each.candidate for each in outgoing if each not in news])
        if not news:
            return None
        self._advance()
        published = self._store(news, confirms=confirms)
        transaction.on_commit(partial(publish.publication, published))
        return published

    def _outgoing(self, candidate: _Candidate, *, confirms: bool) -> _Outgoing:
        """A candidate as it would go out. Where it `confirms` nothing, it is the last one again: its day has it."""
        quote, last, day = candidate.quote, candidate.last, candidate.day
        outgoing = with_premium(quote, self.premiums)
        if quote.kind is PriceKind.FALLBACK:
            # Staff's prices make no trading day: a slip that was mended would be its high, and a seed its close.
            price = quote.price
            figures = DayFigures(open=price, high=price, low=price, previous_close=None)
            return _Outgoing(candidate, outgoing, self.now, figures, None)
        at = self._effective_from(quote, last) if confirms else self.now
        if confirms or day is None:
            # A correction is of the quote's own moment, though a premium may have gone out since.
            moment = day.at if day and last and repeats(quote, last, self._arrival) else at
            day = following(day, spot_quote(quote), moment, candle_store.zone())
        return _Outgoing(candidate, outgoing, at, day.figures.with_premium(premium_on(quote, self.premiums)), day)

    def _effective_from(self, quote: Quote, last: Last | None) -> dt.datetime:
        return effective_from(
            quote,
            last,
            self._arrival,
            is_under_another_premium=last is not None and is_under_another(last.quote, self.premiums),
            is_market_open=quote.kind is PriceKind.SIMULATED or settings.MARKET_CALENDAR.is_open(self.now),
        )

    def _is_shown(self, outgoing: _Outgoing) -> bool:
        """Whether this very quote is on the screens now."""
        row, last, before = outgoing.candidate.row, outgoing.candidate.last, outgoing.candidate.day
        if row is None or last is None or row != self._shown(outgoing.quote.metal):
            return False
        if last.quote != outgoing.quote.without_figures() or row.day() != outgoing.figures:
            return False
        # What a small premium rounds away would come out under the next one.
        return (before and before.figures) == (outgoing.day and outgoing.day.figures)

    def _confirm(self, candidates: Iterable[_Candidate]) -> None:
        repeated = [each.row.pk for each in candidates if each.row]
        if repeated:
            confirmed = LatestPrice.objects.filter(pk__in=repeated)
            newest = Greatest("refresh", self._arrival.counts_as)
            confirmed.update(confirmed_at=self.now, confirmed_by=clock.mark(), refresh=newest)

    def _advance(self) -> None:
        """Take the next number of the stream."""
        self.head.seq += 1
        moved_on = [("seq", self.head.seq), ("published_at", self.now)]
        sql.run(Head, "UPDATE prices_head SET seq = %s, published_at = %s", moved_on)

    def _store(self, news: Sequence[_Outgoing], *, confirms: bool) -> Publication:
        prices = [self._price(each) for each in news]
        partitions.ensure(price.at for price in prices)
        sql.insert(prices)
        moved = [(each.quote, change) for each in news if (change := self._change(each))]
        sql.insert([self._move(quote, change) for quote, change in moved])
        # A moment that has a tick already is that of a correction: nothing else comes again at the same.
        corrected = {each.quote.metal for each in news if each.candidate.last and each.candidate.last.at == each.at}
        candles = candle_store.take(prices, corrected=corrected)
        latest = [self._latest(price, each, confirms=confirms) for price, each in zip(prices, news, strict=True)]
        sql.insert(latest, _IN_ITS_PLACE)
        return Publication(
            epoch=self.head.epoch,
            seq=self.head.seq,
            published_at=self.now,
            quotes=tuple(price.published() for price in prices),
            changes=tuple(change for _, change in moved),
            candles=candle_store.by_metal(candles),
        )

    def _change(self, outgoing: _Outgoing) -> Change | None:
        """The move within the quote's own lane: that a fallback is shown, or no longer, moves no market."""
        quote, last = outgoing.quote, outgoing.candidate.last
        if last is None:
            return None
        # Under the premium that this one goes out with: a change of premium moves no market.
        then = restated(last.quote, quote, self.premiums).price
        return significant_change(quote.metal, then, quote.price, threshold=self.configuration.threshold_percent)

    def _move(self, quote: Quote, change: Change) -> SignificantChange:
        return SignificantChange(
            seq=self.head.seq,
            published_at=self.now,
            metal_id=change.metal,
            currency=quote.currency,
            lane=quote.kind,
            old_price=change.old_price,
            new_price=change.new_price,
            change_percent=change.change_percent,
        )

    def _price(self, outgoing: _Outgoing) -> Price:
        quote, figures = outgoing.quote, outgoing.figures
        return Price(
            seq=self.head.seq,
            published_at=self.now,
            at=outgoing.at,
            metal_id=quote.metal,
            currency=quote.currency,
            price=quote.price,
            bid=quote.bid,
            ask=quote.ask,
            open=figures.open,
            high=figures.high,
            low=figures.low,
            previous_close=figures.previous_close,
            spot=quote.spot,
            source=quote.source,
            quoted_at=quote.quoted_at,
            example=quote.example,
        )

    def _latest(self, price: Price, outgoing: _Outgoing, *, confirms: bool) -> LatestPrice:
        row, day = outgoing.candidate.row, outgoing.day
        if confirms or row is None:
            at, by, refresh = self.now, clock.mark(), max(self._arrival.counts_as, row.refresh if row else 0)
        else:
            at, by, refresh = row.confirmed_at, row.confirmed_by, row.refresh
        return LatestPrice(
            metal_id=price.metal_id,
            lane=outgoing.quote.kind,
            confirmed_at=at,
            confirmed_by=by,
            refresh=refresh,
            trading_day=day.stored() if day else None,
            **{name: getattr(price, name) for name in _PUBLISHED},
        )
