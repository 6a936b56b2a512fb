"""Where the stream is: at the root, where the seed's clients connect, and at /ws/prices/."""

from typing import Any

from channels.db import database_sync_to_async
from channels.layers import get_channel_layer
from channels.routing import URLRouter
from django.conf import settings
from django.urls import path, re_path
from django.utils import timezone

from prices import current
from streaming.consumers import PriceConsumer
from streaming.hub import Hub
from streaming.metrics import Metrics


async def _refuse(scope: Any, receive: Any, send: Any) -> None:
    """A WebSocket at any other path is refused at the handshake."""
    await send({"type": "websocket.close"})


def websocket_application(metrics: Metrics) -> URLRouter:
    """The WebSocket side of this process, with the hub that all its connections share."""
    hub = Hub(
        load=database_sync_to_async(current.standing),
        layer=get_channel_layer,
        clock=timezone.now,
        currency=settings.BASE_CURRENCY,
        max_connections=settings.WS_MAX_CONNECTIONS,
        batch_interval=settings.WS_BATCH_INTERVAL,
        restart_spread=settings.WS_RESTART_SPREAD,
        metrics=metrics,
    )
    stream = PriceConsumer.as_asgi(hub=hub)
    elsewhere: Any = _refuse  # an ASGI application, where `re_path` is typed for views
    return URLRouter([path("", stream), path("ws/prices/", stream), re_path("", elsewhere)])
