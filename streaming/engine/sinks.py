"""How a connection's messages leave the process: ready frames to a server that takes them, else ASGI's own `send`.

Our server (streaming/engine/server.py) puts an `Sink` into the scope's extensions, which writes shared frames at
once; under any other ASGI server `SendSink` does the same by the consumer's `send`.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from streaming.engine.frames import Frame

logger = logging.getLogger(__name__)

# The name of the ASGI extension: `scope["extensions"][FRAMES]` is a Sink.
FRAMES: Final = "swarna.frames"


class Listener(Protocol):
    """Code that writes to a sink."""

    def flush(self) -> object:
        """All that was written has left: there is room for what is newest now."""

    def restart(self) -> None:
        """The server closes this connection now, for a restart: last words."""


class Sink(Protocol):
    """One connection's way out. `writable` is false while something that was written waits for a slow client.

    `dropped` says why the server ended the connection, in the words of `metrics.CloseReason`; empty where it did not.
    """

    writable: bool
    dropped: str
    listener: Listener | None

    def write(self, frame: Frame) -> int:
        """Send a message, after those before it. The bytes that it takes on the wire."""

    def stop(self) -> None:
        """Send nothing more of what waits, and tell nobody."""


class SendSink:
    """A sink on ASGI's `send`, which returns when the server has taken the message.

    `give_up` is awaited when a message cannot be sent for a reason of ours: better no connection than a silent one.
    """

    def __init__(self, send: Callable[[str], Awaitable[None]], give_up: Callable[[], Awaitable[None]]) -> None:
        self.writable = True
        self.dropped = ""
        self.listener: Listener | None = None
        self._send = send
        self._give_up = give_up
        self._waiting: deque[Frame] = deque()
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
                await self._send(self._waiting.popleft().text)
                if not self._waiting:
                    self.writable = True
                    if self.listener is not None:
                        self.listener.flush()
            self._pump = None
        except OSError as error:
            # Some servers say so when the client is gone; its disconnect event is on the way and ends the connection.
            logger.debug("a client left while it was sent to: %s", error)
        except Exception:
            logger.exception("a message could not be sent")
            await self._give_up()
