"""permessage-deflate (RFC 7692) without any context between messages. Sans-I/O."""

import re
import zlib
from typing import Final

EXTENSION: Final = "permessage-deflate"
LARGEST_WINDOW: Final = 15
_LEVEL = 6  # zlib's own default: an update is compressed once for everybody
# Streams that may end within one message. Each costs a new inflater, and takes two bytes: a message of nothing else
# would block the event loop for a tenth of a second.
_MOST_STREAMS = 256
# The end of a block that is flushed; it is left out on the wire (RFC 7692, 7.2.1).
_FLUSHED = b"\x00\x00\xff\xff"
# The parameters that an offer may have. zlib makes no raw stream for a window of 256 bytes, which the RFC would allow.
_PARAMETER = re.compile(
    "(?:server|client)_no_context_takeover|client_max_window_bits(?:=(?:[89]|1[0-5]))?|server_max_window_bits=(9|1[0-5])"
)


def deflated(payload: bytes, window_bits: int = LARGEST_WINDOW) -> bytes:
    """Compress one message, for an inflater with a window of `2 ** window_bits` bytes (9 to 15)."""
    # The memory level follows the window: a small one finds no more in a larger table.
    compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, -window_bits, min(window_bits - 6, 9))
    return (compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH)).removesuffix(_FLUSHED)


def agreement(offers: str) -> tuple[str, int]:
    """The answer to a Sec-WebSocket-Extensions header of legal grammar, and the client's window as a power of two.

    It is to the first acceptable offer; empty and 0 if none is. An offer with an unknown, repeated or ill-formed
    parameter must be declined, not failed (RFC 7692, 7.1).
    """
    for offer in re.sub(r'[ \t"]', "", offers).lower().split(","):
        name, *parameters = offer.split(";")
        legal = [match for match in map(_PARAMETER.fullmatch, parameters) if match]
        names = {parameter.partition("=")[0] for parameter in parameters}
        if name == EXTENSION and len(legal) == len(parameters) == len(names):
            answer = f"{EXTENSION}; server_no_context_takeover; client_no_context_takeover"
            bits = next((match[1] for match in legal if match[1]), None)
            return (f"{answer}; server_max_window_bits={bits}", int(bits)) if bits else (answer, LARGEST_WINDOW)
    return "", 0


class CorruptError(Exception):
    """A compressed message is ill-formed, or goes on after its end."""


class TooLargeError(Exception):
    """A message inflates to too many bytes, or consists of too many streams."""


class Inflater:
    """Inflates one message, which may come in pieces and end more than one deflate stream (RFC 7692, 7.2.3.4).

    `content` is what has come out so far; more than `most` bytes do not.
    """

    __slots__ = ("_inflater", "_most", "_streams", "content")

    def __init__(self, most: int) -> None:
        self.content = bytearray()
        self._most = most
        self._inflater = zlib.decompressobj(-LARGEST_WINDOW)
        self._streams = 1

    def take(self, data: bytes) -> None:
        """Inflate the next piece. Raises CorruptError, TooLargeError."""
        while data:
            try:
                self.content += self._inflater.decompress(data, self._most - len(self.content) + 1)
            except zlib.error as error:
                raise CorruptError(str(error)) from error
            if len(self.content) > self._most:
                raise TooLargeError
            data = self._inflater.unused_data
            if self._inflater.eof:
                # A block that called itself the last one; data after it may still refer to data before.
                self._streams += 1
                if self._streams > _MOST_STREAMS:
                    raise TooLargeError
                context = self.content[-(1 << LARGEST_WINDOW) :]
                self._inflater = zlib.decompressobj(-LARGEST_WINDOW, zdict=context)

    def end(self) -> None:
        """Raise CorruptError if the message was broken off within a block."""
        try:
            rest = self._inflater.decompress(_FLUSHED)
            if not self._inflater.eof:
                # An empty last block can only be one at the boundary of blocks.
                rest += self._inflater.decompress(b"\x01" + _FLUSHED)
        except zlib.error as error:
            raise CorruptError(str(error)) from error
        if rest or self._inflater.unused_data or not self._inflater.eof:
            raise CorruptError("the message ends within a block")
