"""Stream positions: the stream's newest number, and the epoch in which it counts. Pure.

An epoch is one history of the stream's numbers. A database that was emptied, or put back as it was a while ago, gives
the same numbers to other publications, so it gets another epoch: drawn at random, and kept beside the number (`Head`).
"""

import datetime as dt
import secrets
from typing import Final, NamedTuple


class Position(NamedTuple):
    """The newest publication's epoch and number, and the time of its publication where that is known."""

    epoch: str
    seq: int
    published_at: dt.datetime | None


# As many epochs of eight characters as `Head.superseded` holds.
_MOST_SUPERSEDED: Final = 20


def new_epoch() -> str:
    """Draw eight random characters, which no other epoch has."""
    return secrets.token_urlsafe(6)


def superseded(before: str, *epochs: str) -> str:
    """The epochs in `before` and those superseded now, the newest last, as many as the head keeps."""
    known = dict.fromkeys([*before.split(), *filter(None, epochs)])
    return " ".join([*known][-_MOST_SUPERSEDED:])
