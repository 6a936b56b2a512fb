"""A connection's way out: shared frames to a server that takes them.

Our server (server.py) puts a `Sink` into the scope's extensions. For any other ASGI server the application brings one
of its own, on `send`.
"""

from collections.abc import Callable
from typing import Final, Protocol

from streaming.engine.frames import Encoding, Frame

# The name of the ASGI extension. `scope["extensions"][FRAMES]` is a WebSocket's Sink; for an HTTP request, the function
# that answers it with an event stream and returns that one's Sink (`Exchange.take_over`, in http.py).
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
        """Send the rest of data, of which `direct` took the first `sent` bytes: 0 where it raised OSError."""
