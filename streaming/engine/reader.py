"""A client's frames on one WebSocket connection (RFC 6455, 5 to 7; RFC 7692 without contexts). Sans-I/O."""

import codecs
from typing import Final, NamedTuple

from streaming.engine.compression import CorruptError, Inflater, TooLargeError
from streaming.engine.frames import BINARY, CLOSE, COMPRESSED, CONTINUATION, FIN, PING, PONG, TEXT, is_close_code
from streaming.protocol import Close

_MASKED = 0x80  # in a frame's second byte, beside its length
_CONTROL = 0x8  # in the opcode of a control frame
_PROTOCOL_ERROR: Final = 1002
_INVALID_DATA: Final = 1007
# The first bytes that a frame may have.
_CONTROLS = {FIN | CLOSE, FIN | PING, FIN | PONG}
_WHOLE_TEXT = FIN | TEXT
_STARTS = frozenset(_CONTROLS | {TEXT, _WHOLE_TEXT, BINARY, FIN | BINARY})
_STARTS_INFLATING = _STARTS | {first | COMPRESSED for first in _STARTS - _CONTROLS}
_CONTINUES = frozenset(_CONTROLS | {CONTINUATION, FIN | CONTINUATION})
_OPCODES = {CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG}


class Ping(NamedTuple):
    """A ping, to be answered by a pong with the same data."""

    data: bytes


class CloseFrame(NamedTuple):
    """The client's close frame; `code` is None where it has none. Discard what comes after it."""

    code: int | None
    reason: str


class Violation(NamedTuple):
    """A breach of the protocol, with the close frame to answer it by. Discard what comes after it."""

    code: int
    reason: str


# A text message is a str, a binary one bytes. Pongs are checked and left out: any data is a sign of life.
Event = str | bytes | Ping | CloseFrame | Violation

_ENDS = (CloseFrame, Violation)
_TOO_BIG = Violation(*Close.TOO_BIG.value)
_NOT_UTF_8 = Violation(_INVALID_DATA, "a text that is not UTF-8")


class Reader:
    """Reads messages of at most `most` bytes; with `inflates`, compressed ones too.

    Between messages it holds no object of its own: there are a hundred thousand of it.
    """

    __slots__ = ("_message", "_most", "_rest", "_starts")

    def __init__(self, most: int, *, inflates: bool) -> None:
        self._most = most
        self._starts = _STARTS_INFLATING if inflates else _STARTS
        self._message: _Message | None = None  # whose last fragment has not come
        self._rest: bytearray | None = None  # of a frame whose end has not come

    def take(self, received: bytes) -> list[Event]:
        """Read what the client sent next; nothing follows a CloseFrame or Violation, and there is no way on from it.

        A frame is checked when its header is complete, its content when its end has come. (This is one function: most
        frames are short and whole, and a call costs as much as to read one.)
        """
        data: bytes | bytearray = received
        if self._rest is not None:
            self._rest += received
            data = self._rest
        events: list[Event] = []
        event: Event | None
        at, size = 0, len(data)
        while size - at >= 2:
            first, second, message = data[at], data[at + 1], self._message
            if second < _MASKED or first not in (self._starts if message is None else _CONTINUES):
                return [*events, _breach(first, second, message is not None)]
            length, start = second - _MASKED, at + 6
            if length > 125:
                if first & _CONTROL:
                    return [*events, Violation(_PROTOCOL_ERROR, "a control frame of more than 125 bytes")]
                start += 2 if length == 126 else 8
                if size < start - 4:
                    break
                length = int.from_bytes(data[at + 2 : start - 4], "big")
                if length < (126 if start == at + 8 else 1 << 16) or length >> 63:
                    return [*events, Violation(_PROTOCOL_ERROR, "a length of 64 bits, or not in the fewest bytes")]
            if not first & _CONTROL and length > (_room(first, self._most) if message is None else message.room):
                return [*events, _TOO_BIG]
            end = start + length
            if size < end:
                break
            payload = b""
            if length:
                key = int.from_bytes((data[start - 4 : start] * (length + 3 >> 2))[:length], "big")
                payload = (int.from_bytes(data[start:end], "big") ^ key).to_bytes(length, "big")
            at = end
            if first == _WHOLE_TEXT:
                try:
                    event = payload.decode()
                except UnicodeDecodeError:
                    event = _NOT_UTF_8
            else:
                event = _control(first & 0x0F, payload) if first & _CONTROL else self._fragment(first, payload)
            if event is not None:
                events.append(event)
                if isinstance(event, _ENDS):
                    return events
        if at == size:
            self._rest = None
        elif data is self._rest:
            del self._rest[:at]
        else:
            self._rest = bytearray(data[at:])
        return events

    def _fragment(self, first: int, payload: bytes) -> str | bytes | Violation | None:
        """Add a frame to its message; returns that if it is complete."""
        message = self._message
        if message is None:
            message = self._message = _Message(first, self._most)
        try:
            message.add(payload, is_last=bool(first & FIN))
        except TooLargeError:
            return _TOO_BIG
        except CorruptError:
            return Violation(_INVALID_DATA, "a compressed message that cannot be inflated")
        except UnicodeDecodeError:
            return _NOT_UTF_8
        if not first & FIN:
            return None
        self._message = None
        return message.content.decode() if message.is_text else bytes(message.content)


