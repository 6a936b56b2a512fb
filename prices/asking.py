"""Asking sources: for a refresh, and beside the refreshes for staff and operators, where nothing is published."""

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import TypeVar

from django.conf import settings
from django.utils import timezone

from prices import sources
from prices.current import freshness_limit, is_stale
from prices.models import ListedMetal
from prices.providers import chain
from prices.providers.chain import Outcome
from prices.providers.errors import QuotaError
from prices.quota import Booking
from prices.quotes import Metal, Quote
from swarna.clock import Clock

_News = TypeVar("_News")


def asked(
    way: Callable[..., Iterator[_News]], names: Sequence[str], metals: Sequence[Metal], clock: Clock
) -> Iterator[_News]:
    """What sources say, in one of the chain's ways, within PROVIDER_BUDGET and what their quotas leave."""

    # Sources answer one after the other: the clock is read for each, which may be the whole budget later.
    def book(name: str, calls: int) -> Booking | None:
        return sources.book(name, calls, clock())

    limit = freshness_limit()

    def stale(quote: Quote) -> bool:
        return is_stale(quote, now=clock(), limit=limit)

    return way(names, metals, budget=settings.PROVIDER_BUDGET, clock=clock, is_stale=stale, book=book)


def ask(names: Collection[str], clock: Clock = timezone.now) -> dict[str, Outcome]:
    """What each of these sources says now of every listed metal, all asked side by side within PROVIDER_BUDGET.

    Names that are not in PRICE_PROVIDERS are left out. A source is asked whatever its health and though it is switched
    off, but not beyond its quota. Its calls are counted and its outcome is written down, as in a refresh.
    """
    now = clock()
    metals = ListedMetal.metals()
    named = [source for source in sources.in_order() if source.name in names]
    outcomes = {source.name: Outcome(source.name, is_over=True) for source in named}
    for source in named:
        if source.calls_left(now) == 0:
            # Not written down: it did not fail.
            outcomes[source.name].errors = dict.fromkeys(metals, QuotaError(f"its quota of {source.quota} is used up"))
    may = [name for name, outcome in outcomes.items() if not outcome.errors]
    for news in asked(chain.side_by_side, may, metals, clock):
        for outcome in news:
            if outcome.is_over:
                sources.remember(outcome, clock())
                outcomes[outcome.source] = outcome
    return outcomes
