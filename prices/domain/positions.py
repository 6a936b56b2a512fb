"""Stream positions: how far the stream is, and in which history of its numbers. Pure.

An epoch is one history of the stream's numbers. A database that was emptied, or put back as it was a while ago, gives
the same numbers to other publications, so it gets another epoch: drawn at random, and kept beside the number (`Head`).
"""

import datetime as dt
import secrets
from typing import Final, NamedTuple


class Position(NamedTuple):
    """The newest publication's epoch, its number in that, and when it was published, where that is known."""

    epoch: str
    seq: int
    published_at: dt.datetime | None


# Of eight characters each, in 200.
_MOST_SUPERSEDED: Final = 20
# Of a process that has seen nothing yet.
START: Final = Position("", 0, None)


def new_epoch() -> str:
    """Eight characters that no other epoch has."""
    return secrets.token_urlsafe(6)


def superseded(before: str, *epochs: str) -> str:
    """The epochs of `before` and those that are superseded now, the newest last, as many as the head keeps."""
    known = dict.fromkeys([*before.split(), *filter(None, epochs)])
    return " ".join([*known][-_MOST_SUPERSEDED:])
