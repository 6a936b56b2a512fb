"""permessage-deflate (RFC 7692) without any context between messages. Sans-I/O."""

import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

EXTENSION: Final = "permessage-deflate"
LARGEST_WINDOW: Final = 15
# zlib makes no raw stream for a window of 256 bytes, which the RFC would allow.
_SMALLEST_WINDOW = 9
_LEVEL = 6  # zlib's own default: an update is compressed once for everybody
# Streams that may end within one message. Each costs a new inflater, and takes two bytes: a message of nothing else
# would block the event loop for a tenth of a second.
_MOST_STREAMS = 256
# The end of a block that is flushed; it is left out on the wire (RFC 7692, 7.2.1).
_FLUSHED = b"\x00\x00\xff\xff"

# An extension's name with its parameters; a parameter without a value is True.
Offer = tuple[str, Mapping[str, Sequence[str | bool]]]


def deflated(payload: bytes, window_bits: int = LARGEST_WINDOW) -> bytes:
    """Compress one message, for an inflater with a window of `2 ** window_bits` bytes (9 to 15)."""
    # The memory level follows the window: a small one finds no more in a larger table.
    compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, -window_bits, min(window_bits - 6, 9))
    return (compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH)).removesuffix(_FLUSHED)


def acceptable(offers: Iterable[Offer]) -> Offer | None:
    """The first acceptable offer, with those of its parameters that bind the server; None if there is none.

    An offer with an unknown, repeated or ill-formed parameter must be declined, not failed (RFC 7692, 7.1).
    """
    for name, parameters in offers:
        if name == EXTENSION and all(_is_legal(*parameter) for parameter in parameters.items()):
            wanted = {key: parameters[key] for key in ("server_max_window_bits",) if key in parameters}
            return name, wanted
    return None


def agreement(offers: Iterable[Offer]) -> tuple[str, int]:
    """The answer to a client's offers, and its window as a power of two; empty and 0 if none is acceptable."""
    offer = acceptable(offers)
    if offer is None:
        return "", 0
    answer = f"{EXTENSION}; server_no_context_takeover; client_no_context_takeover"
    for bits in offer[1].get("server_max_window_bits", ()):
        return f"{answer}; server_max_window_bits={bits}", int(bits)
    return answer, LARGEST_WINDOW


def _is_legal(name: str, values: Sequence[str | bool]) -> bool:
    if len(values) != 1:
        return False
    value = values[0]
    match name:
        case "server_no_context_takeover" | "client_no_context_takeover":
            return value is True
        case "client_max_window_bits":
            return value is True or _is_window(value, smallest=8)
        case "server_max_window_bits":
            return _is_window(value, smallest=_SMALLEST_WINDOW)
    return False


def _is_window(value: str | bool, smallest: int) -> bool:
    return isinstance(value, str) and re.fullmatch("[89]|1[0-5]", value) is not None and int(value) >= smallest


class CorruptError(Exception):
    """A compressed message is ill-formed, or goes on after its end."""


class TooLargeError(Exception):
    """A message inflates to too many bytes, or consists of too many streams."""


class Inflater:
    """Inflates one message, which may come in pieces and end more than one deflate stream (RFC 7692, 7.2.3.4)."""

    def __init__(self) -> None:
        self._inflater = zlib.decompressobj(-LARGEST_WINDOW)
        self._context = b""
        self._streams = 1

    def take(self, data: bytes, most: int) -> bytes:
        """Inflate the next piece, to `most` bytes at most. Raises CorruptError, TooLargeError."""
        said = b""
        while data:
            try:
                said += self._inflater.decompress(data, most - len(said) + 1)
            except zlib.error as error:
                raise CorruptError(str(error)) from error
            if len(said) > most:
                raise TooLargeError
            data = self._inflater.unused_data
            if self._inflater.eof:
                # A block that called itself the last one; data after it may still refer to data before.
                self._streams += 1
                if self._streams > _MOST_STREAMS:
                    raise TooLargeError
                context = (self._context + said)[-(1 << LARGEST_WINDOW) :]
                self._inflater = zlib.decompressobj(-LARGEST_WINDOW, zdict=context)
        self._context = (self._context + said)[-(1 << LARGEST_WINDOW) :]
        return said

    def end(self) -> None:
        """Raise CorruptError if the message was broken off within a block."""
        try:
            self.take(_FLUSHED, most=0)
            # An empty last block can only be one at the boundary of blocks.
            self._inflater.decompress(b"\x01\x00\x00\xff\xff")
        except (TooLargeError, zlib.error) as error:
            raise CorruptError(str(error)) from error
        if not self._inflater.eof:
            raise CorruptError("the message ends within a block")
