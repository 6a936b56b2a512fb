"""The only writer of publications: quotes in, one transaction, one message to all web processes after its commit.

Publications are written one at a time (a row lock; SQLite's write lock), so that their numbers rise without a gap in
the order in which they become visible, and "the price before" means the same to everyone.
"""

import datetime as dt
import logging
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Greatest

from infra import clock, formats
from prices import schedule, sql
from prices.domain.changes import significant_change
from prices.domain.consensus import Agreement
from prices.domain.days import Day, SpotQuote, at_spot, following
from prices.domain.drift import Levels
from prices.domain.quotes import FALLBACK, Change, DayFigures, Metal, PriceKind, Publication, Quote, shown_kinds
from prices.domain.receipts import Method, Receipt, encode
from prices.domain.succession import Arrival, Last, Order, effective_from, is_of_this_refresh, order, repeats
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
from prices.premiums import (
    before_premium,
    included_premium,
    is_under_another,
    premium_on,
    restated,
    with_premium,
)
from prices.publishing import confirmations, receipts
from prices.publishing.quarantine import Validator
from prices.publishing.receipts import Grounds
from prices.sanity_bands import bands, recent_levels
from streaming import publish

logger = logging.getLogger(__name__)

# The fields that a row of the latest prices shares with its tick.
_PUBLISHED = [field.name for field in Price._meta.fields if field.name not in ("id", "metal")]
_IN_ITS_PLACE = "ON CONFLICT (metal_id, lane, currency) DO UPDATE SET " + ", ".join(
    f"{name} = excluded.{name}"
    for name in (*_PUBLISHED, "confirmed_at", "confirmed_by", "refresh", "trading_day", "levels")
)


def record(quotes: Iterable[Quote], *, now: dt.datetime) -> Publication | None:
    """Write the quotes that are new, publish them after the commit, and return the publication; None if none is new.

    A repeated quote only confirms that its source is alive. A quote older than the last of its price kind is not new.
    """
    with _one_at_a_time(now) as writer:
        return writer.write(writer.candidates(quotes))


def offer(quotes: Iterable[Quote], *, now: dt.datetime, refresh: int | None = None) -> set[Metal]:
    """Write the quotes that can be believed, as `record` does; quarantine the others, and return their metals.

    `refresh` is the number of the refresh that brings the quotes: it decides whether they are newer than other sources'
    quotes. Without it their own times decide.
    """
    with _one_at_a_time(now, refresh) as writer:
        validator = writer.validator()
        offered = writer.candidates(quotes)
        accepted = [each for each in offered if each.quote.kind is not PriceKind.LIVE or validator.accepts(each.quote)]
        writer.write_accepted(accepted, validator)
        return {each.quote.metal for each in offered if each not in accepted}


def offer_agreements(agreements: Iterable[Agreement], *, now: dt.datetime, refresh: int) -> None:
    """Write the agreements of a refresh that can be believed; quarantine the others that are final."""
    with _one_at_a_time(now, refresh) as writer:
        validator = writer.validator()
        agreed = {found.quote: found for found in agreements if found.quote}
        offered = [replace(each, is_partial=not agreed[each.quote].is_final) for each in writer.candidates(agreed)]
        accepted = [each for each in offered if validator.accepts(each.quote, agreed[each.quote])]
        writer.write_accepted(accepted, validator)


def quarantine_disagreement(quotes: Sequence[Quote], *, now: dt.datetime, refresh: int) -> None:
    """Quarantine the quotes of one metal whose sources do not agree: staff may choose one."""
    with _one_at_a_time(now, refresh) as writer:
        writer.validator().quarantine_disagreement([each.quote for each in writer.candidates(quotes)])


