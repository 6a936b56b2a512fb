"""One refresh: fetch from the sources, publish their prices, fall back where no source has answered for too long.

Refreshes are numbered in the order in which they began. By that number, and not by each source's own time, the price
of one source is newer than another's (prices/domain/succession.py).
"""

import datetime as dt
import logging
from collections.abc import Sequence
from dataclasses import replace

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection
from django.utils import timezone

from infra.clock import Clock
from prices import schedule
from prices.domain import standing
from prices.domain.consensus import Agreement, decision
from prices.domain.quotes import Metal, Quote
from prices.domain.source_quotes import Exclusion, SourceQuote
from prices.models import Head, ListedMetal
from prices.premiums import before_premium
from prices.publishing import confirmations, ingest
from prices.sources import failover, registry
from prices.sources.failover import Outcome
from prices.sources.fetching import terms

logger = logging.getLogger(__name__)


def refresh_if_due() -> None:
    """Do the refresh that is due, unless another worker has claimed it.

    Where the database fails in the middle, begin again, once: the slot is claimed, so no other worker fetches before
    the next one, and a new connection often works. Raises Django's database errors.
    """
    Head.expect_whole_database()
    if not schedule.claim(timezone.now()):
        logger.debug("another worker has this refresh")
        return
    try:
        refresh()
    except (OperationalError, InterfaceError) as error:
        reason = str(error).partition("\n")[0]
        logger.warning("the database failed in the middle of a refresh, which begins again: %s", reason)
        if not connection.is_usable():
            connection.close()  # the next statement makes another
        refresh()


def refresh(clock: Clock = timezone.now) -> None:
    """Fetch every listed metal and publish new prices, each source's as soon as it has answered.

    A metal without any price gets its fallback first, so that screens do not wait for a source's timeout. While the
    market is closed, a metal confirmed a short while ago is left out.
    """
    ingest.fall_back_where_due(now=clock(), unpriced_only=True)
    metals = _metals_to_fetch(clock())
    if not metals:
        logger.debug("the market is closed, and every price was confirmed a short while ago")
    else:
        number = Head.begin_refresh()
        (_by_consensus if settings.CONSENSUS_SOURCES else _by_the_first)(metals, number, clock)
        ingest.contest_prices(refresh=number, now=clock())
    ingest.apply_premiums(now=clock())  # one may have begun where no source has a new price
    ingest.fall_back_where_due(now=clock())


def _metals_to_fetch(now: dt.datetime) -> list[Metal]:
    """The listed metals, without those that rest while the market is closed (prices/schedule.py)."""
    confirmed, every = confirmations.last_confirmed(now), schedule.interval()
    # Sources answer late and tasks may come early: the last confirmation seems less than an interval ago.
    soon = now + every / 4
    return [
        metal
        for metal in ListedMetal.metals()
        if metal not in confirmed or schedule.fetched_again(confirmed[metal], every) <= soon
    ]


def _by_the_first(metals: list[Metal], refresh: int, clock: Clock) -> None:
    """Publish each metal from the first source with a fresh price; the next one may confirm a quarantined price.

    Where no source has a fresh price, publish a stale one, marked as stale, unless a newer one is out.
    """
    fresh: set[Metal] = set()
    stale: list[Quote] = []
    excluded: dict[Metal, list[SourceQuote]] = {metal: [] for metal in metals}

    def offer(outcome: Outcome) -> set[Metal]:
        quarantined: set[Metal] = set()
        if outcome.fresh:
            fresh.update(quote.metal for quote in outcome.fresh)
            offered = [quote.beside(excluded[quote.metal]) for quote in outcome.fresh]
            quarantined = ingest.offer(offered, now=clock(), refresh=refresh)
            for quote in outcome.fresh:
                if quote.metal in quarantined:
                    excluded[quote.metal] += quote.excluded(Exclusion.QUARANTINED)
        if outcome.is_over:
            stale.extend(outcome.stale)
            for metal, part in outcome.exclusions.items():
                excluded[metal].append(part)
            registry.remember(outcome, clock())
        return quarantined

    failover.one_after_the_other(registry.sources_to_fetch(clock()), metals, terms(clock), take=offer)
    newest = {quote.metal: quote for quote in sorted(stale, key=lambda quote: quote.quoted_at)}
    if not newest.keys() <= fresh:
        offered = [quote.beside(excluded[metal]) for metal, quote in newest.items() if metal not in fresh]
        ingest.offer(offered, now=clock())


