"""Sinks on ASGI's `send`, for servers that offer none of their own (streaming/engine/sinks.py).

Frames are sent one after the other, by a task that ends when none waits. `send` returns when the server has taken one:
then the sink is writable again.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from streaming.engine.frames import EVENTS, PLAIN, Encoding, Frame
from streaming.engine.reasons import CloseReason
from streaming.engine.sinks import Listener

logger = logging.getLogger(__name__)


class SendSink:
    """A sink of text messages.

    `failed` is awaited after a defect in sending, to end the connection: better none than a silent one.
    """

    encoding: Encoding = PLAIN
    direct = None

    def __init__(self, send: Callable[[Any], Awaitable[None]], failed: Callable[[], Awaitable[None]]) -> None:
        self.writable = True
        self.dropped = ""
        self.listener: Listener | None = None
        self._send = send
        self._failed = failed
        self._waiting: list[Frame] = []
        self._task: asyncio.Task[None] | None = None  # also after a failure: nothing more is sent

    def write(self, frame: Frame) -> int:
        self.writable = False
        self._waiting.append(frame)
        self._start()
        return len(self.encoding.of(frame))

    def stop(self) -> None:
        self.listener = None
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()

    def _start(self) -> None:
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._send_all())

    async def _send_all(self) -> None:
        try:
            while not self.writable:
                while self._waiting:
                    await self._send_frame(self._waiting.pop(0))
                self.writable = True
                if self.listener is not None:
                    self.listener.flush()
            await self._sent_all()
            self._task = None
        except OSError as error:
            # Some servers raise this when the client is gone; its disconnect event, which follows, ends the connection.
            logger.debug("a client left while it was sent to: %s", error)
        except Exception:
            logger.exception("a message could not be sent")
            await self._fail()

    async def _send_frame(self, frame: Frame) -> None:
        await self._send(frame.text)

    async def _sent_all(self) -> None:
        """Do what is to be done while no frame waits."""

    async def _fail(self) -> None:
        await self._failed()


class EventSink(SendSink):
    """A sink of Server-Sent Events, which sends from `begin` on: once the head of the answer has been sent.

    `stop` ends the answer, after what was written before it; so does a defect in sending.
    """

    encoding = EVENTS

    def __init__(self, send: Callable[[Any], Awaitable[None]], failed: Callable[[], Awaitable[None]]) -> None:
        super().__init__(send, failed)
        self.writable = False
        self.is_over = False  # once it was stopped
        self._has_begun = False

    def begin(self) -> None:
        self._has_begun = True
        self._start()

    def stop(self) -> None:
        self.listener = None
        if not self.is_over:
            self.is_over = True
            self._start()

    def _start(self) -> None:
        if self._has_begun:
            super()._start()

    async def _send_frame(self, frame: Frame) -> None:
        await self._send_body(frame.event, more=True)

    async def _sent_all(self) -> None:
        if self.is_over:
            await self._send_body(b"", more=False)

    async def _fail(self) -> None:
        await super()._fail()
        self.dropped = CloseReason.INTERNAL_ERROR
        with contextlib.suppress(Exception):
            await self._send_body(b"", more=False)

    async def _send_body(self, data: bytes, *, more: bool) -> None:
        await self._send({"type": "http.response.body", "body": data, "more_body": more})
