"""The consumers as Channels' own tutorial has them; without a channel layer, the bare one."""

import json
from pathlib import Path
from typing import Any

import django
from channels.generic.websocket import AsyncJsonWebsocketConsumer
from channels.routing import ProtocolTypeRouter

from bench.textbook import settings

django.setup()

SNAPSHOT = json.loads(Path(settings.PAYLOADS).read_text().partition("\n")[0]) | {"seq": 0}


class BareConsumer(AsyncJsonWebsocketConsumer):
    """Accepts, and sends one snapshot."""

    async def connect(self) -> None:
        await self.accept()
        await self.send_json(SNAPSHOT)

    async def receive_json(self, content: Any, **kwargs: Any) -> None:
        if content["type"] == "ping":
            await self.send_json({"type": "pong"})


class PriceConsumer(BareConsumer):
    """One client, which is one member of the group."""

    async def connect(self) -> None:
        await self.channel_layer.group_add("prices", self.channel_name)
        await super().connect()

    async def disconnect(self, code: int) -> None:
        await self.channel_layer.group_discard("prices", self.channel_name)

    async def price_update(self, event: dict[str, Any]) -> None:
        await self.send_json(event["message"])


consumer = PriceConsumer if settings.REDIS_URL else BareConsumer
application = ProtocolTypeRouter({"websocket": consumer.as_asgi()})