def _by_consensus(metals: list[Metal], refresh: int, clock: Clock) -> None:
    """Publish each metal as enough sources agree on it, as soon as no missing answer could overturn that.

    When all have answered, or the budget is used up, their final agreement replaces the earlier one.
    """
    names = registry.sources_to_fetch(clock())
    answers = _Answers(metals, names, clock)
    agreements: dict[Metal, Agreement] = {}
    offered: set[Quote | None] = {None}
    for outcomes in failover.side_by_side(names, metals, terms(clock)):
        decided = {metal: found for metal in answers.take(outcomes) if (found := answers.decided(metal))}
        news = [found for found in decided.values() if found.is_final or found.quote not in offered]
        if any(found.quote for found in news):
            ingest.offer_agreements(news, now=clock(), refresh=refresh)
        offered |= {found.quote for found in news}
        agreements |= decided
        for outcome in outcomes:
            if outcome.is_over:
                registry.remember(outcome, clock())
    for metal, found in agreements.items():
        registry.remember_outliers(metal, found, clock())
        if found.quote is None:
            ingest.quarantine_disagreement(answers.quotes[metal], now=clock(), refresh=refresh)


class _Answers:
    """The sources' answers in one refresh, by metal, and the sources whose answers are missing."""

    def __init__(self, metals: Sequence[Metal], names: Sequence[str], clock: Clock) -> None:
        self.quotes: dict[Metal, list[Quote]] = {metal: [] for metal in metals}
        self._missing = {metal: set(names) for metal in metals}
        self._excluded: dict[Metal, dict[str, SourceQuote]] = {metal: {} for metal in metals}
        sources = registry.in_order()
        self._tolerances = registry.tolerances(sources)
        self._standing = {source.name: standing.read(source.standing) for source in sources}
        self._clock = clock

    def take(self, outcomes: Sequence[Outcome]) -> list[Metal]:
        """Add new answers, quotes and errors alike; returns their metals."""
        missing = {metal: set(names) for metal, names in self._missing.items()}
        for outcome in outcomes:
            for quote in outcome.fresh:
                self.quotes[quote.metal].append(quote)
            for metal in outcome.answered:
                self._missing[metal].discard(outcome.source)
            for metal, part in outcome.exclusions.items():
                self._excluded[metal][outcome.source] = part
        return [metal for metal, names in self._missing.items() if names != missing[metal]]

    def decided(self, metal: Metal) -> Agreement | None:
        """The agreement on a metal less any premium, so that duty is no difference; None while it is open."""
        if not self.quotes[metal]:
            return None
        found = decision(
            [before_premium(quote) for quote in self.quotes[metal]],
            missing=len(self._missing[metal]),
            minimum=settings.CONSENSUS_SOURCES,
            tolerance_percent=self._tolerances.__getitem__,
            standing={quote.source for quote in self.quotes[metal] if self._stands_still(quote)},
        )
        if found is None or found.quote is None:
            return found
        return replace(found, quote=found.quote.beside(self._excluded[metal].values()))

    def _stands_still(self, quote: Quote) -> bool:
        """Return True if a quote has the price that its source has given for too long."""
        record = self._standing[quote.source].get(quote.metal)
        if record is None:
            return False
        return record.after(quote, self._clock()).span(settings.MARKET_CALENDAR) >= settings.STANDING_AFTER
