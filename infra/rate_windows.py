"""How often something has happened lately, over all processes: counted by key in Redis."""

import asyncio
import datetime as dt
import logging
import threading
import time
from collections.abc import Callable
from functools import cached_property
from typing import Any, NamedTuple

import redis
import redis.asyncio
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)

# A client waits for its count: a Redis that does not answer soon is none.
_PATIENCE = 0.5
# Redis is left alone for so long once it has failed, or each count would wait for it again.
_REST = 5.0
_MOST_REDIS_CONNECTIONS = 8


class Count(NamedTuple):
    """How many there were in the window that is open, this one included, and the seconds until it ends."""

    number: int
    seconds_left: float


class Windows:
    """Counts by key, each in windows of `span` that begin with their first event.

    One round trip to Redis a count. This process counts for itself too, and its own count is what holds while Redis is
    away or where there is none (`redis_url` None): then each process has a limit of its own. Never raises.
    """

    def __init__(
        self,
        redis_url: str | None,
        prefix: str,
        span: dt.timedelta,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._redis_url = redis_url
        self._clock = clock
        self._prefix = prefix
        self._span = span
        self._own = _OwnWindows(span.total_seconds())
        self._rests_until = float("-inf")
        self._lost = False

    def count(self, key: str) -> Count:
        """Count one more, in a thread."""
        own = self._own.count(key, self._clock())
        if self._is_on_its_own():
            return own
        try:
            answer = self._ask(self._redis.pipeline(), key).execute()
            if self._outlasts(answer):
                self._redis.delete(self._name(key))
                return own
            return self._answered(answer)
        except (RedisError, OSError) as error:
            return self._failed(error, own)

    def take_back(self, key: str) -> None:
        """Count one less, in a thread: one that should not have counted."""
        self._own.take_back(key)
        if self._is_on_its_own():
            return
        try:
            self._answered(self._ask(self._redis.pipeline(), key, -1).execute())
        except (RedisError, OSError) as error:
            self._failed(error, Count(0, 0))

    async def acount(self, key: str) -> Count:
        """Count one more, in the event loop."""
        own = self._own.count(key, self._clock())
        if self._is_on_its_own():
            return own
        try:
            async with asyncio.timeout(_PATIENCE):
                answer = await self._ask(self._async_redis.pipeline(), key).execute()
                if self._outlasts(answer):
                    await self._async_redis.delete(self._name(key))
                    return own
                return self._answered(answer)
        except (RedisError, OSError) as error:
            return self._failed(error, own)

    async def aclose(self) -> None:
        """Close the event loop's connections to Redis, for whoever does not end the process with it."""
        if "_async_redis" in self.__dict__:
            await self._async_redis.aclose()
            await self._async_redis.connection_pool.disconnect()

    def _ask(self, pipeline: Any, key: str, more: int = 1) -> Any:
        """In one transaction: a window that ended between the two would leave a count that never ends.

        No count is less than 0: where its window has ended, one that is taken back is the first of the next.
        """
        name = self._name(key)
        pipeline.set(name, max(-more, 0), px=self._span // dt.timedelta(milliseconds=1), nx=True)
        pipeline.incr(name, more)
        pipeline.pttl(name)
        return pipeline

    def _name(self, key: str) -> str:
        return f"{self._prefix}:{key}"

    def _outlasts(self, answer: list[Any]) -> bool:
        """Whether a window ends later than one that begins now: Redis' clock was put back, and would hold it open."""
        return bool(answer[2] > self._span // dt.timedelta(milliseconds=1))

    def _is_on_its_own(self) -> bool:
        return self._redis_url is None or self._clock() < self._rests_until

    def _answered(self, answer: list[Any]) -> Count:
        if self._lost:
            self._lost = False
            logger.warning("counting in Redis again (%s)", self._prefix)
        _, number, milliseconds = answer
        return Count(number, max(milliseconds, 0) / 1000)

    def _failed(self, error: Exception, own: Count) -> Count:
        self._rests_until = self._clock() + _REST
        if not self._lost:
            self._lost = True
            reason = error or type(error).__name__
            logger.error("Redis does not count (%s), each process counts for itself: %s", self._prefix, reason)
        return own

    @cached_property
    def _redis(self) -> Any:
        return redis.Redis.from_url(self._url, retry=redis.retry.Retry(NoBackoff(), 0), **self._options)

    @cached_property
    def _async_redis(self) -> Any:
        pool = redis.asyncio.BlockingConnectionPool.from_url(
            self._url,
            retry=redis.asyncio.retry.Retry(NoBackoff(), 0),
            max_connections=_MOST_REDIS_CONNECTIONS,
            timeout=None,  # `acount` has one for the whole of it
            **self._options,
        )
        return redis.asyncio.Redis(connection_pool=pool)

    @property
    def _url(self) -> str:
        assert self._redis_url is not None
        return self._redis_url

    @property
    def _options(self) -> dict[str, Any]:
        return {"socket_timeout": _PATIENCE, "socket_connect_timeout": _PATIENCE}


class _OwnWindows:
    """The same in this process, by seconds of a monotonic clock; keeps no key for longer than two windows."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._open: dict[str, tuple[float, int]] = {}
        self._tidied = float("-inf")
        self._lock = threading.Lock()

    def count(self, key: str, now: float) -> Count:
        with self._lock:
            if now - self._tidied >= self._seconds:
                self._tidied = now
                self._open = {key: window for key, window in self._open.items() if now < window[0]}
            ends, number = self._open.get(key, (now, 0))
            if now >= ends:
                ends, number = now + self._seconds, 0
            self._open[key] = (ends, number + 1)
            return Count(number + 1, ends - now)

    def take_back(self, key: str) -> None:
        with self._lock:
            ends, number = self._open.get(key, (0.0, 0))
            if number:
                self._open[key] = (ends, number - 1)
