"""The quarantine: prices that break a sanity rule, shown to staff until another quote confirms them or staff decide.

QUARANTINE_RELEASE sets which quotes may do so. All of it happens within the transaction of
prices/publishing/ingest.py, one at a time.
"""

import datetime as dt
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from django.conf import settings

from infra import clock
from infra.readable import moment
from prices import sql
from prices.domain import receipts
from prices.domain.consensus import Agreement
from prices.domain.drift import Levels
from prices.domain.quotes import Metal, Quote, percent
from prices.domain.sanity import (
    Band,
    Confirming,
    Contributors,
    Release,
    SanityRule,
    Violation,
    confirming,
    find_violation,
)
from prices.domain.source_quotes import Exclusion
from prices.models import HeldPrice
from prices.premiums import before_premium
from prices.sources import registry

logger = logging.getLogger(__name__)

# A decision is remembered for so long. A price that staff rejected is not confirmed by its source's giving it again;
# and one that another source contradicts at every refresh is listed and logged once, not every time.
_REMEMBERED_FOR = dt.timedelta(hours=24)
_LONGEST_DETAIL = 300  # characters of HeldPrice.words


@dataclass(slots=True)
class Validator:
    """Accepts quotes that break no sanity rule, and quarantines the others.

    `last` gives the last accepted live quote of a metal, less any premium, and `levels` those of the last hours, with
    it among them; `refresh` is the number of the refresh that brings the quotes. Inside, `spot` is a quote less any
    premium: all comparisons are between such.
    """

    last: Callable[[Metal], Quote | None]
    levels: Callable[[Metal], Levels]
    bands: Mapping[Metal, Band]
    max_jump_percent: Decimal
    max_drift_percent: Callable[[Metal], Decimal]
    now: dt.datetime
    refresh: int = 0
    # A price is settled for which the shown one was stale.
    has_settled_a_contest: bool = field(init=False, default=False)
    # The metals of accepted quotes that a quarantined price has confirmed.
    confirmed: set[Metal] = field(init=False, default_factory=set)
    _pending: list[HeldPrice] = field(init=False)

    def __post_init__(self) -> None:
        pending = [("decision", HeldPrice.Decision.PENDING)]
        self._pending = sql.rows(HeldPrice, "WHERE decision = %s ORDER BY id DESC", pending)

    def violation_of(self, quote: Quote) -> Violation | None:
        """The violation of a quote, which may include its provider's premium; None where it breaks no rule."""
        return self._violation_of(quote, before_premium(quote))

    def accepts(self, quote: Quote, agreement: Agreement | None = None) -> bool:
        """Return True if a quote, or one on which sources agree, may be published now; else quarantine it, once.

        An agreement of as many sources as have to agree counts as one source; more of them confirm it. One that is not
        final is not quarantined yet.
        """
        spot = before_premium(quote)
        contributors = agreement.contributors if agreement else {quote.source: quote.quoted_at}
        is_more = agreement is not None and len(contributors) > settings.CONSENSUS_SOURCES
        violation = self._violation_of(quote, spot)
        if violation is None or self._is_confirmed(spot, contributors, violation, is_more=is_more):
            if violation is not None:
                self.confirmed.add(spot.metal)
            self._settle(spot)
            return True
        if agreement is None:
            self._quarantine(quote, spot, violation)
        elif agreement.is_final:
            detail = f"{violation.detail}; {', '.join(contributors)} agree on it"[:_LONGEST_DETAIL]
            self._quarantine(quote, spot, Violation(violation.rule, detail), contributors)
        return False

    def quarantine_disagreement(self, quotes: Sequence[Quote]) -> None:
        """Quarantine each quote of a metal on which too few sources agree, for staff to choose one."""
        spots = [before_premium(quote) for quote in quotes]
        said = ", ".join(f"{spot.source} {spot.price:,}" for spot in spots)
        detail = f"fewer than {settings.CONSENSUS_SOURCES} fresh sources agree: {said}"[:_LONGEST_DETAIL]
        parts = [part for spot in spots for part in spot.excluded(Exclusion.AGREEMENT)]
        for quote, spot in zip(quotes, spots, strict=True):
            self._quarantine(quote.beside(parts), spot, Violation(SanityRule.AGREEMENT, detail))

    def _violation_of(self, quote: Quote, spot: Quote) -> Violation | None:
        last, band = self.last(quote.metal), self.bands.get(quote.metal)
        drift = self.levels(quote.metal).bound(self.max_drift_percent(quote.metal))
        violation = find_violation(spot, last, band=band, max_jump_percent=self.max_jump_percent, drift=drift)
        if violation is None or spot.price == quote.price:
            return violation
        return Violation(violation.rule, f"less its premium, {violation.detail}")

    def _pending_of(self, spot: Quote) -> list[HeldPrice]:
        mine = (spot.metal, spot.currency, HeldPrice.Decision.PENDING)
        return [row for row in self._pending if (row.metal_id, row.currency, row.decision) == mine]

    def _is_confirmed(self, spot: Quote, contributors: Contributors, violation: Violation, *, is_more: bool) -> bool:
        """Return True if a quarantined price confirms a quote; `is_more`: more sources say it than have to agree."""
        if violation.rule is SanityRule.BAND:
            return False  # a source that changed its unit would confirm itself for ever
        if settings.QUARANTINE_RELEASE is Release.STAFF:
            return False
        if any(self._is_same(spot, rejected) for rejected in self._rejected(spot)):
            return False
        if is_more or (len(contributors) > 1 and self._returns(spot, violation)):
            return True
        pending = self._pending_of(spot)
        # If other sources' prices are pending too, only these count: a source that repeats itself proves nothing.
        others = [
            row
            for row in pending
            if row.all_contributors.keys().isdisjoint(contributors) and row.doubt != SanityRule.BAND
        ]
        return any(self._lets_out(row, spot, contributors) for row in others or pending)

    def _returns(self, spot: Quote, violation: Violation) -> bool:
        """Return True if a price jumps back to where the metal was before it drifted away."""
        is_jump = violation.rule is SanityRule.JUMP
        return is_jump and self.levels(spot.metal).has_been_near(spot.price, self.max_jump_percent)

    def _lets_out(self, row: HeldPrice, spot: Quote, contributors: Contributors) -> bool:
        """Return True if a quote confirms this quarantined price, from a source that may let it out now."""
        found = confirming(
            spot,
            before_premium(row.quote()),
            contributors=contributors,
            quarantined_contributors=row.all_contributors,
            max_jump_percent=self.max_jump_percent,
        )
        if found is Confirming.THE_SAME_SOURCE:
            return settings.QUARANTINE_RELEASE is Release.SAME_SOURCE and self._has_waited(row)
        return found is Confirming.ANOTHER_SOURCE

    def _has_waited(self, row: HeldPrice) -> bool:
        """Return True if staff have had the time to decide on a price."""
        waited = row.waited(self.now)
        if waited < -clock.TOLERANCE:  # by a clock that was ahead: the time begins anew
            row.waiting_since, row.waiting_by = self.now, clock.mark()
            row.save(update_fields=["waiting_since", "waiting_by"])
        return waited >= settings.QUARANTINE_WAIT

    def _rejected(self, spot: Quote) -> list[HeldPrice]:
        of_source = HeldPrice.objects.filter(
            metal=spot.metal, currency=spot.currency, source=spot.source, decision=HeldPrice.Decision.REJECTED
        )
        # A rejection dated in the future, by a clock that was ahead, is remembered no longer than others.
        of_source.filter(decided_at__gt=self.now + clock.TOLERANCE).update(decided_at=self.now)
        return list(of_source.filter(decided_at__gt=self.now - _REMEMBERED_FOR))

    def _is_same(self, spot: Quote, row: HeldPrice) -> bool:
        return abs(_distance(spot, before_premium(row.quote()))) <= self.max_jump_percent

    def _quarantine(
        self, quote: Quote, spot: Quote, violation: Violation, contributors: Contributors | None = None
    ) -> None:
        pending, contests = self._pending_of(spot), False
        for row in pending:
            if row.source != quote.source:
                continue
            if row.doubt == violation.rule and self._is_same(spot, row):
                return  # about the same again: the row that staff are about to decide on must not change
            contests = row.contests or row.refresh < self.refresh
            row.decide(HeldPrice.Decision.SUPERSEDED, by=quote.source, at=self.now)
        superseded = self._superseded(spot, violation)
        if superseded:
            # Replaced, not changed: staff with an older list open would decide on a price that it does not show.
            superseded.delete()
        quarantined = HeldPrice.objects.create(
            **HeldPrice.values_of(quote),
            held_at=superseded.held_at if superseded else self.now,
            waiting_since=self.now,
            waiting_by=clock.mark(),
            refresh=self.refresh,
            contests=contests,
            contested_at=self.now if contests else None,
            contributors={source: at.isoformat() for source, at in contributors.items()} if contributors else None,
            made_of=receipts.encode_sources(quote.parts()),
            doubt=violation.rule,
            words=violation.detail,
        )
        self._pending.append(quarantined)
        if not superseded and not any(row.doubt == violation.rule for row in pending):
            logger.warning(
                "%s: %s of %s is quarantined: %s", quote.source, quote.metal, quote.currency, violation.detail
            )

    def _superseded(self, spot: Quote, violation: Violation) -> HeldPrice | None:
        """The source's last quarantined quote, if another source's price superseded it within 24 h at about the same
        level. One for which the shown price was stale is kept: past prices are marked by it.
        """
        last = HeldPrice.objects.filter(metal=spot.metal, currency=spot.currency, source=spot.source).first()
        is_it = (
            last is not None
            and last.decision == HeldPrice.Decision.SUPERSEDED
            and not last.contests
            and last.doubt == violation.rule
            and last.held_at > self.now - _REMEMBERED_FOR
            and clock.is_plausible(last.held_at, self.now)
            and self._is_same(spot, last)
        )
        return last if is_it else None

    def _settle(self, spot: Quote) -> None:
        """Decide on the pending prices of an accepted quote's metal: it confirms or supersedes each."""
        for row in self._pending_of(spot):
            self.has_settled_a_contest |= row.contests
            if self._is_same(spot, row):
                row.decide(HeldPrice.Decision.CONFIRMED, by=spot.source, at=self.now)
                logger.warning("%s of %s is confirmed by %s: %s", row.metal_id, row.source, spot.source, row.price)
                continue
            row.decide(HeldPrice.Decision.SUPERSEDED, by=spot.source, at=self.now)
            if spot.source != row.source:
                off = _distance(before_premium(row.quote()), spot)
                registry.remember_outlier(row.source, f"{row.metal_id}: {off:+.2f} % from {spot.source}", self.now)


def released_by(row: HeldPrice, now: dt.datetime) -> str:
    """The ways out for a pending price, for people: `another source or staff`, say."""
    release = settings.QUARANTINE_RELEASE
    if row.doubt == SanityRule.AGREEMENT:
        return "sources that agree or staff"
    if row.doubt == SanityRule.BAND or release is Release.STAFF:
        return "staff alone"
    if release is Release.SECOND_SOURCE:
        return "another source or staff"
    begins = now + max(settings.QUARANTINE_WAIT - row.waited(now), dt.timedelta(0))
    return f"another source, {row.source} again from {moment(begins, now)} on, or staff"


def _distance(quote: Quote, other: Quote) -> Decimal:
    """The distance of a quote from another, in percent of the other."""
    return percent(quote.price - other.price, other.price)
