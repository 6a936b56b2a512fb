"""A message on the wire, encoded once, and shared by all its receivers. Sans-I/O.

As a frame (RFC 6455, 5), as a compressed one (RFC 7692, 7), or as a Server-Sent Event.
"""

from typing import ClassVar, Final, NamedTuple

from streaming import sse
from streaming.engine.compression import deflated

CONTINUATION: Final = 0x0
TEXT: Final = 0x1
BINARY: Final = 0x2
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA
FIN: Final = 0x80  # beside the opcode of a message's last frame
COMPRESSED: Final = 0x40  # RSV1, on the first frame of a compressed message


def is_close_code(code: int) -> bool:
    """Return True if a close frame may have this code (RFC 6455, 7.4, and codes registered since)."""
    return 3000 <= code <= 4999 or (1000 <= code <= 1014 and code not in (1004, 1005, 1006))


def framed(payload: bytes, opcode: int = TEXT, *, compressed: bool = False) -> bytes:
    """One unfragmented frame from server to client: not masked, its length in the fewest bytes."""
    first = FIN | (COMPRESSED if compressed else 0) | opcode
    length = len(payload)
    if length < 126:
        return bytes((first, length)) + payload
    if length < 65536:
        return bytes((first, 126)) + length.to_bytes(2, "big") + payload
    return bytes((first, 127)) + length.to_bytes(8, "big") + payload


def close_frame(code: int | None, reason: str) -> bytes:
    """A close frame; without a code, an empty one."""
    return framed(b"" if code is None else code.to_bytes(2, "big") + reason.encode(), CLOSE)


class Frame:
    """A message for any number of connections, encoded for each kind of connection when the first one needs it.

    With `server_no_context_takeover` a compressed message is the same bytes for every client of the same window.
    """

    __slots__ = ("_deflated", "_event", "opcode", "payload", "plain")
    # Counts of this process, for its metrics.
    made: ClassVar[int] = 0
    compressions: ClassVar[int] = 0

    def __init__(self, payload: bytes, opcode: int = TEXT) -> None:
        Frame.made += 1
        self.payload = payload
        self.opcode = opcode
        self.plain = framed(payload, opcode)
        self._deflated: dict[int, bytes] = {}
        self._event: bytes | None = None

    @property
    def text(self) -> str:
        """The message itself, for servers that do their own framing."""
        return self.payload.decode()

    @property
    def event(self) -> bytes:
        """The message as a Server-Sent Event."""
        if self._event is None:
            self._event = sse.event(self.payload)
        return self._event

    def deflated(self, window_bits: int) -> bytes:
        """The frame for a client that inflates with a window of `2 ** window_bits` bytes."""
        frame = self._deflated.get(window_bits)
        if frame is None:
            Frame.compressions += 1
            frame = self._deflated[window_bits] = framed(
                deflated(self.payload, window_bits), self.opcode, compressed=True
            )
        return frame


class Encoding(NamedTuple):
    """A way to send messages: the same bytes for all connections that have it.

    Messages of `threshold` bytes and more are compressed for a window of `2 ** window_bits` bytes, where that is not 0.
    """

    window_bits: int = 0
    threshold: int = 0
    is_event: bool = False

    def of(self, frame: Frame) -> bytes:
        """The bytes of a message."""
        if self.is_event:
            return frame.event
        if self.window_bits and len(frame.payload) >= self.threshold:
            return frame.deflated(self.window_bits)
        return frame.plain


PLAIN: Final = Encoding()
EVENTS: Final = Encoding(is_event=True)
