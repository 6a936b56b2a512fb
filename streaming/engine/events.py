"""An HTTP connection that is answered with Server-Sent Events, and its sink of frames."""

import socket

from streaming.engine.asgi import Run
from streaming.engine.frames import EVENTS, Frame
from streaming.engine.reasons import CloseReason
from streaming.engine.tcp import TcpConnection


class EventConnection(TcpConnection):
    """A `Sink` (sinks.py) on the socket of an HTTP connection, whose request is answered with `head`.

    It ends with the run of the application, or when the application stops it, after what was written.
    """

    __slots__ = ("_run",)
    encoding = EVENTS

    def __init__(self, before: TcpConnection, run: Run, head: bytes) -> None:
        super().__init__(*before.leave())
        self._run = run
        run.owner = self
        self.limit_unsent()
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            # No client answers an event, but its machine does.
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(self.sockets.timeout * 1000))
        self.put(head)

    def write(self, frame: Frame) -> int:
        self.put(frame.event)
        return len(frame.event)

    def stop(self) -> None:
        self.listener = None
        self.close()

    def restart(self) -> None:
        """Let the application write its last message, and end."""
        super().restart()
        self.close()

    def received(self, data: bytes) -> None:
        """Discard it: a client of this says nothing more."""

    def lost(self, error: OSError | None) -> None:
        if isinstance(error, TimeoutError):  # the kernel's, which is often earlier than ours
            self.dropped = CloseReason.STALLED
        self._run.disconnect({"type": "http.disconnect"})

    def taken(self) -> None:
        """Do nothing: it receives nothing but its end."""

    def ended(self, error: BaseException | None) -> None:
        self.close()
