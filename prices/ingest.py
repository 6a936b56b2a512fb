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

from prices import confirmations, history, partitions, schedule, statements
from prices.changes import significant_change
from prices.consensus import CONSENSUS, Agreement
from prices.days import Day, following
from prices.holding import Judge, bands
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
from prices.quotes import (
    Change,
    DayFigures,
    Lane,
    Metal,
    PublishedTick,
    Quote,
    lane_of,
    shown_lanes,
)
from streaming import publish
from swarna import clock

logger = logging.getLogger(__name__)

# Prices' moments are in the order of their ticks. One that lies further ahead is by a clock that was wrong.
_MOST_AHEAD = dt.timedelta(minutes=5)
# What a row of the latest prices has from the price: all but whose it is.
_PUBLISHED = [field.name for field in Price._meta.fields if field.name not in ("id", "metal")]
_IN_ITS_PLACE = "ON CONFLICT (metal_id, lane, currency) DO UPDATE SET " + ", ".join(
    f"{name} = excluded.{name}" for name in (*_PUBLISHED, "confirmed_at", "confirmed_by", "refresh", "trading_day")
)


def record(quotes: Iterable[Quote], *, now: dt.datetime) -> PublishedTick | None:
    """Write the quotes that are new as one tick, publish it when committed, and return it; None when nothing is new.

    A repeated quote only confirms that its source is alive. One older than the lane's latest is not news.
    """
    with _one_at_a_time(now) as ledger:
        return ledger.write(ledger.in_time(quotes))


def offer(quotes: Iterable[Quote], *, now: dt.datetime, refresh: int | None = None) -> set[Metal]:
    """Write the quotes that can be believed, as `record` does, and hold the others (prices/holding.py), whose metals it
    returns.

    `refresh` is the number of the refresh that they came in, which says whether they are newer than other sources';
    without it their own times do.
    """
    with _one_at_a_time(now, refresh) as ledger:
        judge = ledger.judge()
        offered = list(ledger.in_time(quotes))
        believed = [quote for quote in offered if quote.lane is not Lane.LIVE or judge.admits(quote)]
        ledger.write(believed)
        return {quote.metal for quote in offered if quote not in believed}


def offer_agreements(agreements: Iterable[Agreement], *, now: dt.datetime, refresh: int) -> None:
    """Write what sources agree on in a refresh and can be believed; hold the rest of what is final."""
    with _one_at_a_time(now, refresh) as ledger:
        judge = ledger.judge()
        agreed = {found.quote: found for found in agreements if found.quote}
        ledger.write([quote for quote in ledger.in_time(agreed) if judge.admits_agreement(agreed[quote], quote)])


def hold_for_disagreement(quotes: Sequence[Quote], *, now: dt.datetime, refresh: int) -> None:
    """Record what the sources of one metal say that do not agree: staff may decide between them."""
    with _one_at_a_time(now, refresh) as ledger:
        ledger.judge().hold_for_disagreement(list(ledger.in_time(quotes)))


def decide(held_id: int, *, approve: bool, by: str, now: dt.datetime) -> PublishedTick | None:
    """Staff's word on a price that is held: publish it, or not. Raises ValueError where it was decided meanwhile, or
    where it cannot be shown: a newer price is out, the currency or the metal is no longer shown.
    """
    with _one_at_a_time(now) as ledger:
        held = HeldPrice.objects.select_for_update().get(pk=held_id)
        if held.decision != HeldPrice.Decision.PENDING:
            raise ValueError(f"it was {held.decision} by {held.decided_by} already")
        if not approve:
            held.decide(HeldPrice.Decision.REJECTED, by=by, at=now)
            return None
        if held.currency != settings.BASE_CURRENCY:
            raise ValueError(f"it is in {held.currency}, and prices are shown in {settings.BASE_CURRENCY} now")
        if held.metal_id not in ledger.listed:
            raise ValueError("the metal is switched off")
        ledger.refresh = held.refresh
        if not list(ledger.in_time([held.quote()])):
            raise ValueError("a newer price of this metal is out")
        held.decide(HeldPrice.Decision.APPROVED, by=by, at=now)
        # Staff have said which of the metal's prices is right.
        for other in HeldPrice.pending().filter(metal=held.metal_id, currency=held.currency):
            other.decide(HeldPrice.Decision.OVERTAKEN, by=by, at=now)
        return ledger.write([held.quote()])


