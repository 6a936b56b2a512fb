"""Asking sources: for a refresh, and beside the refreshes for staff and operators, where nothing is published."""

import datetime as dt
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
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
from prices.quotes import Metal

_News = TypeVar("_News")


def asked(
    way: Callable[..., Iterator[_News]], names: Sequence[str], metals: Sequence[Metal], clock: Callable[[], dt.datetime]
) -> Iterator[_News]:
    """What sources say, in one of the chain's ways, within PROVIDER_BUDGET and what their quotas leave."""

    def book(name: str, calls: int) -> Booking | None:
        return sources.book(name, calls, clock())  # by when its turn comes, a month may have begun

    now = clock()
    stale = partial(is_stale, now=now, limit=freshness_limit())
    return way(names, metals, budget=settings.PROVIDER_BUDGET, now=now, is_stale=stale, book=book)


def ask(names: Collection[str], clock: Callable[[], dt.datetime] = timezone.now) -> dict[str, Outcome]:
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