def decide(quarantined_id: int, *, approve: bool, by: str, now: dt.datetime) -> Publication | None:
    """Approve and publish a quarantined price, or reject it, as staff decided.

    Raises ValueError where it has been decided already, or cannot be published: a newer price is out, or its currency
    or metal is no longer shown.
    """
    with _one_at_a_time(now) as writer:
        quarantined = HeldPrice.objects.select_for_update().get(pk=quarantined_id)
        if quarantined.decision != HeldPrice.Decision.PENDING:
            raise ValueError(f"it was {quarantined.get_decision_display().lower()} by {quarantined.decided_by} already")
        if not approve:
            quarantined.decide(HeldPrice.Decision.REJECTED, by=by, at=now)
            if quarantined.contests:
                transaction.on_commit(publish.reload)  # the shown price is no longer stale for it
            return None
        approved = writer.publishable(quarantined)
        writer.grounds[Metal(quarantined.metal_id)] = receipts.of_approval(by, now)
        quarantined.decide(HeldPrice.Decision.APPROVED, by=by, at=now)
        # Staff have chosen one of the metal's prices.
        for other in HeldPrice.pending().filter(metal=quarantined.metal_id, currency=quarantined.currency):
            other.decide(HeldPrice.Decision.SUPERSEDED, by=by, at=now)
        return writer.write(approved)


def reopen(quarantined_id: int, *, now: dt.datetime) -> None:
    """Let a quarantined price wait again that staff had rejected.

    Raises ValueError where it was not rejected, a newer one of its source waits, or it could not be published any more.
    """
    with _one_at_a_time(now) as writer:
        quarantined = HeldPrice.objects.select_for_update().get(pk=quarantined_id)
        if quarantined.decision != HeldPrice.Decision.REJECTED:
            raise ValueError(f"it is {quarantined.get_decision_display().lower()}, and not rejected")
        newer = {name: getattr(quarantined, name) for name in ("metal", "currency", "source")}
        if HeldPrice.pending().filter(**newer).exists():
            raise ValueError(f"a newer price from {quarantined.source} waits: decide on that")
        writer.publishable(quarantined)
        quarantined.reopen(at=now)


def contest_prices(*, refresh: int, now: dt.datetime) -> None:
    """Mark the shown prices of whose metals a newer quote waits in quarantine since before this refresh, which is over.

    They are stale from now on (prices/publishing/snapshot.py). Most times this is one statement without effect.
    """
    waiting = HeldPrice.pending().filter(currency=settings.BASE_CURRENCY, refresh__lt=refresh, contests=False)
    if waiting.update(contests=True, contested_at=now):
        publish.reload()


def apply_premiums(*, now: dt.datetime) -> Publication | None:
    """Publish the shown prices again where a premium has changed since they went out.

    This confirms no source. Any process may call it at any time; where no premium has changed it takes no lock.
    """
    if not _Writer(Head(), now).under_other_premiums():
        return None
    with _one_at_a_time(now) as writer:
        return writer.write(writer.under_other_premiums(), confirms=False)


def fall_back_where_due(*, now: dt.datetime, unpriced_only: bool = False) -> Publication | None:
    """Publish staff's price of each metal that no source has confirmed for `FALLBACK_AFTER`, or ever, until it expires.

    Time in which the closed market keeps sources from being called does not count. An example, which no member of staff
    has entered or confirmed, is published only of a metal that never had a source's price.

    With `unpriced_only`, publish only for metals that no source has ever confirmed: after a night switched off, the
    last live price is shown until sources have been called.

    Idempotent: it publishes nothing that is shown already, so any process may call it at any time, and after each edit
    of a fallback price.
    """
    with _one_at_a_time(now) as writer:
        return writer.write(writer.fallbacks_due(unpriced_only))


def withdraw_fallbacks(*, now: dt.datetime) -> Publication | None:
    """Publish the next best price in place of each shown fallback that is to be withdrawn.

    That is one that has expired, or an example that stands in for a source's price. The next best is the last price of
    the metal that was no fallback, as old as it is; it confirms no source. A metal that never had one is no longer
    shown. Any process may call it at any time; where nothing is to be withdrawn it takes no lock.
    """
    if not _Writer(Head(), now).to_withdraw():
        return None
    with _one_at_a_time(now) as writer:
        return writer.write(writer.in_place_of_withdrawn(), confirms=False)


