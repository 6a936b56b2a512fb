"""Stream positions: how far the stream is, how a copy of the database is told from its original, and what remembers the
position where the database is put back.

An epoch is one history of the stream's numbers. A database that was emptied, or put back as it was a while ago, gives
the same numbers to other publications, so it gets another epoch: drawn at random, and kept beside the number (`Head`).
"""

import datetime as dt
import json
import logging
import os
import secrets
from functools import cached_property
from pathlib import Path
from typing import Any, Final, NamedTuple

import redis
from django.conf import settings
from django.db import connection
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)

# Cluster and database, which stay the same for as long as a session, and table: a dump that was read in is in another
# table, a copy in another database or cluster.
_PLACE_ON_POSTGRESQL: Final = "concat_ws('/', %s::text, prices_head.tableoid)"


class Position(NamedTuple):
    """The newest publication's epoch, its number in that, and when it was published, where that is known."""

    epoch: str
    seq: int
    published_at: dt.datetime | None


# Of eight characters each, in 200.
_MOST_SUPERSEDED: Final = 20
_NEVER: Final = dt.datetime.min.replace(tzinfo=dt.UTC)
# Of a process that has seen nothing yet.
START: Final = Position("", 0, None)


def new_epoch() -> str:
    """Eight characters that no other epoch has."""
    return secrets.token_urlsafe(6)


def superseded(before: str, *epochs: str) -> str:
    """The epochs of `before` and those that are superseded now, the newest last, as many as the head keeps."""
    known = dict.fromkeys([*before.split(), *filter(None, epochs)])
    return " ".join([*known][-_MOST_SUPERSEDED:])


def place(*, make: bool = False) -> tuple[str, list[tuple[str, object]]]:
    """The place of this database, as an SQL expression on the table of `Head` and its values.

    On SQLite it takes a file beside the database, which `make` makes where there is none.
    """
    if connection.vendor == "postgresql":
        connection.ensure_connection()
        return _PLACE_ON_POSTGRESQL, [("place", connection.connection.database)]
    return "%s", [("place", _mark(make=make))]


def _mark(*, make: bool) -> str:
    """The marks that a copy of the file does not take along: a word beside it and its inode. Empty without either."""
    database = Path(connection.settings_dict["NAME"])
    beside = database.with_name(f"{database.name}-mark")
    try:
        if make and not beside.exists():
            beside.write_text(secrets.token_hex(8))
        return f"{beside.read_text()}/{database.stat().st_ino}"
    except FileNotFoundError:
        return ""


class Memory:
    """The newest position that clients of this host, or by Redis of any, have been sent: kept when all processes end.

    Never raises: a position that could not be remembered is missed only where a database is put back meanwhile.
    """

    def __init__(self, folder: Path, redis_url: str | None, prefix: str) -> None:
        self._file = folder / "position.json"
        self._redis_url = redis_url
        self._key = f"{prefix}:position"
        self._lost = False

    def keep(self, position: Position) -> None:
        """Remember a position, instead of the one before."""
        text = json.dumps([position.epoch, position.seq, position.published_at and position.published_at.isoformat()])
        draft = self._file.with_name(f"{self._file.name}.{os.getpid()}")
        try:
            draft.write_text(text)
            draft.replace(self._file)
        except OSError as error:
            if not self._lost:
                logger.error("the stream's position is not remembered in %s (writable?): %s", self._file, error)
            self._lost = True
        if self._redis_url is not None:
            try:
                self._redis.set(self._key, text)
            except (RedisError, OSError) as error:
                logger.debug("Redis does not remember the stream's position: %s", error)

    def recall(self) -> Position | None:
        """The newest position that the state folder or Redis remembers."""
        texts: list[str | bytes | None] = []
        try:
            texts.append(self._file.read_text())
        except OSError as error:
            logger.debug("the state folder remembers no position: %s", error)
        if self._redis_url is not None:
            try:
                texts.append(self._redis.get(self._key))
            except (RedisError, OSError) as error:
                logger.debug("Redis remembers no position: %s", error)
        remembered = [position for text in texts if text and (position := _read(text))]
        return max(remembered, key=lambda position: position.published_at or _NEVER, default=None)

    @cached_property
    def _redis(self) -> Any:
        assert self._redis_url is not None
        return redis.Redis.from_url(
            self._redis_url,
            retry=redis.retry.Retry(NoBackoff(), 0),
            **settings.REDIS_OPTIONS,
        )


def _read(text: str | bytes) -> Position | None:
    try:
        epoch, seq, at = json.loads(text)
        return Position(str(epoch), int(seq), at and dt.datetime.fromisoformat(at))
    except (ValueError, TypeError):
        return None
