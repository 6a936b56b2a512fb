"""The stream's messages as Server-Sent Events, and a client's position in them (HTML standard, 9.2). Sans-I/O."""

from typing import Final

import msgspec

from streaming.protocol import LARGEST_SEQ

MEDIA_TYPE: Final = b"text/event-stream"
# The first bytes of a stream: after how many milliseconds to come back if it breaks off. A browser keeps the last such
# delay that it was told, so it would else keep that of a restart, which may be any.
BEGINNING: Final = b"retry: 3000\n\n"


class _Heading(msgspec.Struct):
    """The fields of a message that an event repeats."""

    type: str
    epoch: str = ""
    seq: int = 0
    afterMs: int | None = None  # noqa: N815  (of the wire)


_heading = msgspec.json.Decoder(_Heading).decode


def event(message: bytes) -> bytes:
    """A message, which is JSON without line breaks, as an event: its type is the event's.

    A `priceUpdate` has the client's new position as `id`; a message that says when to come back has that as `retry`.
    """
    heading = _heading(message)
    fields = b""
    if heading.type == "priceUpdate":
        fields = b"id: %s:%d\n" % (heading.epoch.encode(), heading.seq)
    if heading.afterMs is not None:
        fields += b"retry: %d\n" % heading.afterMs
    return b"%bevent: %b\ndata: %b\n\n" % (fields, heading.type.encode(), message)


def position(event_id: str) -> tuple[str, int] | None:
    """The epoch and the `seq` in an event's id; None for any other text."""
    epoch, _, seq = event_id.rpartition(":")
    # Python converts no text of thousands of digits.
    is_number = seq.isascii() and seq.isdigit() and len(seq) <= len(str(LARGEST_SEQ))
    return (epoch, int(seq)) if epoch and is_number and int(seq) <= LARGEST_SEQ else None
