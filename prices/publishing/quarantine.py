"""Prices that are not believed: held, and shown to staff, until another one confirms them or staff decide.

All of it happens within the transaction of prices/publishing/ingest.py, one at a time.
"""

import datetime as dt
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from django.conf import settings

from infra import clock
from prices import sql
from prices.domain.consensus import Agreement
from prices.domain.quotes import Metal, Quote, percent
from prices.domain.sanity import Band, Contributors, SanityRule, Violation, confirms, find_violation
from prices.models import HeldPrice
from prices.premiums import before_premium
from prices.sources import registry

logger = logging.getLogger(__name__)

# For so long a decision is remembered. A price that staff rejected is not confirmed by its source's giving it again;
# and one that another source contradicts at every refresh is listed and logged once, not every time.
_REMEMBERED_FOR = dt.timedelta(hours=24)
_LONGEST_WORDS = 300  # as HeldPrice.words holds


@dataclass(slots=True)
class Validator:
    """Lets through the quotes that can be believed, and holds the others.

    `last` gives the live quote of a metal that was accepted before, less any premium; `refresh` is the number of the
    refresh that brings those that are held.
    """

    last: Callable[[Metal], Quote | None]
    bands: Mapping[Metal, Band]
    max_jump_percent: Decimal
    now: dt.datetime
    refresh: int = 0
    _pending: list[HeldPrice] = field(init=False)

    def __post_init__(self) -> None:
        pending = [("decision", HeldPrice.Decision.PENDING)]
        self._pending = sql.rows(HeldPrice, "WHERE decision = %s ORDER BY id DESC", pending)

    def violation_of(self, quote: Quote) -> Violation | None:
        """What speaks against a quote, which may hold its source's premium; None where nothing does."""
        spot = before_premium(quote)
        violation = find_violation(
            spot, self.last(quote.metal), band=self.bands.get(quote.metal), max_jump_percent=self.max_jump_percent
        )
        if violation is None or spot.price == quote.price:
            return violation
        return Violation(violation.rule, f"less its premium, {violation.detail}")

    def accepts(self, quote: Quote) -> bool:
        """Whether a quote may be published now. One that may not is recorded, once."""
        violation, contributors = self.violation_of(quote), {quote.source: quote.quoted_at}
        if violation and not self._is_confirmed(quote, contributors, violation):
            self._quarantine(quote, violation)
            return False
        self._settle_all(quote)
        return True

    def accepts_agreement(self, agreement: Agreement, quote: Quote) -> bool:
        """Whether `quote`, which an agreement is on, may be published now; the same rules hold as for a source's.

        An agreement of as many sources as have to agree counts as one source; more of them confirm it. One that may not
        go out is recorded, once, when all answers have come.
        """
        violation, contributors = self.violation_of(quote), agreement.contributors
        is_more = len(contributors) > settings.CONSENSUS_SOURCES
        if violation and not self._is_confirmed(quote, contributors, violation, is_more=is_more):
            if agreement.is_final:
                detail = f"{violation.detail}; {', '.join(contributors)} agree on it"[:_LONGEST_WORDS]
                self._quarantine(quote, Violation(violation.rule, detail), contributors)
            return False
        self._settle_all(quote)
        return True

    def quarantine_disagreement(self, quotes: Sequence[Quote]) -> None:
        """Record what one metal's sources say of whom too few agree: each of them, for staff to choose from."""
        detail = ", ".join(f"{quote.source} {before_premium(quote).price:,}" for quote in quotes)
        detail = f"fewer than {settings.CONSENSUS_SOURCES} fresh sources agree: {detail}"[:_LONGEST_WORDS]
        for quote in quotes:
            self._quarantine(quote, Violation(SanityRule.AGREEMENT, detail))

    def _pending_of(self, quote: Quote) -> list[HeldPrice]:
        return [
            held
            for held in self._pending
            if (held.metal_id, held.currency, held.decision)
            == (quote.metal, quote.currency, HeldPrice.Decision.PENDING)
        ]

    def _is_confirmed(
        self, quote: Quote, contributors: Contributors, violation: Violation, *, is_more: bool = False
    ) -> bool:
        """Whether what is held confirms a quote; `is_more`: more sources say it than have to agree, which does too."""
        if violation.rule is SanityRule.BAND:
            return False  # a source that changed its unit would confirm itself for ever
        if any(self._is_same(quote, rejected) for rejected in self._rejected(quote)):
            return False
        if is_more:
            return True
        spot, pending = before_premium(quote), self._pending_of(quote)
        # Where others have their say too, a source that says the same again proves nothing.
        others = [
            held
            for held in pending
            if held.all_contributors.keys().isdisjoint(contributors) and held.doubt != SanityRule.BAND
        ]
        return any(
            confirms(
                spot,
                before_premium(held.quote()),
                contributors=contributors,
                quarantined_contributors=held.all_contributors,
                max_jump_percent=self.max_jump_percent,
            )
            for held in others or pending
        )

    def _rejected(self, quote: Quote) -> list[HeldPrice]:
        of_source = HeldPrice.objects.filter(
            metal=quote.metal, currency=quote.currency, source=quote.source, decision=HeldPrice.Decision.REJECTED
        )
        # What seems to be rejected in the future was so by now, and is not to be remembered for longer than the rest.
        of_source.filter(decided_at__gt=self.now + clock.TOLERANCE).update(decided_at=self.now)
        return list(of_source.filter(decided_at__gt=self.now - _REMEMBERED_FOR))

    def _is_same(self, quote: Quote, held: HeldPrice) -> bool:
        before = before_premium(held.quote()).price
        return abs(percent(before_premium(quote).price - before, before)) <= self.max_jump_percent

    def _quarantine(self, quote: Quote, violation: Violation, contributors: Contributors | None = None) -> None:
        pending = self._pending_of(quote)
        for held in pending:
            if held.source != quote.source:
                continue
            if held.doubt == violation.rule and self._is_same(quote, held):
                return  # much the same over again: what staff are about to decide is not to change beneath them
            held.decide(HeldPrice.Decision.SUPERSEDED, by=quote.source, at=self.now)
        superseded = self._superseded(quote, violation)
        if superseded:
            # Not changed: staff who look at a list of before would decide on what it does not show.
            superseded.delete()
        held = HeldPrice.objects.create(
            metal_id=quote.metal,
            currency=quote.currency,
            price=quote.price,
            bid=quote.bid,
            ask=quote.ask,
            source=quote.source,
            quoted_at=quote.quoted_at,
            held_at=superseded.held_at if superseded else self.now,
            refresh=self.refresh,
            contributors={source: at.isoformat() for source, at in contributors.items()} if contributors else None,
            doubt=violation.rule,
            words=violation.detail,
        )
        self._pending.append(held)
        if not superseded and not any(held.doubt == violation.rule for held in pending):
            logger.warning("%s: %s of %s is held: %s", quote.source, quote.metal, quote.currency, violation.detail)

    def _superseded(self, quote: Quote, violation: Violation) -> HeldPrice | None:
        """Much the same price from the same source, where another source has overtaken it of late."""
        last = HeldPrice.objects.filter(metal=quote.metal, currency=quote.currency, source=quote.source).first()
        is_it = (
            last is not None
            and last.decision == HeldPrice.Decision.SUPERSEDED
            and last.doubt == violation.rule
            and last.held_at > self.now - _REMEMBERED_FOR
            and clock.is_plausible(last.held_at, self.now)
            and self._is_same(quote, last)
        )
        return last if is_it else None

    def _settle_all(self, quote: Quote) -> None:
        for held in self._pending_of(quote):
            self._settle(held, quote)

    def _settle(self, held: HeldPrice, quote: Quote) -> None:
        """What a published quote makes of one that is held."""
        if self._is_same(quote, held):
            held.decide(HeldPrice.Decision.CONFIRMED, by=quote.source, at=self.now)
            logger.warning("%s of %s is confirmed by %s: %s", held.metal_id, held.source, quote.source, held.price)
            return
        held.decide(HeldPrice.Decision.SUPERSEDED, by=quote.source, at=self.now)
        if quote.source != held.source:
            spot = before_premium(quote).price
            off = percent(before_premium(held.quote()).price - spot, spot)
            registry.set_aside(held.source, f"{held.metal_id}: {off:+.2f} % from {quote.source}", self.now)
