"""The metrics of price sources, and /metrics when the database cannot be read."""

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from channels.testing import HttpCommunicator
from prometheus_client import CollectorRegistry, Metric, generate_latest
from pytest_django import Settings

from infra.metrics.page import with_metrics
from prices.domain.quota import Quota
from prices.domain.quotes import Metal
from prices.models import HeldPrice, ProviderState
from prices.providers.errors import TemporaryError
from prices.sources.metrics import metrics
from streaming.metrics import Metrics
from swarna.environment import networks
from tests.support.scrape import read
from tests.support.world import MINUTE, PRICES, World


def samples(families: Iterable[Metric]) -> dict[tuple[str, str], float]:
    """Each sample as Prometheus reads it, by its name and its one label."""

    class Collector:
        def collect(self) -> Iterable[Metric]:
            return families

    registry = CollectorRegistry()
    registry.register(Collector())
    return read(generate_latest(registry).decode())


@pytest.mark.django_db
@pytest.mark.usefixtures("seeded")
def test_each_source_has_its_numbers(world: World, settings: Settings) -> None:
    settings.A_QUOTA = Quota(100, "month")
    world.says["a"] = TemporaryError("is away")
    for _ in range(3):
        world.refresh()
    ProviderState.objects.filter(name="b").update(latency_ms=250, enabled=False)
    said = samples(metrics(world.now + MINUTE))
    assert {name: value for (name, source), value in said.items() if source == "a"} == {
        "swarna_source_refreshes_total": 3,
        "swarna_source_failures_total": 3,
        "swarna_source_calls_total": 3,
        "swarna_source_set_aside_total": 0,
        "swarna_source_enabled": 1,
        "swarna_source_breaker_open": 1,
        "swarna_source_seconds_since_success": float("inf"),
        "swarna_source_quota_left": 97,
    }
    assert {name: value for (name, source), value in said.items() if source == "b"} == {
        "swarna_source_refreshes_total": 3,
        "swarna_source_failures_total": 0,
        "swarna_source_calls_total": 3,
        "swarna_source_set_aside_total": 0,
        "swarna_source_enabled": 0,
        "swarna_source_breaker_open": 0,
        "swarna_source_seconds_since_success": 60,
        "swarna_source_latency_seconds": 0.25,
        "swarna_source_standing_seconds": 120,
    }
    assert ("swarna_source_seconds_since_success", "c") not in said
    while_left_alone = samples(metrics(world.now))
    assert while_left_alone["swarna_source_breaker_open", "a"] == 1


@pytest.mark.django_db
@pytest.mark.usefixtures("seeded")
def test_disagreement_is_counted(world: World, settings: Settings) -> None:
    settings.CONSENSUS_SOURCES = 2
    world.says["b"] = PRICES | {Metal.GOLD: "1320"}
    world.refresh()
    said = samples(metrics(world.now))
    assert [said["swarna_source_set_aside_total", name] for name in "abc"] == [0, 1, 0]


@pytest.mark.django_db
@pytest.mark.usefixtures("seeded")
def test_prices_that_wait_are_counted_by_metal(world: World, settings: Settings) -> None:
    settings.PRICE_PROVIDERS = ["a"]
    world.refresh()
    world.says["a"] = PRICES | {Metal.GOLD: "14520"}
    world.refresh()
    assert [samples(metrics(world.now))["swarna_held_prices", metal] for metal in ("gold", "silver")] == [1, 0]
    HeldPrice.objects.update(decision="rejected")
    assert samples(metrics(world.now))["swarna_held_prices", "gold"] == 0


# --- the page ------------------------------------------------------------------------------------------------------


async def page(more: Callable[[], Any], **options: Any) -> tuple[int, str]:
    async def elsewhere(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError("only /metrics is asked for")

    application = with_metrics(elsewhere, Metrics().registry, networks("10.0.0.0/8"), more=more, **options)
    communicator = HttpCommunicator(application, "GET", "/metrics")
    communicator.scope["client"] = ("10.1.2.3", 50000)
    response = await communicator.get_response(timeout=5)
    return response["status"], response["body"].decode()


async def test_a_database_that_is_away_takes_nothing_else_with_it(caplog: pytest.LogCaptureFixture) -> None:

    async def fail() -> Iterable[Metric]:
        raise OSError("connection refused\nIs the server running?")

    status, text = await page(fail)
    assert (status, 'swarna_connections{process="0"} 0.0' in text) == (200, True)
    assert caplog.messages == ["/metrics does without the price sources: connection refused"]


async def test_a_database_that_hangs_holds_nothing_up(caplog: pytest.LogCaptureFixture) -> None:
    began = time.monotonic()

    async def hang() -> Iterable[Metric]:
        await asyncio.Event().wait()
        return ()

    status, text = await page(hang, timeout=0.05)
    assert (status, 'swarna_connections{process="0"} 0.0' in text) == (200, True)
    assert time.monotonic() - began < 2
    assert caplog.messages == ["/metrics does without the price sources: the database did not answer in 0.05 s"]
