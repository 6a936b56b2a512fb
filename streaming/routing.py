"""The stream's addresses: the root, where the seed's clients connect, and /ws/prices/."""

import asyncio
from collections.abc import Awaitable
from typing import Any, Final

from channels.layers import get_channel_layer
from django.conf import settings

from infra import clock
from infra.asgi import Application
from infra.database_threads import in_a_thread
from infra.fixed_window import FixedWindowCounter
from prices import clock_watch
from prices.domain.positions import Position
from prices.domain.quotes import shown_kinds
from prices.publishing import audience, snapshot
from prices.publishing.position_memory import PositionMemory
from streaming import auth
from streaming.admission import Gate
from streaming.consumers import PriceConsumer
from streaming.feed import PriceFeed
from streaming.hub import Hub
from streaming.limits import ConnectionLimiter
from streaming.metrics import Metrics

ADDRESSES: Final = ("/", "/ws/prices/")


async def _refuse(scope: Any, receive: Any, send: Any) -> None:
    """Refuse the handshake of a WebSocket at any other path."""
    await send({"type": "websocket.close"})


def hub_of_this_process(metrics: Metrics, gate: Gate) -> Hub:
    """The hub of this process and its feed, not yet started. The feed tells the gate of credentials that end."""
    memory = PositionMemory(settings.STATE_DIR, settings.REDIS_URL, settings.REDIS_PREFIX)

    def load(since: Position) -> snapshot.Snapshot:
        clock_watch.watch.check()  # logs a wrong clock; a web process has no other regular check
        return snapshot.read(since, seen=None if since.epoch else memory.recall())

    feed = PriceFeed(
        load=in_a_thread(load),
        remember=lambda position: asyncio.to_thread(memory.keep, position),
        layer=get_channel_layer,
        currency=settings.BASE_CURRENCY,
        kinds=shown_kinds(settings.PRICE_PROVIDERS),
        metrics=metrics,
        recheck=gate.auth.recheck,
    )
    return Hub(
        feed,
        clock=clock.read,
        calendar=settings.MARKET_CALENDAR,
        max_connections=settings.WS_MAX_CONNECTIONS,
        batch_interval=settings.WS_BATCH_INTERVAL,
        restart_spread=settings.WS_RESTART_SPREAD,
        report=lambda clients: asyncio.to_thread(audience.report, clients),
    )


def gate_of_this_process(metrics: Metrics) -> Gate:
    """The limits that the clients of this process share, on all transports."""
    return Gate(
        auth.Authenticator(
            look_up=in_a_thread(auth.holders),
            note_use=in_a_thread(auth.note_use),
            required=settings.WS_AUTH_REQUIRED,
            recheck=settings.WS_AUTH_RECHECK.total_seconds(),
        ),
        ConnectionLimiter(settings.WS_MAX_CONNECTIONS_PER_IP),
        metrics,
    )


def websocket_application(hub: Hub, gate: Gate) -> Application:
    """The WebSocket side of this process."""
    stream = PriceConsumer.as_asgi(
        hub=hub,
        gate=gate,
        user_rates=FixedWindowCounter(settings.REDIS_URL, f"{settings.REDIS_PREFIX}:rate", settings.WS_RATE_WINDOW),
    )

    def application(scope: Any, receive: Any, send: Any) -> Awaitable[None]:
        # Channels' URLRouter would keep a copy of each connection's scope: 1.3 KB of 7.4 for each.
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        return (stream if path in ADDRESSES else _refuse)(scope, receive, send)

    return application