def apply_premiums(*, now: dt.datetime) -> PublishedTick | None:
    """Publish the shown prices once more where the premium in force at `now` is not the one that they went out with.

    That confirms no source. It may be called at any time by any process; where nothing has changed it takes no lock.
    """
    if not _Ledger(Head(), now).under_other_premiums():
        return None
    with _one_at_a_time(now) as ledger:
        return ledger.write(ledger.under_other_premiums(), confirms=False)


def fall_back_where_due(*, now: dt.datetime, unpriced_only: bool = False) -> PublishedTick | None:
    """Publish staff's price of each metal that no source has confirmed for `FALLBACK_AFTER`, or ever.

    Time in which nobody was to ask, since the market is closed, does not count.

    With `unpriced_only`, of those alone that no source has ever confirmed: after a night switched off, the last live
    price is shown until the sources were asked.

    Idempotent: what is already shown is not published again, so it may be called at any time by any process, and
    after each edit of a fallback price.
    """
    with _one_at_a_time(now) as ledger:
        return ledger.write(ledger.fallbacks_due(unpriced_only))


@contextmanager
def _one_at_a_time(now: dt.datetime, refresh: int | None = None) -> Iterator["_Ledger"]:
    with transaction.atomic():
        yield _Ledger(Head.locked(), now, refresh)


@dataclass(frozen=True, slots=True)
class _Outgoing:
    """A quote as it goes out, with any premium on it; from when on it is the price; the day, under it and at spot."""

    quote: Quote
    at: dt.datetime
    figures: DayFigures
    day: Day | None


