"""One refresh: ask the sources, record what they gave, fall back where nobody has answered for too long."""

import datetime as dt
import logging
from collections.abc import Callable

from django.conf import settings
from django.utils import timezone

from prices import ingest, schedule
from prices.models import LatestPrice, ListedMetal, ProviderState
from prices.providers import chain
from prices.quotes import FALLBACK, Metal

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
        return
    sources = dict.fromkeys(_awake(clock()))
    for outcome in chain.one_after_the_other(sources, metals, budget=settings.PROVIDER_BUDGET, now=clock()):
        ingest.record(outcome.fresh, now=clock())
        if outcome.is_over:
            _remember(outcome, clock())
    ingest.fall_back_where_due(now=clock())


def _to_ask_for(now: dt.datetime) -> list[Metal]:
    """The listed metals, less those that are left alone while the market is closed (prices/schedule.py)."""
    listed = ListedMetal.objects.filter(enabled=True).values_list("name", flat=True)
    confirmed = dict(
        LatestPrice.shown().exclude(lane=FALLBACK).order_by("confirmed_at").values_list("metal", "confirmed_at")
    )
    every = schedule.interval()
    # A source takes its time to answer, and tasks may come early: the last refresh seems a little less long ago.
    soon = now + every / 4
    return [
        Metal(name) for name in listed if name not in confirmed or schedule.asked_again(confirmed[name], every) <= soon
    ]


def _awake(now: dt.datetime) -> list[str]:
    """The configured sources, less those that asked to be left alone for now."""
    resting = set(ProviderState.objects.filter(rests_until__gt=now).values_list("name", flat=True))
    return [name for name in settings.PRICE_PROVIDERS if name not in resting]


def _remember(outcome: chain.Outcome, now: dt.datetime) -> None:
    state: dict[str, object] = {}
    if outcome.quotes:
        state["last_success_at"] = now
    if outcome.errors:
        state |= {"last_error_at": now, "last_error": outcome.complaint}
    if outcome.retry_after:
        state["rests_until"] = now + outcome.retry_after
        logger.warning("%s rests for %s, as it asked", outcome.source, outcome.retry_after)
    ProviderState.objects.update_or_create(name=outcome.source, defaults=state)
