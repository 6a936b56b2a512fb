"""From a committed tick to every web process: one message to one Channels group, whatever the number of clients."""

import logging
from typing import Any

import msgspec
from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from redis.exceptions import RedisError

from prices.quotes import PublishedTick
from streaming.ticks import Tick

logger = logging.getLogger(__name__)

GROUP = "prices"
TICK = "prices.tick"
RELOAD = "prices.reload"


def tick(published: PublishedTick) -> None:
    """Tell every web process of a tick. Call it after the tick is committed.

    Delivered at most once, and almost always in order: a hub sees by `seq` that it missed one and reads the
    database. Redis being away is therefore logged and not raised: what called us did its work.
    """
    _send({"type": TICK, "tick": msgspec.msgpack.encode(Tick.of(published))})


def reload() -> None:
    """Tell every web process to read the database again: what is listed, or how long a quote is fresh, has changed."""
    _send({"type": RELOAD})


def _send(message: dict[str, Any]) -> None:
    layer = get_channel_layer()
    if layer is None:
        # `manage.py up` is not running, and REDIS_URL is not set: a web process finds it in the database.
        logger.debug("there is no Redis to publish to")
        return
    try:
        async_to_sync(layer.group_send)(GROUP, message)
    except (RedisError, OSError) as error:
        logger.error(
            "Redis did not take a message (%s); web processes will read it from the database within seconds",
            error,
        )
