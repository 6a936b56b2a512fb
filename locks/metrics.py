"""Prometheus metrics of locks: what this process did, and how many there are."""

from functools import partial
from typing import Final

from django.db.models import Count, Q
from prometheus_client import Counter
from prometheus_client.core import GaugeMetricFamily, Metric

from infra import database_clock
from infra.metrics.shared import MetricStore
from locks.models import PriceLock
from locks.rules import Reason

# The reasons of refusals: a price that cannot be locked, and a user with too many locks.
_REASONS: Final = (*Reason, "held", "hour")


class LockCounts:
    """Counters of one process, in memory until a web process lets them count in the store of its other metrics."""

    def __init__(self) -> None:
        self.count_in(MetricStore())

    def count_in(self, store: MetricStore) -> None:
        """Count in a store from now on, which the web processes of a host share."""
        with store.making() as registry:
            counter = partial(Counter, registry=registry)
            self._granted = counter("swarna_locks_granted_total", "Price locks that were granted.")
            refused = counter("swarna_locks_refused_total", "Price locks that were refused, by reason.", ["reason"])
            self._refused = {str(reason): refused.labels(reason) for reason in _REASONS}
            self._redeemed = counter("swarna_locks_redeemed_total", "Price locks that were redeemed.")

    def granted(self) -> None:
        """Count a lock, once it is committed."""
        self._granted.inc()

    def refused(self, reason: str) -> None:
        """Count a lock that was not granted."""
        self._refused[reason].inc()

    def redeemed(self) -> None:
        """Count a redemption, once it is committed."""
        self._redeemed.inc()


# The counters of this process.
counts: Final = LockCounts()


def metrics() -> list[Metric]:
    """The locks that are held now, that have expired, and that were released, read from the database.

    Redeemed ones are kept for good, and are not counted at each scrape.
    """
    is_held, is_over = Q(status=PriceLock.Status.HELD), PriceLock.over(database_clock.now())
    found = PriceLock.objects.exclude(status=PriceLock.Status.REDEEMED).aggregate(
        held=Count("pk", filter=is_held & ~is_over),
        expired=Count("pk", filter=is_held & is_over | Q(status=PriceLock.Status.EXPIRED)),
        released=Count("pk", filter=Q(status=PriceLock.Status.RELEASED)),
    )
    family = GaugeMetricFamily(
        "swarna_locks", "Price locks that are kept, by status; redeemed ones have a counter.", labels=["status"]
    )
    for status, count in found.items():
        family.add_metric([status], count)
    return [family]
