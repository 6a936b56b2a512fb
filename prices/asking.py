"""Asking sources beside the refreshes, for staff and operators. Nothing is published, but all else is remembered."""

import datetime as dt
from collections.abc import Callable, Collection
from functools import partial

from django.conf import settings
from django.utils import timezone

from prices import sources
from prices.current import freshness_limit, is_stale
from prices.models import ListedMetal
from prices.providers import chain
from prices.providers.chain import Outcome
from prices.providers.errors import QuotaError


def ask(names: Collection[str], clock: Callable[[], dt.datetime] = timezone.now) -> dict[str, Outcome]:
    """What each of these sources says now of every listed metal, all asked side by side within PROVIDER_BUDGET.

    Names that are not in PRICE_PROVIDERS are left out. A source is asked whatever its health and though it is switched
    off, but not beyond its quota. Its calls are counted and its outcome is written down, as in a refresh.
    """
    now = clock()
    metals = ListedMetal.metals()
    asked = [source for source in sources.in_order() if source.name in names]
    outcomes = {source.name: Outcome(source.name, is_over=True) for source in asked}
    for source in asked:
        if source.calls_left(now) == 0:
            # Not written down: it did not fail.
            outcomes[source.name].errors = dict.fromkeys(metals, QuotaError(f"its quota of {source.quota} is used up"))
    may = {source.name: source.calls_left(now) for source in asked if source.calls_left(now) != 0}
    stale = partial(is_stale, now=now, limit=freshness_limit())
    for news in chain.side_by_side(may, metals, budget=settings.PROVIDER_BUDGET, now=now, is_stale=stale):
        for outcome in news:
            if outcome.is_over:
                sources.remember(outcome, clock())
                outcomes[outcome.source] = outcome
    return outcomes
