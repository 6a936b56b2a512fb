"""Fetching by this deployment's terms: for a refresh, and beside the refreshes for staff and operators."""

from collections.abc import Collection

from django.conf import settings
from django.utils import timezone

from infra.clock import Clock
from prices import schedule
from prices.models import ListedMetal
from prices.providers.errors import QuotaError
from prices.sources import failover, registry
from prices.sources.failover import Outcome, Terms


def terms(clock: Clock) -> Terms:
    """Within PROVIDER_BUDGET and the sources' quotas, by the current freshness limit.

    The clock is read for each source: one may answer the whole budget later than another.
    """
    limit = schedule.freshness_limit()
    return Terms(
        budget=settings.PROVIDER_BUDGET,
        clock=clock,
        is_stale=lambda quote: schedule.is_stale(quote, now=clock(), limit=limit),
        reserve=lambda name, calls: registry.reserve(name, calls, clock()),
    )


def probe(names: Collection[str], clock: Clock = timezone.now) -> dict[str, Outcome]:
    """Fetch all listed metals from these sources, side by side, and publish nothing.

    Names that are not in PRICE_PROVIDERS are left out. Neither a source's health nor its switch matters, but its quota
    does. Its calls are counted and its outcome is recorded, as in a refresh.
    """
    now = clock()
    metals = ListedMetal.metals()
    named = [source for source in registry.in_order() if source.name in names]
    outcomes = {source.name: Outcome(source.name, is_over=True) for source in named}
    for source in named:
        if source.calls_left(now) == 0:
            # Not recorded: it did not fail.
            outcomes[source.name].errors = dict.fromkeys(metals, QuotaError(f"its quota of {source.quota} is used up"))
    may = [name for name, outcome in outcomes.items() if not outcome.errors]
    for news in failover.side_by_side(may, metals, terms(clock)):
        for outcome in news:
            if outcome.is_over:
                registry.remember(outcome, clock())
                outcomes[outcome.source] = outcome
    return outcomes
