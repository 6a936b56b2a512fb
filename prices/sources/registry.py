"""The price sources in staff's order, and the record of each: its calls, failures and rests."""

import datetime as dt
import logging
from collections.abc import Iterable, Mapping
from decimal import Decimal

from django.conf import settings
from django.db import transaction
from django.db.models import F

from infra import readable, schema
from prices.domain import standing
from prices.domain.breaker import State
from prices.domain.consensus import Agreement
from prices.domain.quota import Reservation
from prices.domain.quotes import Metal, Quote
from prices.domain.source_quotes import Exclusion
from prices.models import Configuration, ProviderState
from prices.providers.errors import PermanentError, QuotaError
from prices.sources.failover import Outcome
from prices.sources.health import Health, health, standing_still

logger = logging.getLogger(__name__)

_NOT_FETCHED = (Health.OFF, Health.QUOTA_USED_UP, Health.RESTS)


def in_order() -> list[ProviderState]:
    """The sources of this deployment, in staff's order or, if PRICE_PROVIDERS changed since, in its order.

    So the last change counts, an operator's or staff's.
    """
    names: list[str] = settings.PRICE_PROVIDERS
    deployed = ",".join(names)
    if Configuration.load().deployed_providers != deployed:
        ProviderState.objects.bulk_create(
            (ProviderState(name=name, position=position) for position, name in enumerate(names)),
            update_conflicts=True,
            unique_fields=["name"],
            update_fields=["position"],
        )
        Configuration.objects.update(deployed_providers=deployed)
    return list(ProviderState.objects.filter(name__in=names))


def sources_to_fetch(now: dt.datetime) -> list[str]:
    """The sources to fetch from now, in order.

    Leaves out sources that staff switched off, that demanded a rest, whose quota is used up, and whose breaker is
    open, unless they are `needed`.
    """
    may = _available(now)
    chosen = [source for source in may if source.breaker.state(now) is State.CLOSED or _is_probe(source, now)]
    chosen += _needed(may, chosen)
    return [source.name for source in may if source in chosen]


def needed(now: dt.datetime) -> frozenset[str]:
    """The sources that are fetched from though their breaker is open, as too few others are left.

    A breaker only saves time for other sources, of which there are too few.
    """
    may = _available(now)
    trusted = [source for source in may if source.breaker.state(now) is not State.OPEN]
    return frozenset(source.name for source in _needed(may, trusted))


def _available(now: dt.datetime) -> list[ProviderState]:
    """The sources that may be fetched from, failing ones among them."""
    return [source for source in in_order() if health(source, now) not in _NOT_FETCHED]


def _needed(may: list[ProviderState], trusted: list[ProviderState]) -> list[ProviderState]:
    """As many of the other sources, in order, as are missing beside the trusted ones."""
    lacking = max(settings.CONSENSUS_SOURCES, 1) - len(trusted)
    return [source for source in may if source not in trusted][: max(lacking, 0)]


def _is_probe(source: ProviderState, now: dt.datetime) -> bool:
    """Claim the one try of a source whose breaker is half open; returns False if another refresh has it."""
    breaker = source.breaker
    if breaker.state(now) is not State.HALF_OPEN:
        return False
    waiting = ProviderState.objects.filter(name=source.name, open_until=breaker.open_until)
    return waiting.update(open_until=now + settings.PROVIDER_BUDGET) == 1


def reserve(name: str, calls: int, now: dt.datetime) -> Reservation | None:
    """Take calls out of a source's quota before they are made, as many as are left; None if it has no quota.

    So no other refresh makes the same calls meanwhile. `remember` gives back those that were not made.
    """
    quota = ProviderState(name=name).quota
    if quota is None:
        return None
    with transaction.atomic():
        source = schema.get_or_create(ProviderState.objects.select_for_update(), name=name)
        reservation = Reservation(
            min(calls, quota.left(source.calls, source.calls_since, now)), quota.counted_from(source.calls_since, now)
        )
        _begin_period(source, reservation.since)
        source.calls += reservation.calls
        source.save(update_fields=["calls", "calls_since"])
    return reservation


