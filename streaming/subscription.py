"""A subscription to a group of a channel layer, which ends when it brings no messages any more.

A layer raises nothing when its connection breaks, or when its peer vanishes. So a subscription sends itself a ping now
and then, all the way through Redis, and ends if the ping does not come back.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

PING = "prices.ping"
# Seconds from one ping to the next, within which it has to come back.
PING_EVERY = 4.0
# Seconds that it may take to subscribe, to send a ping, and to clean up.
TIMEOUT = 4.0


async def follow(
    layer: Any,
    group: str,
    *,
    begin: Callable[[], Awaitable[None]],
    take: Callable[[dict[str, Any]], Awaitable[None]],
    stalled: asyncio.Event,
) -> None:
    """Subscribe to the group, await `begin`, and then `take` with each message, until something fails.

    Raises whatever the layer raises, and ConnectionError if the subscription brings nothing, or the caller sets
    `stalled`, knowing that it should have brought something. The layer is flushed by then.
    """
    try:
        async with asyncio.timeout(TIMEOUT):
            channel = await layer.new_channel()
            await layer.group_add(group, channel)
        await begin()
        await _Subscription(layer, channel, take, stalled).run()
    except Exception:
        with contextlib.suppress(Exception):
            async with asyncio.timeout(TIMEOUT):
                await layer.flush()
        raise


class _Subscription:
    def __init__(
        self, layer: Any, channel: str, take: Callable[[dict[str, Any]], Awaitable[None]], stalled: asyncio.Event
    ) -> None:
        self._layer = layer
        self._channel = channel
        self._take = take
        self._stalled = stalled
        self._brought = 0

    async def run(self) -> None:
        """Take messages until something fails, and raise its error."""
        tasks = [asyncio.create_task(work()) for work in (self._receive, self._ping, self._watch)]
        try:
            failed, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=TIMEOUT)
        failed.pop().result()

    async def _receive(self) -> None:
        while True:
            message = await self._layer.receive(self._channel)
            self._brought += 1
            if message["type"] != PING:
                await self._take(message)

    async def _ping(self) -> None:
        while True:
            brought = self._brought
            async with asyncio.timeout(TIMEOUT):
                await self._layer.send(self._channel, {"type": PING})
            await asyncio.sleep(PING_EVERY)
            if self._brought == brought:
                raise ConnectionError("it brings nothing any more")

    async def _watch(self) -> None:
        await self._stalled.wait()
        raise ConnectionError("publications come from the database alone")
