"""Prometheus metrics of price sources and quarantined prices, and of clocks.

They are read from the database at each scrape, so each host has the same; only clocks are a host's own.
"""

import datetime as dt
import math

from django.conf import settings
from django.db.models import Count, Q
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from infra import clock
from prices import clock_watch
from prices.domain.breaker import State
from prices.models import HeldPrice, ListedMetal, ProviderState

_COUNTERS = {
    "refreshes_total": ("swarna_source_refreshes", "Times that a source was fetched from."),
    "failures_total": ("swarna_source_failures", "Times that a source gave no fresh price at all."),
    "calls_total": ("swarna_source_calls", "Calls to a source."),
    "set_aside_total": ("swarna_source_set_aside", "Times that a source's price was an outlier."),
}


def metrics(now: dt.datetime) -> list[Metric]:
    """The metrics of the sources that PRICE_PROVIDERS names, of the prices that wait for a decision, and of clocks."""
    sources = list(ProviderState.objects.filter(name__in=settings.PRICE_PROVIDERS))
    return [*_counters(sources), *_gauges(sources, now), _held(), _clocks()]


def _counters(sources: list[ProviderState]) -> list[Metric]:
    families: list[Metric] = []
    for field, (name, help_text) in _COUNTERS.items():
        family = CounterMetricFamily(name, help_text, labels=["source"])
        for source in sources:
            family.add_metric([source.name], getattr(source, field))
        families.append(family)
    return families


def _gauges(sources: list[ProviderState], now: dt.datetime) -> list[Metric]:
    enabled = GaugeMetricFamily("swarna_source_enabled", "0 if staff switched a source off.", labels=["source"])
    breaker = GaugeMetricFamily(
        "swarna_source_breaker_open",
        "1 while a source is left alone, or tried once, for its failures, or would be, were enough others left.",
        labels=["source"],
    )
    age = GaugeMetricFamily(
        "swarna_source_seconds_since_success",
        "Since a source last gave a fresh price; +Inf if it never did, or by a clock that was ahead.",
        labels=["source"],
    )
    latency = GaugeMetricFamily(
        "swarna_source_latency_seconds", "How long a source took for its last prices.", labels=["source"]
    )
    quota = GaugeMetricFamily(
        "swarna_source_quota_left", "Calls that are left in a source's quota, where it has one.", labels=["source"]
    )
    for source in sources:
        labels = [source.name]
        enabled.add_metric(labels, source.enabled)
        breaker.add_metric(labels, source.breaker.state(now) is not State.CLOSED)
        if source.last_success_at and clock.is_plausible(source.last_success_at, now):
            age.add_metric(labels, max(0.0, (now - source.last_success_at).total_seconds()))
        elif source.refreshes_total:
            age.add_metric(labels, math.inf)
        if source.latency_ms is not None:
            latency.add_metric(labels, source.latency_ms / 1000)
        if (left := source.calls_left(now)) is not None:
            quota.add_metric(labels, left)
    return [enabled, breaker, age, latency, quota]


def _held() -> Metric:
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