def remember(outcome: Outcome, now: dt.datetime) -> None:
    """Record a source's outcome in one refresh, and give back the calls that it did not make."""
    with transaction.atomic():
        source = schema.get_or_create(ProviderState.objects.select_for_update(), name=outcome.source)
        source.refreshes_total += 1
        if outcome.quotes:
            source.last_success_at, source.failures, source.open_until = now, 0, None
            source.latency_ms = round(outcome.seconds * 1000)
        if outcome.errors:
            source.last_error_at, source.last_error = now, outcome.detail
        if outcome.retry_after:
            source.rests_until = now + outcome.retry_after
            logger.warning("%s rests for %s, by its Retry-After", outcome.source, outcome.retry_after)
        was = source.breaker
        if outcome.errors and not outcome.quotes:
            source.failures_total += 1
            for_good = all(isinstance(error, PermanentError | QuotaError) for error in outcome.errors.values())
            breaker = was.failed(now, for_good=for_good)
            source.failures, source.open_until = breaker.failures, breaker.open_until
        _count_calls(source, outcome.calls, now, outcome.reservation)
        _remember_prices(source, outcome.all_quotes, now)
        source.save()
        if source.open_until and not was.open_until:
            _log_open_breaker(source, was.failures + 1, now)


def _remember_prices(source: ProviderState, quotes: Iterable[Quote], now: dt.datetime) -> None:
    """Record for how long a source's prices stand still, and log those that begin to."""
    before = standing_still(source)
    source.standing = standing.to_store(standing.following(standing.read(source.standing), quotes, now))
    for metal, span in standing_still(source).items():
        if metal not in before:
            for_long = readable.span(span.total_seconds())
            logger.warning("%s gives %s the same price for %s, while its time moves", source.name, metal, for_long)


def count_calls(name: str, calls: int, now: dt.datetime, reservation: Reservation | None) -> None:
    """Record calls to a source beside the refreshes; as in `remember`, reserved calls that were not made go back."""
    with transaction.atomic():
        source = schema.get_or_create(ProviderState.objects.select_for_update(), name=name)
        _count_calls(source, calls, now, reservation)
        source.save(update_fields=["calls", "calls_since", "calls_total"])


def _log_open_breaker(opened: ProviderState, refreshes: int, now: dt.datetime) -> None:
    """Log that a breaker opened after so many refreshes, and the sources that are fetched from all the same."""
    all_the_same = needed(now)
    if opened.name not in all_the_same:
        logger.warning(
            "%s is left alone until %s, after %d refresh%s without a fresh price",
            opened.name,
            f"{opened.open_until:%H:%M:%SZ}",
            refreshes,
            "" if refreshes == 1 else "es",
        )
    for name in sorted(all_the_same):
        logger.warning("%s fails, and is fetched from all the same: too few other sources are left", name)


def _count_calls(source: ProviderState, calls: int, now: dt.datetime, reservation: Reservation | None) -> None:
    source.calls_total += calls
    if source.quota is None:
        return
    _begin_period(source, source.quota.counted_from(source.calls_since, now))
    if reservation and reservation.since == source.calls_since:
        source.calls -= reservation.calls
    source.calls += calls
    if calls and source.calls_left(now) == 0:
        logger.warning("%s is not fetched from before its quota of %s begins anew", source.name, source.quota)


def _begin_period(source: ProviderState, since: dt.date) -> None:
    if source.calls_since != since:
        source.calls, source.calls_since = 0, since


def tolerances(sources: Iterable[ProviderState] | None = None) -> Mapping[str, Decimal]:
    """The tolerance of each source, or of these: its greatest deviation from the median, in percent."""
    of = in_order() if sources is None else sources
    return {source.name: source.tolerance_percent or settings.CONSENSUS_TOLERANCE_PERCENT for source in of}


def remember_outliers(metal: Metal, agreement: Agreement, now: dt.datetime) -> None:
    """Record and log the sources that an agreement excludes."""
    compared = len(agreement.deviations) - list(agreement.excluded.values()).count(Exclusion.STANDING)
    for name, rule in agreement.excluded.items():
        still = "stands still, " if rule is Exclusion.STANDING else ""
        detail = f"{metal}: {still}{agreement.deviations[name]:+.2f} % from the median of {compared}"
        logger.warning("%s is excluded for %s", name, detail)
        remember_outlier(name, detail, now)


def remember_outlier(name: str, detail: str, now: dt.datetime) -> None:
    """Record that a source's price was excluded, with the `detail` for staff."""
    ProviderState.objects.filter(name=name).update(
        disagreement=detail, disagreed_at=now, set_aside_total=F("set_aside_total") + 1
    )


def reset(name: str) -> None:
    """Forget a source's failures and its rest. Its quota stays, which the provider counts too."""
    ProviderState.objects.filter(name=name).update(failures=0, open_until=None, rests_until=None)
