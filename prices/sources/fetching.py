"""Asking sources: for a refresh, and beside the refreshes for staff and operators, where nothing is published."""

from collections.abc import Callable, Collection, Sequence
from typing import Any, TypeVar

from django.conf import settings
from django.utils import timezone

from infra.clock import Clock
from prices import schedule
from prices.domain.quota import Reservation
from prices.domain.quotes import Metal, Quote
from prices.models import ListedMetal
from prices.providers.errors import QuotaError
from prices.sources import failover, registry
from prices.sources.failover import Outcome

_Result = TypeVar("_Result")


def fetch(
    way: Callable[..., _Result], names: Sequence[str], metals: Sequence[Metal], clock: Clock, **options: Any
) -> _Result:
    """What sources say, in one of the chain's ways, within PROVIDER_BUDGET and what their quotas leave."""

    # Sources answer one after the other: the clock is read for each, which may be the whole budget later.
    def reserve(name: str, calls: int) -> Reservation | None:
        return registry.reserve(name, calls, clock())

    limit = schedule.freshness_limit()

    def stale(quote: Quote) -> bool:
        return schedule.is_stale(quote, now=clock(), limit=limit)

    return way(names, metals, budget=settings.PROVIDER_BUDGET, clock=clock, is_stale=stale, reserve=reserve, **options)


def probe(names: Collection[str], clock: Clock = timezone.now) -> dict[str, Outcome]:
    """What each of these sources says now of every listed metal, all asked side by side within PROVIDER_BUDGET.

    Names that are not in PRICE_PROVIDERS are left out. A source is asked whatever its health and though it is switched
    off, but not beyond its quota. Its calls are counted and its outcome is written down, as in a refresh.
    """
    now = clock()
    metals = ListedMetal.metals()
    named = [source for source in registry.in_order() if source.name in names]
    outcomes = {source.name: Outcome(source.name, is_over=True) for source in named}
    for source in named:
        if source.calls_left(now) == 0:
            # Not written down: it did not fail.
            outcomes[source.name].errors = dict.fromkeys(metals, QuotaError(f"its quota of {source.quota} is used up"))
    may = [name for name, outcome in outcomes.items() if not outcome.errors]
    for news in fetch(failover.side_by_side, may, metals, clock):
        for outcome in news:
            if outcome.is_over:
                registry.remember(outcome, clock())
                outcomes[outcome.source] = outcome
    return outcomes