class _Ledger:
    """Where every metal stands at `now`, for the length of one transaction that holds the lock.

    `refresh` is the number of the refresh that brings what is written; None where none does.
    """

    def __init__(self, head: Head, now: dt.datetime, refresh: int | None = None) -> None:
        self.head = head
        self.now = now
        self.refresh = refresh
        self.configuration = Configuration.load()
        self.premiums = Premium.in_force(now)
        self.lanes = shown_lanes(settings.PRICE_PROVIDERS)
        self.listed = ListedMetal.metals()
        self.latest: dict[tuple[str, str], LatestPrice] = {
            (latest.metal_id, latest.lane): latest
            for latest in statements.rows(LatestPrice, "WHERE currency = %s", [("currency", settings.BASE_CURRENCY)])
        }

    def judge(self) -> Judge:
        """Who says which quotes can be believed."""
        return Judge(
            last=self._last_live,
            bands=bands(settings.BASE_CURRENCY),
            max_jump_percent=self.configuration.jump_percent,
            now=self.now,
            refresh=self._number,
        )

    @property
    def _number(self) -> int:
        """The refresh that counts as the one which brings what is written: without one, the newest."""
        return self.head.refreshes if self.refresh is None else self.refresh

    def _last_live(self, metal: Metal) -> Quote | None:
        live = self.latest.get((metal, Lane.LIVE))
        return before_premium(live.quote()) if live else None

    def under_other_premiums(self) -> list[Quote]:
        """The quotes that are shown with another premium than the one in force, before any."""
        shown = [latest.quote() for metal in self.listed if (latest := self.in_force(metal))]
        return [quote.at_spot() for quote in shown if is_under_another(quote, self.premiums)]

    def in_force(self, metal: Metal) -> LatestPrice | None:
        """The price that screens show: the one that was published last, of all lanes that are shown here."""
        prices = [latest for (name, lane), latest in self.latest.items() if name == metal and lane in self.lanes]
        return max(prices, key=lambda latest: latest.seq or 0, default=None)

    def fallbacks_due(self, unpriced_only: bool) -> list[Quote]:
        """Staff's price of each metal that no source has confirmed for long enough, or ever."""
        confirmed, every = confirmations.unconfirmed_since(self.now), schedule.interval()
        return [
            fallback.quote()
            for fallback in FallbackPrice.objects.filter(currency=settings.BASE_CURRENCY, metal__in=self.listed)
            if (at := confirmed.get(fallback.metal_id)) is None
            or (not unpriced_only and self._is_due_after(at, Metal(fallback.metal_id), every))
        ]

    def _is_due_after(self, confirmed_at: dt.datetime, metal: Metal, every: dt.timedelta) -> bool:
        """Whether staff's price of a metal is due that no source has confirmed since."""
        shown = self.in_force(metal)
        if shown is not None and shown.lane == Lane.FALLBACK:
            return True  # no source has spoken since it went out, however long ago that seems now
        return self.now - schedule.asked_again(confirmed_at, every) >= settings.FALLBACK_AFTER

    def write(self, quotes: Iterable[Quote], *, confirms: bool = True) -> PublishedTick | None:
        """Write and publish what is new of spot quotes that are in time; `confirms`: they are what sources say now."""
        outgoing = [self._outgoing(quote, confirms=confirms) for quote in quotes]
        news = [each for each in outgoing if not self._is_shown(each)]
        if confirms:
            self._confirm([each.quote for each in outgoing if each not in news])
        if not news:
            return None
        self.head.seq += 1
        moved_on = [("seq", self.head.seq), ("published_at", self.now)]
        statements.run(Head, "UPDATE prices_head SET seq = %s, published_at = %s", moved_on)
        moved = [(each.quote, change) for each in news if (change := self._change(each.quote))]
        rows = [self._row(each) for each in news]
        partitions.ensure(row.at for row in rows)
        statements.insert(rows)
        SignificantChange.objects.bulk_create(
            SignificantChange(
                seq=self.head.seq,
                published_at=self.now,
                metal_id=change.metal,
                currency=quote.currency,
                lane=quote.lane,
                old_price=change.old_price,
                new_price=change.new_price,
                change_percent=change.change_percent,
            )
            for quote, change in moved
        )
        # A moment that has a tick already is that of a correction: nothing else comes again at the same.
        corrected = {
            row.metal_id
            for row in rows
            if (last := self.latest.get((row.metal_id, lane_of(row.source)))) and last.at == row.at
        }
        candles = history.take(rows, corrected=corrected)
        latest = [self._latest(row, each.day, confirms=confirms) for row, each in zip(rows, news, strict=True)]
        statements.insert(latest, _IN_ITS_PLACE)
        result = PublishedTick(
            epoch=self.head.epoch,
            seq=self.head.seq,
            published_at=self.now,
            quotes=tuple(row.published() for row in rows),
            changes=tuple(change for _, change in moved),
            candles=history.by_metal(candles),
        )
        transaction.on_commit(partial(publish.tick, result))
        return result

    def in_time(self, quotes: Iterable[Quote]) -> Iterator[Quote]:
        """The quotes of listed metals that are not older than what their lane has."""
        return (quote for quote in quotes if quote.metal in self.listed and self._is_in_time(quote))

    def _last(self, quote: Quote) -> LatestPrice | None:
        """The price before this one in its own lane."""
        return self.latest.get((quote.metal, quote.lane))

    def _is_in_time(self, quote: Quote) -> bool:
        """Whether its lane has nothing newer. Only staff may go back in time.

        Of two quotes of one source the one of the later time is newer. Those of different sources, each with a clock
        and a delay of its own, and what several agree on, are as new as the refresh that brought them.
        """
        last = self._last(quote)
        if last is None or quote.lane is Lane.FALLBACK:
            return True
        is_earlier = quote.quoted_at < last.quoted_at and clock.can_be(last.quoted_at, self.now)
        by_refresh = self.refresh is not None and (quote.source != last.source or quote.source == CONSENSUS)
        if self._number < last.refresh and (by_refresh or quote.quoted_at == last.quoted_at):
            logger.info("%s gave %s a price in a refresh that a later one has superseded", quote.source, quote.metal)
            return False
        if is_earlier and (not by_refresh or self._has_newer_of(quote)):
            logger.warning(
                "%s gives %s an older quote, of %s; that of %s stays",
                quote.source,
                quote.metal,
                f"{quote.quoted_at:%Y-%m-%dT%H:%M:%SZ}",
                f"{last.quoted_at:%Y-%m-%dT%H:%M:%SZ}",
            )
            return False
        return True

    def _has_newer_of(self, quote: Quote) -> bool:
        """Whether its source gave a newer quote before another one had its say; what several agree on has no clock."""
        if quote.source == CONSENSUS:
            return False
        of_source = Price.objects.filter(metal=quote.metal, currency=quote.currency, source=quote.source)
        # A price is never from earlier on than when it was quoted: so the index ends the search.
        return of_source.filter(at__gt=quote.quoted_at, quoted_at__gt=quote.quoted_at).exists()

    def _outgoing(self, quote: Quote, *, confirms: bool) -> _Outgoing:
        """A quote as it would go out. Where it `confirms` nothing, it is the last one over again: its day has it."""
        outgoing, at = with_premium(quote, self.premiums), self._at(quote, confirms=confirms)
        if quote.lane is Lane.FALLBACK:
            # Staff's prices make no trading day: a slip that was mended would be its high, and a seed its close.
            price = quote.price
            return _Outgoing(outgoing, at, DayFigures(open=price, high=price, low=price, previous_close=None), None)
        day, last = self._day_before(quote), self._last(quote)
        if confirms or day is None:
            # A correction is of the quote's own moment, though a premium may have gone out since.
            moment = day.at if day and last and self._is_again(quote, last) else at
            day = following(day, spot_quote(quote), moment, history.zone())
        return _Outgoing(outgoing, at, day.figures.with_premium(premium_on(quote, self.premiums)), day)

    def _day_before(self, quote: Quote) -> Day | None:
        """The day that the price before this one is in, or closed."""
        last = self._last(quote)
        return Day.read(last.trading_day) if last and last.trading_day else None

    def _is_shown(self, outgoing: _Outgoing) -> bool:
        """Whether this very quote is on the screens now."""
        last = self._last(outgoing.quote)
        if last is None or last != self.in_force(outgoing.quote.metal):
            return False
        if last.quote() != outgoing.quote.without_figures() or last.day() != outgoing.figures:
            return False
        # What a small premium rounds away would come out under the next one.
        before = self._day_before(outgoing.quote)
        return (before and before.figures) == (outgoing.day and outgoing.day.figures)

    def _confirm(self, quotes: Iterable[Quote]) -> None:
        repeated = [self.latest[quote.metal, quote.lane].pk for quote in quotes]
        if repeated:
            confirmed = LatestPrice.objects.filter(pk__in=repeated)
            newest = Greatest("refresh", self._number)
            confirmed.update(confirmed_at=self.now, confirmed_by=clock.mark(), refresh=newest)

    def _change(self, quote: Quote) -> Change | None:
        """The move within the quote's own lane: that a fallback is shown, or no longer, moves no market."""
        last = self._last(quote)
        if last is None:
            return None
        # Under the premium that this one goes out with: a change of premium moves no market.
        then = restated(last.quote(), quote, self.premiums).price
        return significant_change(quote.metal, then, quote.price, threshold=self.configuration.threshold_percent)

    def _row(self, outgoing: _Outgoing) -> Price:
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
        )

    def _at(self, quote: Quote, *, confirms: bool) -> dt.datetime:
        """The moment from which on a quote is the price: when it was quoted; or now, where another one was the price by
        then, and where staff made it so, or another premium.
        """
        last = self._last(quote)
        if quote.lane is Lane.FALLBACK or not confirms:
            return self.now
        if last is None or not clock.can_be(last.at, self.now, ahead=_MOST_AHEAD):
            return quote.quoted_at
        if is_under_another(last.quote(), self.premiums):
            return max(self.now, last.at)
        if self._is_again(quote, last):
            return last.at
        if quote.quoted_at > last.at or (quote.quoted_at == last.at and quote.source != CONSENSUS):
            return quote.quoted_at
        # Nothing moves while the market is closed; and a tick that put another premium on a quote said nothing of it.
        is_open = quote.lane is Lane.SIMULATED or settings.MARKET_CALENDAR.is_open(self.now)
        was_said = last.published_at is None or last.confirmed_at >= last.published_at
        return max(self.now, last.at) if is_open and was_said else last.at

    def _is_again(self, quote: Quote, last: LatestPrice) -> bool:
        """Whether a quote says once more, or corrects, what the last one said: its source does so with the same time,
        or the sources that agree in the same refresh, of whom more have answered.
        """
        if quote.source != last.source:
            return False
        if quote.source != CONSENSUS:
            return quote.quoted_at == last.quoted_at
        is_of_this_refresh = last.refresh == self.refresh and last.confirmed_at == last.published_at
        return is_of_this_refresh or last.quote().at_spot() == quote

    def _latest(self, row: Price, day: Day | None, *, confirms: bool) -> LatestPrice:
        lane = lane_of(row.source)
        last = self.latest.get((row.metal_id, lane))
        if confirms or last is None:
            at, by, refresh = self.now, clock.mark(), max(self._number, last.refresh if last else 0)
        else:
            at, by, refresh = last.confirmed_at, last.confirmed_by, last.refresh
        return LatestPrice(
            metal_id=row.metal_id,
            lane=lane,
            confirmed_at=at,
            confirmed_by=by,
            refresh=refresh,
            trading_day=day.stored() if day else None,
            **{name: getattr(row, name) for name in _PUBLISHED},
        )
