"""A connection's way out: shared frames to a server that takes them, else messages to ASGI's own `send`.

Our server (server.py) puts a `Sink` into the scope's extensions, which writes shared frames at once. Under any other
ASGI server `SendSink` does the same with the consumer's `send`.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol

from streaming.engine.frames import Encoding, Frame
from streaming.engine.reasons import CloseReason

logger = logging.getLogger(__name__)

# The name of the ASGI extension: `scope["extensions"][FRAMES]` is a Sink.
FRAMES: Final = "swarna.frames"


class Listener(Protocol):
    """The code that writes to a sink, as the sink calls it."""

    def flush(self) -> object:
        """Write the newest messages: all earlier ones have left."""

    def restart(self) -> None:
        """Write a last message: the server closes this connection next, for a restart."""


class Sink(Protocol):
    """One connection's way out.

    `writable` is False while written bytes wait for a slow client. `dropped` is the `CloseReason` for which the server
    ended the connection; empty if it did not.
    """

    writable: bool
    dropped: str
    listener: Listener | None

    @property
    def direct(self) -> Callable[[bytes], int] | None:
        """The `send` of a `DirectSink`'s socket while nothing waits in the sink; else, and for other sinks, None."""

    def write(self, frame: Frame) -> int:
        """Send a message, after those before it. Returns its size on the wire, in bytes."""

    def stop(self) -> None:
        """Call the listener no more, and send nothing that still waits."""


class DirectSink(Sink, Protocol):
    """A sink whose socket may be sent to past `write`: bytes that many clients share, encoded as by `encoding`."""

    encoding: Encoding

    def keep(self, data: bytes, sent: int) -> None:
        """Send the rest of data that `direct` took only so many bytes of: 0 where it raised OSError."""


class SendSink:
    """A sink on ASGI's `send`, which returns when the server has taken the message.

    `give_up` is awaited after a defect in sending: better no connection than a silent one.
    """

    direct = None

    def __init__(self, send: Callable[[str], Awaitable[None]], give_up: Callable[[], Awaitable[None]]) -> None:
        self.writable = True
        self.dropped = ""
        self.listener: Listener | None = None
        self._send = send
        self._give_up = give_up
        self._waiting: list[Frame] = []
        self._pump: asyncio.Task[None] | None = None

    def write(self, frame: Frame) -> int:
        self.writable = False
        self._waiting.append(frame)
        if self._pump is None:
            self._pump = asyncio.get_running_loop().create_task(self._send_all())
        return len(frame.plain)

    def stop(self) -> None:
        self.listener = None
        if self._pump is not None and self._pump is not asyncio.current_task():
            self._pump.cancel()

    async def _send_all(self) -> None:
        try:
            while self._waiting:
                await self._send(self._waiting.pop(0).text)
                if not self._waiting:
                    self.writable = True
                    if self.listener is not None:
                        self.listener.flush()
            self._pump = None
        except OSError as error:
            # Some servers raise this when the client is gone; its disconnect event, which follows, ends the connection.
            logger.debug("a client left while it was sent to: %s", error)
        except Exception:
            logger.exception("a message could not be sent")
            await self._give_up()


class EventSink:
    """A sink on ASGI's `send` for Server-Sent Events: it takes messages once `begin` was called.

    `stop` ends the answer, after what was written before it. `failed` is called after a defect in sending.
    """

    direct = None

    def __init__(self, send: Callable[[dict[str, Any]], Awaitable[None]], failed: Callable[[], object]) -> None:
        self.writable = False
        self.dropped = ""
        self.listener: Listener | None = None
        self._send = send
        self._failed = failed
        self._waiting: list[bytes] = []
        self.is_over = False  # once it was stopped
        self._has_begun = False
        self._pump: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Send from now on: the head of the answer has been sent."""
        self._has_begun = True
        self._start()

    def write(self, frame: Frame) -> int:
        self.writable = False
        self._waiting.append(frame.event)
        self._start()
        return len(frame.event)

    def stop(self) -> None:
        self.listener = None
        if not self.is_over:
            self.is_over = True
            self._start()

    def _start(self) -> None:
        if self._has_begun and self._pump is None:
            self._pump = asyncio.get_running_loop().create_task(self._send_all())

    async def _send_all(self) -> None:
        try:
            while not self.writable:
                while self._waiting:
                    await self._send_body(self._waiting.pop(0), more=True)
                self.writable = True
                if self.listener is not None:
                    self.listener.flush()
            if self.is_over:
                await self._send_body(b"", more=False)
        except OSError as error:
            logger.debug("a client left while it was sent to: %s", error)
        except Exception:
            logger.exception("an event could not be sent")
            self._failed()
            self.dropped = CloseReason.INTERNAL_ERROR
            with contextlib.suppress(Exception):
                await self._send_body(b"", more=False)
        self._pump = None

    async def _send_body(self, data: bytes, *, more: bool) -> None:
        await self._send({"type": "http.response.body", "body": data, "more_body": more})
