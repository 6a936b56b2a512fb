"""One refresh: ask the sources, record what they gave, fall back where nobody has answered for too long."""

import datetime as dt
import logging
from collections.abc import Callable

from django.conf import settings
from django.utils import timezone

from prices import confirmations, ingest, schedule, sources
from prices.asking import asked
from prices.consensus import Agreement, agreement
from prices.models import ListedMetal
from prices.premiums import before_premium
from prices.providers import chain
from prices.quotes import Metal, Quote

logger = logging.getLogger(__name__)


def refresh_if_due() -> None:
    """Do the refresh that is due, unless another worker claimed it."""
    if schedule.claim(timezone.now()):
        refresh()
    else:
        logger.debug("another worker has this refresh")


def refresh(clock: Callable[[], dt.datetime] = timezone.now) -> None:
    """Fetch every listed metal and publish what is new, each source's prices as soon as it has answered.

    A metal without any price gets its fallback first, so that nobody waits for a source's time-out. While the market is
    closed, one whose price was confirmed a short while ago is left out.
    """
    ingest.fall_back_where_due(now=clock(), unpriced_only=True)
    metals = _to_ask_for(clock())
    if not metals:
        logger.debug("the market is closed, and every price was confirmed a short while ago")
    elif settings.CONSENSUS_SOURCES:
        _by_consensus(metals, clock)
    else:
        _by_the_first(metals, clock)
    ingest.apply_premiums(now=clock())  # one may have come into force where no source has a new price
    ingest.fall_back_where_due(now=clock())


def _to_ask_for(now: dt.datetime) -> list[Metal]:
    """The listed metals, less those that are left alone while the market is closed (prices/schedule.py)."""
    confirmed, every = confirmations.last_confirmed(now), schedule.interval()
    # A source takes its time to answer, and tasks may come early: the last refresh seems a little less long ago.
    soon = now + every / 4
    return [
        metal
        for metal in ListedMetal.metals()
        if metal not in confirmed or schedule.asked_again(confirmed[metal], every) <= soon
    ]


def _by_the_first(metals: list[Metal], clock: Callable[[], dt.datetime]) -> None:
    """Each metal from the first source that has a fresh price. For one that is held the next is asked, and may confirm.

    A stale price goes out, as what it is, where nobody has a fresh one.
    """
    fresh: set[Metal] = set()
    stale: list[Quote] = []
    for outcome in asked(chain.one_after_the_other, sources.to_ask(clock()), metals, clock):
        fresh |= {quote.metal for quote in outcome.fresh}
        outcome.held |= ingest.offer(outcome.fresh, now=clock())
        if outcome.is_over:
            stale += outcome.stale
            sources.remember(outcome, clock())
    newest = {quote.metal: quote for quote in sorted(stale, key=lambda quote: quote.quoted_at)}
    if not newest.keys() <= fresh:
        ingest.offer([quote for metal, quote in newest.items() if metal not in fresh], now=clock())


def _by_consensus(metals: list[Metal], clock: Callable[[], dt.datetime]) -> None:
    """Each metal as enough sources agree on it, as soon as they do, and again when another one has its say."""
    tolerances = sources.tolerances()
    said: dict[Metal, dict[str, Quote]] = {}
    agreements: dict[Metal, Agreement] = {}
    for outcomes in asked(chain.side_by_side, sources.to_ask(clock()), metals, clock):
        fresh = [quote for outcome in outcomes for quote in outcome.fresh]
        for quote in fresh:
            said.setdefault(quote.metal, {})[quote.source] = quote
        for metal in {quote.metal for quote in fresh}:
            agreements[metal] = agreement(
                [before_premium(quote) for quote in said[metal].values()],
                minimum=settings.CONSENSUS_SOURCES,
                tolerance_percent=tolerances.__getitem__,
            )
        ingest.offer(filter(None, (agreements[metal].quote for metal in metals if metal in agreements)), now=clock())
        for outcome in outcomes:
            if outcome.is_over:
                sources.remember(outcome, clock())
    for metal, found in agreements.items():
        sources.remember_agreement(metal, found, clock())
        if found.quote is None:
            ingest.hold_for_disagreement(list(said[metal].values()), now=clock())