class _Message:
    """A message while its fragments come."""

    __slots__ = ("_checked", "_fragments", "_inflater", "_most", "content", "is_text", "room")

    def __init__(self, first: int, most: int) -> None:
        self.is_text = first & 0x0F == TEXT
        self._inflater = Inflater(most) if first & COMPRESSED else None
        self.content = bytearray() if self._inflater is None else self._inflater.content
        self.room = _room(first, most)  # the bytes that its next frames may have
        self._most = most
        self._fragments = 0
        self._checked = 0  # so much of the content is UTF-8

    def add(self, payload: bytes, *, is_last: bool) -> None:
        """Add the next fragment's payload. Raises TooLargeError, CorruptError, UnicodeDecodeError."""
        self.room -= len(payload)
        self._fragments += 1
        if self._fragments > self._most:
            raise TooLargeError  # endless empty fragments
        if self._inflater is None:
            self.content += payload
        else:
            self._inflater.take(payload)
            if is_last:
                self._inflater.end()
        if self.is_text:
            self._checked += codecs.utf_8_decode(self.content[self._checked :], "strict", is_last)[1]


def _room(first: int, most: int) -> int:
    """The bytes that a message's frames may have. Where they are inflated, this is a limit to endless empty blocks."""
    return 2 * most if first & COMPRESSED else most


def _control(opcode: int, payload: bytes) -> Ping | CloseFrame | Violation | None:
    if opcode == PING:
        return Ping(payload)
    if opcode == PONG:
        return None
    if not payload:
        return CloseFrame(None, "")
    code = int.from_bytes(payload[:2], "big")
    if not is_close_code(code):  # nor is a single byte one
        return Violation(_PROTOCOL_ERROR, "a close frame without a code that may be in one")
    try:
        return CloseFrame(code, payload[2:].decode())
    except UnicodeDecodeError:
        return Violation(_INVALID_DATA, "a close frame's reason that is not UTF-8")


def _breach(first: int, second: int, is_inside: bool) -> Violation:
    """The violation of a frame that begins with these two bytes, within a message or not."""
    opcode = first & 0x0F
    reasons = (
        (second < _MASKED, "a frame that is not masked"),
        (opcode not in _OPCODES, f"a frame of the reserved opcode {opcode}"),
        (opcode & _CONTROL and not first & FIN, "a control frame in fragments"),
        (opcode == CONTINUATION and not is_inside, "a continuation of no message"),
        (opcode in (TEXT, BINARY) and is_inside, "a message that begins before the last one has ended"),
        (True, "a reserved bit that no extension allows here"),
    )
    return Violation(_PROTOCOL_ERROR, next(reason for is_so, reason in reasons if is_so))