def take_closes(*, now: dt.datetime) -> Publication | None:
    """Publish the shown prices again whose day has no previous close though history has one by now.

    Call it after history was filled in. This confirms no source.
    """
    with _one_at_a_time(now) as writer:
        return writer.write(writer.after_filled_in_days(), confirms=False)


def metals_falling_back(*, now: dt.datetime) -> set[Metal]:
    """The listed metals of which staff's price is shown, or would be as soon as there is one that has not expired."""
    return set(_Writer(Head(), now).without_source())


def reload() -> None:
    """Make every web process read the database again, after a change of the listed metals or the freshness limit.

    Call it after the commit.
    """
    publish.reload()


@contextmanager
def _one_at_a_time(now: dt.datetime, refresh: int | None = None) -> Iterator["_Writer"]:
    with transaction.atomic():
        yield _Writer(Head.locked(), now, refresh)


@dataclass(frozen=True, slots=True, eq=False)
class _Candidate:
    """A quote that may be published, before any premium of ours, and its price kind's latest row, quote and day.

    `is_partial`: an agreement that not all sources have answered yet.
    """

    quote: Quote
    row: LatestPrice | None
    last: Last | None
    day: Day | None
    is_partial: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class _Prepared:
    """A candidate ready to be stored.

    `quote` has the premium `multiplier` on it and is the price from `at` on; `figures` are its day's under that
    premium, and `day` is the day before any.
    """

    candidate: _Candidate
    quote: Quote
    multiplier: Decimal
    at: dt.datetime
    figures: DayFigures
    day: Day | None


