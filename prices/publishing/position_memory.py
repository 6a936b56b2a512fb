"""The newest stream position that clients know, kept outside of the database, which may be put back meanwhile."""

import datetime as dt
import json
import logging
import os
from pathlib import Path
from typing import Any, Final

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from prices.domain.positions import Position

logger = logging.getLogger(__name__)

_NEVER: Final = dt.datetime.min.replace(tzinfo=dt.UTC)


class PositionMemory:
    """The newest position that was sent to clients of this host or, through Redis, of any host.

    It outlives all processes. Its methods raise nothing: a lost position matters only if the database is put back.
    """

    def __init__(self, folder: Path, redis_url: str | None, prefix: str) -> None:
        self._file = folder / "position.json"
        # Made here: threads that use it first at the same time would each make one, and close the other's connections.
        self._redis: Any = None
        if redis_url is not None:
            retry = redis.retry.Retry(NoBackoff(), 0)
            self._redis = redis.Redis.from_url(redis_url, retry=retry, **settings.REDIS_OPTIONS)
        self._key = f"{prefix}:position"
        self._lost = False

    def keep(self, position: Position) -> None:
        """Store a position in the place of the one before."""
        text = json.dumps([position.epoch, position.seq, position.published_at and position.published_at.isoformat()])
        draft = self._file.with_name(f"{self._file.name}.{os.getpid()}")
        try:
            draft.write_text(text)
            draft.replace(self._file)
        except OSError as error:
            if not self._lost:
                logger.error("the stream's position cannot be stored: make %s writable (%s)", self._file, error)
            self._lost = True
        if self._redis is not None:
            try:
                self._redis.set(self._key, text)
            except (RedisError, OSError) as error:
                logger.debug("Redis did not store the stream's position: %s", error)

    def recall(self) -> Position | None:
        """The newest position in the state folder or Redis; None where both have none."""
        texts: list[str | bytes | None] = []
        try:
            texts.append(self._file.read_text())
        except OSError as error:
            logger.debug("the state folder has no position: %s", error)
        if self._redis is not None:
            try:
                texts.append(self._redis.get(self._key))
            except (RedisError, OSError) as error:
                logger.debug("Redis gave no position: %s", error)
        remembered = [position for text in texts if text and (position := _read(text))]
        return max(remembered, key=lambda position: position.published_at or _NEVER, default=None)


def _read(text: str | bytes) -> Position | None:
    try:
        epoch, seq, at = json.loads(text)
        return Position(str(epoch), int(seq), at and dt.datetime.fromisoformat(at))
    except (ValueError, TypeError):
        return None
