"""Prometheus metrics of price sources and quarantined prices, and of clocks.

They are read from the database at each scrape, so each host has the same; only clocks are a host's own.
"""

import datetime as dt
import math
from collections.abc import Callable, Mapping
from typing import Final

from django.conf import settings
from django.db.models import Count, Q
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from infra import clock
from prices import clock_watch
from prices.domain import standing
from prices.domain.breaker import State
from prices.models import HeldPrice, ListedMetal, ProviderState

_COUNTERS = {
    "refreshes_total": ("swarna_source_refreshes", "Times that a source was fetched from."),
    "failures_total": ("swarna_source_failures", "Times that a source gave no fresh price at all."),
    "calls_total": ("swarna_source_calls", "Calls to a source."),
    "set_aside_total": ("swarna_source_set_aside", "Times that a source's price was an outlier."),
}


def _age(source: ProviderState, now: dt.datetime) -> float | None:
    at = source.last_success_at
    if at and clock.is_plausible(at, now):
        return max(0.0, (now - at).total_seconds())
    return math.inf if source.refreshes_total else None


def _standing(source: ProviderState, now: dt.datetime) -> float | None:
    spans = [record.span(settings.MARKET_CALENDAR) for record in standing.read(source.standing).values()]
    return max(spans).total_seconds() if spans else None


# Each with its value at a moment; None where a source has none.
_GAUGES: Final[Mapping[str, tuple[str, Callable[[ProviderState, dt.datetime], float | None]]]] = {
    "swarna_source_enabled": ("0 if staff switched a source off.", lambda source, now: source.enabled),
    "swarna_source_breaker_open": (
        "1 while a source is left alone, or tried once, for its failures, or would be, were enough others left.",
        lambda source, now: source.breaker.state(now) is not State.CLOSED,
    ),
    "swarna_source_seconds_since_success": (
        "Since a source last gave a fresh price; +Inf if it never did, or by a clock that was ahead.",
        _age,
    ),
    "swarna_source_latency_seconds": (
        "How long a source took for its last prices.",
        lambda source, now: None if source.latency_ms is None else source.latency_ms / 1000,
    ),
    "swarna_source_standing_seconds": (
        "Open-market time in which a source moved its time, and not the price of some metal.",
        _standing,
    ),
    "swarna_source_quota_left": (
        "Calls that are left in a source's quota, where it has one.",
        lambda source, now: source.calls_left(now),
    ),
}


def metrics(now: dt.datetime) -> list[Metric]:
    """The metrics of the sources that PRICE_PROVIDERS names, of prices that wait for a decision, and of clocks."""
    sources = list(ProviderState.objects.filter(name__in=settings.PRICE_PROVIDERS))
    families: list[Metric] = []
    for field, (name, help_text) in _COUNTERS.items():
        counter = CounterMetricFamily(name, help_text, labels=["source"])
        for source in sources:
            counter.add_metric([source.name], getattr(source, field))
        families.append(counter)
    for name, (help_text, value_of) in _GAUGES.items():
        gauge = GaugeMetricFamily(name, help_text, labels=["source"])
        for source in sources:
            if (value := value_of(source, now)) is not None:
                gauge.add_metric([source.name], value)
        families.append(gauge)
    return [*families, _quarantined(), _clocks()]


def _quarantined() -> Metric:
    family = GaugeMetricFamily("swarna_held_prices", "Prices that wait for a decision, by metal.", labels=["metal"])
    waiting = Q(held_prices__decision=HeldPrice.Decision.PENDING, held_prices__currency=settings.BASE_CURRENCY)
    metals = ListedMetal.objects.filter(enabled=True).annotate(waiting=Count("held_prices", filter=waiting))
    for name, count in metals.values_list("name", "waiting"):
        family.add_metric([name], count)
    return family


def _clocks() -> Metric:
    family = GaugeMetricFamily(
        "swarna_clock_ahead_seconds",
        "How far a clock is ahead of the database's, negative where it is behind: this host's (web), the worker's.",
        labels=["of"],
    )
    for name, ahead in {"web": clock_watch.watch.check(), "worker": clock_watch.worker_ahead()}.items():
        family.add_metric([name], ahead.total_seconds())
    return family
