"""From a committed publication to every web process: one message to one Channels group, for any number of clients."""

import asyncio
import logging
import threading
from typing import Any

import msgspec
from channels.layers import get_channel_layer
from django.conf import settings
from redis.exceptions import RedisError

from prices.domain.quotes import Publication
from streaming.publication_log import PublicationMessage

logger = logging.getLogger(__name__)

GROUP = "prices"
# Types of messages. Their names and fields stay: during a deploy processes of two versions exchange them.
PUBLICATION = "prices.tick"
RELOAD = "prices.reload"
RECHECK = "accounts.recheck"


class _Publishing(threading.Thread):
    """The event loop that publishes for this process. As it is always the same, so is its connection to Redis: to
    connect takes longer than to publish.
    """

    def __init__(self) -> None:
        super().__init__(name="publishing", daemon=True)
        self.loop = asyncio.new_event_loop()

    def run(self) -> None:
        self.loop.run_forever()


_starting = threading.Lock()
_publishing: _Publishing | None = None


def publication(published: Publication) -> None:
    """Send a publication to every web process. Call it once the publication is committed.

    It is delivered at most once, and almost always in order: a feed sees by `seq` that it missed one, and reads the
    database. So a loss of Redis is logged, not raised.
    """
    _send({"type": PUBLICATION, "tick": msgspec.msgpack.encode(PublicationMessage.of(published))})


def reload() -> None:
    """Have every web process read the database again: the listed metals or the freshness limit have changed."""
    _send({"type": RELOAD})


def recheck(user: int) -> None:
    """Have every web process check the credentials of a user's clients: one of them has ended, or may have."""
    _send({"type": RECHECK, "user": user})


def _send(message: dict[str, Any]) -> None:
    layer = get_channel_layer()
    if layer is None:
        # `manage.py up` is not running, and REDIS_URL is not set: web processes read the database.
        logger.debug("there is no Redis to publish to")
        return
    try:
        asyncio.run_coroutine_threadsafe(_group_send(layer, message), _event_loop()).result()
    except (RedisError, OSError) as error:
        logger.error(
            "Redis did not take a message (%s); web processes will read it from the database within seconds",
            str(error) or "no answer in time",
        )


async def _group_send(layer: Any, message: dict[str, Any]) -> None:
    async with asyncio.timeout(settings.REDIS_PUBLISH_TIMEOUT):
        await layer.group_send(GROUP, message)


def _event_loop() -> asyncio.AbstractEventLoop:
    global _publishing
    with _starting:
        # A process forked from one that has published has the variable, but not the thread.
        if _publishing is None or not _publishing.is_alive():
            _publishing = _Publishing()
            _publishing.start()
        return _publishing.loop