class _Writer:
    """The publication writer, for one transaction that holds the lock: the state of every metal at `now`.

    `refresh` is the number of the refresh that brings the quotes; None outside of refreshes.
    """

    def __init__(self, head: Head, now: dt.datetime, refresh: int | None = None) -> None:
        self.head = head
        self.now = now
        self.refresh = refresh
        # By metal, where a quote does not say itself why it goes out.
        self.grounds: dict[Metal, Grounds] = {}
        self.configuration = Configuration.load()
        self.premiums = Premium.multipliers(now)
        self.kinds = shown_kinds(settings.PRICE_PROVIDERS)
        self.listed = ListedMetal.metals()
        self.latest: dict[tuple[str, str], LatestPrice] = {
            (latest.metal_id, latest.lane): latest
            for latest in sql.rows(LatestPrice, "WHERE currency = %s", [("currency", settings.BASE_CURRENCY)])
        }
        self._known_levels: dict[Metal, Levels] = {}

    def validator(self) -> Validator:
        return Validator(
            last=self._last_live,
            levels=self._levels,
            bands=bands(settings.BASE_CURRENCY),
            max_jump_percent=self.configuration.jump_percent,
            max_drift_percent=self.configuration.drift_percent,
            now=self.now,
            refresh=self._arrival.counts_as,
        )

    @property
    def _arrival(self) -> Arrival:
        return Arrival(self.now, self.refresh, self.head.refreshes)

    def _last_live(self, metal: Metal) -> Quote | None:
        live = self.latest.get((metal, PriceKind.LIVE))
        return before_premium(live.quote()) if live else None

    def _levels(self, metal: Metal) -> Levels:
        """A metal's live levels within the window, the last price among them."""
        if metal not in self._known_levels:
            live = self.latest.get((metal, PriceKind.LIVE))
            self._known_levels[metal] = recent_levels(live, self.now) if live else Levels()
        return self._known_levels[metal]

    # --- candidates --------------------------------------------------------------------------------------------------

    def candidates(self, quotes: Iterable[Quote]) -> list[_Candidate]:
        """The quotes of listed metals that are not older than the last of their price kind."""
        offered = (self._candidate(quote) for quote in quotes if quote.metal in self.listed)
        return [each for each in offered if self._is_next(each)]

    def publishable(self, quarantined: HeldPrice) -> list[_Candidate]:
        """A quarantined price, as a candidate of the refresh that brought it. Raises ValueError if it cannot be."""
        if quarantined.currency != settings.BASE_CURRENCY:
            raise ValueError(f"it is in {quarantined.currency}, and prices are shown in {settings.BASE_CURRENCY} now")
        if quarantined.metal_id not in self.listed:
            raise ValueError("the metal is switched off")
        self.refresh = quarantined.refresh
        if not (found := self.candidates([quarantined.quote()])):
            raise ValueError("a newer price of this metal is out")
        return found

    def under_other_premiums(self) -> list[_Candidate]:
        """The shown quotes, before any premium of ours, that have another premium on them than the current one."""
        shown = [latest for metal in self.listed if (latest := self._shown(metal))]
        found = [latest for latest in shown if is_under_another(latest.quote(), self.premiums)]
        for latest in found:
            metal = Metal(latest.metal_id)
            self.grounds[metal] = receipts.of_premium(metal, self.now, based_on=latest.seq)
        return [self._candidate(receipts.spot_quote(latest)) for latest in found]

    def fallbacks_due(self, unpriced_only: bool) -> list[_Candidate]:
        """Staff's price of each metal that no source has confirmed for `FALLBACK_AFTER`, or ever, unless it expired.

        An example is due only where it is the only price.
        """
        due = FallbackPrice.valid(self.now).filter(metal__in=self.without_source(unpriced_only))
        return [self._candidate(fallback.quote()) for fallback in due if not self._is_idle_example(fallback)]

    def without_source(self, unpriced_only: bool = False) -> list[Metal]:
        """The metals that no source has ever confirmed, or, without `unpriced_only`, not for `FALLBACK_AFTER`."""
        confirmed, every = confirmations.unconfirmed_since(self.now), schedule.interval()
        return [
            metal
            for metal in self.listed
            if (at := confirmed.get(metal)) is None or (not unpriced_only and self._is_due_after(at, metal, every))
        ]

    def to_withdraw(self) -> list[FallbackPrice]:
        """The fallbacks that are shown though they have expired, or are examples of metals with a source's price."""
        shown = [latest for metal in self.listed if (latest := self._shown(metal)) and latest.lane == FALLBACK]
        metals = [latest.metal_id for latest in shown]
        fallbacks = FallbackPrice.objects.filter(currency=settings.BASE_CURRENCY, metal__in=metals)
        return [each for each in fallbacks if each.has_expired(self.now) or self._is_idle_example(each)]

    def in_place_of_withdrawn(self) -> list[_Candidate]:
        """The last price that was no fallback, of each metal whose shown fallback is to be withdrawn.

        A fallback without such a price is no longer current; web processes read that after the commit.
        """
        found, unpriced = [], []
        for fallback in self.to_withdraw():
            best = self._of_source(fallback.metal_id)
            if best:
                self.grounds[Metal(best.metal_id)] = Grounds(method=Method.RESTORED, based_on=best.seq)
                found.append(self._candidate(receipts.spot_quote(best)))
            else:
                unpriced.append(self.latest[fallback.metal_id, FALLBACK].pk)
            why = "is only an example"
            if fallback.expires_at is not None and fallback.has_expired(self.now):
                why = f"expired at {formats.time(fallback.expires_at)}"
            logger.warning(
                "the fallback of %s %s; screens show %s",
                fallback.metal_id,
                why,
                f"the last price of {best.source}, of {formats.time(best.quoted_at)}" if best else "no price of it",
            )
        if unpriced:
            LatestPrice.objects.filter(pk__in=unpriced).delete()
            transaction.on_commit(reload)
        return found

    def _is_idle_example(self, fallback: FallbackPrice) -> bool:
        """Return True if a fallback is not to be shown: nobody entered or confirmed it, and a source gave a price."""
        return fallback.example and self._of_source(fallback.metal_id) is not None

    def _of_source(self, metal: str) -> LatestPrice | None:
        """The last price that was no fallback."""
        return self._newest(metal, self.kinds - {PriceKind.FALLBACK})

    def after_filled_in_days(self) -> list[_Candidate]:
        """The shown quotes whose day has no previous close though there is one in history, with it."""
        found = []
        for metal in self.listed:
            latest = self._shown(metal)
            if latest is None or latest.previous_close is not None or latest.trading_day is None:
                continue
            shown, day = self._candidate(receipts.spot_quote(latest)), Day.read(latest.trading_day)
            if closed := self._closed(shown.quote, day.at, None):
                self.grounds[metal] = Grounds(method=Method.RESTORED, based_on=latest.seq)
                found.append(replace(shown, day=day.after(closed)))
        return found

    def _candidate(self, quote: Quote) -> _Candidate:
        row = self.latest.get((quote.metal, quote.kind))
        if row is None:
            return _Candidate(quote, None, None, None)
        return _Candidate(quote, row, row.last(), Day.read(row.trading_day) if row.trading_day else None)

    def _is_next(self, candidate: _Candidate) -> bool:
        """Return True if its price kind has no newer quote; log it otherwise."""
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
        """Return True if the quote's source has given a newer one."""
        of_source = Price.objects.filter(metal=quote.metal, currency=quote.currency, source=quote.source)
        # A price never counts from before it was quoted, so the condition on `at` lets the index end the search.
        return of_source.filter(at__gt=quote.quoted_at, quoted_at__gt=quote.quoted_at).exists()

    def _shown(self, metal: Metal) -> LatestPrice | None:
        """The price that screens show: the one published last, of all price kinds that are shown here."""
        return self._newest(metal, self.kinds)

    def _newest(self, metal: str, kinds: Collection[str]) -> LatestPrice | None:
        """The price that was published last, of these price kinds."""
        prices = [latest for (name, kind), latest in self.latest.items() if name == metal and kind in kinds]
        return max(prices, key=lambda latest: latest.seq or 0, default=None)

    def _is_due_after(self, confirmed_at: dt.datetime, metal: Metal, every: dt.timedelta) -> bool:
        """Return True if staff's price is due for a metal that a source confirmed at `confirmed_at` last."""
        shown = self._shown(metal)
        if shown is not None and shown.lane == PriceKind.FALLBACK:
            return True  # no source has confirmed the metal since it went out, however long ago that seems now
        return self.now - schedule.fetched_again(confirmed_at, every) >= settings.FALLBACK_AFTER

    # --- writing -----------------------------------------------------------------------------------------------------

    def write_accepted(self, candidates: Iterable[_Candidate], validator: Validator) -> None:
        """Write the candidates that a validator has accepted."""
        self.grounds |= dict.fromkeys(validator.confirmed, Grounds(method=Method.CONFIRMED))
        self.write(candidates)
        if validator.has_settled_a_contest:
            # A quote that only confirms the shown one is in no publication: let web processes read that it is fresh.
            transaction.on_commit(publish.reload)

    def write(self, candidates: Iterable[_Candidate], *, confirms: bool = True) -> Publication | None:
        """Confirm the candidates that are shown already; store the others, and publish them after the commit.

        `confirms`: sources, or staff, give them now; without it, shown prices go out again under another premium.
        """
        prepared = [self._prepare(each, confirms=confirms) for each in candidates]
        news = [each for each in prepared if not self._is_shown(each)]
        if confirms:
            self._confirm([each.candidate.row for each in prepared if each not in news])
        if not news:
            return None
        publication = self._store(news, confirms=confirms)
        transaction.on_commit(partial(publish.publication, publication))
        return publication

    def _prepare(self, candidate: _Candidate, *, confirms: bool) -> _Prepared:
        """A candidate as it would go out. Unless it `confirms` a price, its day includes its quote already."""
        quote, last, day = candidate.quote, candidate.last, candidate.day
        outgoing, multiplier = with_premium(quote, self.premiums), premium_on(quote, self.premiums)
        if quote.kind is PriceKind.FALLBACK:
            # Staff's prices make no trading day: a slip that was corrected would be its high, an example its close.
            price = quote.price
            figures = DayFigures(open=price, high=price, low=price, previous_close=None)
            return _Prepared(candidate, outgoing, multiplier, self.now, figures, None)
        # Without a new premium the same quote is the price again from the moment on from which it was before.
        is_renewed = not confirms and last is not None and is_under_another(last.quote, self.premiums)
        at = self.now if is_renewed else self._effective_from(quote, last)
        if confirms or day is None:
            # A correction counts at the moment of the quote that it corrects, though a premium may have gone out since.
            moment = day.at if day and last and repeats(quote, last, self._arrival) else at
            spot = SpotQuote.of(quote, included=included_premium(quote))
            day = following(day, spot, moment, candle_store.zone(), closed=partial(self._closed, quote, moment, day))
        return _Prepared(candidate, outgoing, multiplier, at, day.figures.with_premium(multiplier), day)

    def _closed(self, quote: Quote, at: dt.datetime, since: Day | None) -> Decimal | None:
        """The close, at spot, of the last day candle before the day of `at`; None if it is no later than `since`.

        Candles are of prices as they were published, with the premium of their time.
        """
        series = candle_store.Series(quote.metal, quote.currency, quote.kind)
        day = candle_store.last_day_before(series, at)
        if day is None or (since is not None and day.start <= since.at):
            return None
        return at_spot(day.close, Premium.multipliers(day.last_at)[quote.metal])

    def _effective_from(self, quote: Quote, last: Last | None) -> dt.datetime:
        return effective_from(
            quote,
            last,
            self._arrival,
            is_under_another_premium=last is not None and is_under_another(last.quote, self.premiums),
            is_market_open=quote.kind is PriceKind.SIMULATED or settings.MARKET_CALENDAR.is_open(self.now),
        )

    def _is_shown(self, prepared: _Prepared) -> bool:
        """Return True if screens show this very quote now."""
        row, last, before = prepared.candidate.row, prepared.candidate.last, prepared.candidate.day
        if row is None or last is None or row != self._shown(prepared.quote.metal):
            return False
        quote, shown = prepared.quote.without_figures(), last.quote
        # A part of the sources that agree on the shown price are no news, nor is one more in the same refresh.
        is_partial = prepared.candidate.is_partial
        if is_partial:
            quote = replace(quote, bid=shown.bid, ask=shown.ask)
        if shown != quote or row.day() != prepared.figures:
            return False
        if shown.members != quote.members and not is_partial and not is_of_this_refresh(last, self._arrival):
            return False
        # A small premium may round away a difference that the next one would show.
        return (before and before.figures) == (prepared.day and prepared.day.figures)

    def _confirm(self, rows: Iterable[LatestPrice | None]) -> None:
        """Record that sources have given the quotes of these rows again."""
        if repeated := [row.pk for row in rows if row]:
            confirmed = LatestPrice.objects.filter(pk__in=repeated)
            newest = Greatest("refresh", self._arrival.counts_as)
            confirmed.update(confirmed_at=self.now, confirmed_by=clock.mark(), refresh=newest)

    def _store(self, news: Sequence[_Prepared], *, confirms: bool) -> Publication:
        """Write ticks, significant moves, candles and latest prices, under the stream's next number."""
        self.head.seq += 1
        sql.run(
            Head,
            "UPDATE prices_head SET seq = %s, published_at = %s",
            [("seq", self.head.seq), ("published_at", self.now)],
        )
        prices = [self._price(each) for each in news]
        partitions.ensure(price.at for price in prices)
        sql.insert(prices)
        made = self._receipts(news, prices)
        receipts.store(made, self.now)
        moves = [(receipt, change) for each, receipt in zip(news, made, strict=True) if (change := self._change(each))]
        sql.insert([self._move(receipt, change) for receipt, change in moves])
        # A price at a moment that has a tick already corrects it: nothing else comes at the same moment again.
        corrected = {each.quote.metal for each in news if each.candidate.last and each.candidate.last.at == each.at}
        candles = candle_store.take(prices, corrected=corrected)
        latest = [self._latest(price, each, confirms=confirms) for price, each in zip(prices, news, strict=True)]
        sql.insert(latest, _IN_ITS_PLACE)
        return Publication(
            epoch=self.head.epoch,
            seq=self.head.seq,
            published_at=self.now,
            quotes=tuple(price.published() for price in prices),
            changes=tuple(change for _, change in moves),
            candles=candle_store.by_metal(candles),
        )

    def _change(self, prepared: _Prepared) -> Change | None:
        """The significant move within the quote's price kind: showing a fallback, or ceasing to, moves no market.

        Nor does staff's first fallback in place of an example, or an example again.
        """
        quote, last = prepared.quote, prepared.candidate.last
        if last is None or last.quote.example != quote.example:
            return None
        # Under the premium that this one goes out with: a change of premium moves no market.
        then = restated(last.quote, prepared.multiplier).price
        return significant_change(quote.metal, then, quote.price, threshold=self.configuration.threshold_percent)

    def _receipts(self, news: Sequence[_Prepared], prices: Sequence[Price]) -> list[Receipt]:
        """The receipts of a publication. Staff's changes whose first prices these are have copies of theirs."""
        limit = self.configuration.freshness_limit(schedule.interval())
        made = []
        for each, price in zip(news, prices, strict=True):
            grounds = self._grounds(each)
            receipt = receipts.make(
                each.candidate.quote, price, grounds, premium=each.multiplier, epoch=self.head.epoch, limit=limit
            )
            if grounds.change is not None:
                receipts.keep_copy(receipt, grounds.change)
            made.append(receipt)
        return made

    def _grounds(self, prepared: _Prepared) -> Grounds:
        quote, last = prepared.quote, prepared.candidate.last
        if (given := self.grounds.get(quote.metal)) is not None:
            return given
        if quote.kind is PriceKind.FALLBACK:
            return receipts.of_fallback(quote)
        grounds = Grounds(method=receipts.usual_method(quote))
        if last is not None and is_under_another(last.quote, self.premiums):  # the first quote under a premium
            return replace(grounds, change=receipts.of_premium(quote.metal, self.now).change)
        return grounds

    def _move(self, receipt: Receipt, change: Change) -> SignificantChange:
        return SignificantChange(
            seq=self.head.seq,
            published_at=self.now,
            metal_id=change.metal,
            currency=receipt.currency,
            lane=receipt.kind,
            receipt=encode(receipt),
            old_price=change.old_price,
            new_price=change.new_price,
            change_percent=change.change_percent,
        )

    def _price(self, prepared: _Prepared) -> Price:
        quote, figures = prepared.quote, prepared.figures
        return Price(
            **Price.values_of(quote),
            seq=self.head.seq,
            published_at=self.now,
            at=prepared.at,
            open=figures.open,
            high=figures.high,
            low=figures.low,
            previous_close=figures.previous_close,
            spot=quote.spot,
            example=quote.example,
            contributor_count=quote.members.count if quote.members else None,
        )

    def _levels_after(self, quote: Quote) -> Levels:
        """A metal's live levels with a price that goes out; none of another kind."""
        if quote.kind is not PriceKind.LIVE:
            return Levels()
        last, most = self._last_live(quote.metal), self.configuration.drift_percent(quote.metal)
        return self._levels(quote.metal).after(
            before_premium(quote).price,
            self.now,
            last=None if last is None else last.price,
            most_percent=most,
            jump_percent=self.configuration.jump_percent,
        )

    def _latest(self, price: Price, prepared: _Prepared, *, confirms: bool) -> LatestPrice:
        row, day = prepared.candidate.row, prepared.day
        if confirms or row is None:
            at, by, refresh = self.now, clock.mark(), max(self._arrival.counts_as, row.refresh if row else 0)
        else:
            at, by, refresh = row.confirmed_at, row.confirmed_by, row.refresh
        return LatestPrice(
            metal_id=price.metal_id,
            lane=prepared.quote.kind,
            confirmed_at=at,
            confirmed_by=by,
            refresh=refresh,
            trading_day=day.stored() if day else None,
            levels=self._levels_after(prepared.candidate.quote).text(),
            **{name: getattr(price, name) for name in _PUBLISHED},
        )
