"""Fixed-window counters: in this process, and by key over all processes, in Redis."""

import asyncio
import datetime as dt
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

import redis
import redis.asyncio
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)

# Seconds. A client waits for its count.
_TIMEOUT: Final = 0.5
# Redis is not used for so many seconds once it has failed, or each count would wait for its timeout.
_RETRY_AFTER: Final = 5.0
_OPTIONS: Final[dict[str, Any]] = {"socket_timeout": _TIMEOUT, "socket_connect_timeout": _TIMEOUT}
_MOST_CONNECTIONS: Final = 8


class Count(NamedTuple):
    """The number of events in the current window, the new one included, and the seconds until the window ends."""

    number: int
    seconds_left: float


class FixedWindow:
    """A count of events in windows of `seconds`, each of which begins with its first event; sans-I/O."""

    __slots__ = ("ends", "number", "seconds")

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.ends = float("-inf")
        self.number = 0

    def count(self, now: float, events: int = 1) -> Count:
        """Add events at `now`, in seconds of a monotonic clock."""
        if now >= self.ends:
            self.ends, self.number = now + self.seconds, 0
        self.number = max(self.number + events, 0)
        return Count(self.number, self.ends - now)


class FixedWindowCounter:
    """Counts events by key, in fixed windows of `span`, with one round trip to Redis for each count.

    Each process counts for itself too. Its own count is returned while Redis fails or where `redis_url` is None, so
    that each process then has a limit of its own. No method raises.
    """

    def __init__(
        self, redis_url: str | None, prefix: str, span: dt.timedelta, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        # Made here, not at the first count: threads that count at once would each make a client, and one that is
        # replaced closes its connections while its thread still waits for an answer.
        clients: tuple[Any, Any] = _clients(redis_url) if redis_url is not None else (None, None)
        self._redis, self._async_redis = clients
        self._prefix = prefix
        self._span = span
        self._clock = clock
        self._windows: dict[str, FixedWindow] = {}
        self._tidied = float("-inf")
        self._lock = threading.Lock()
        self._retry_at: float | None = None  # None while Redis answers

    def count(self, key: str, events: int = 1) -> Count:
        """Add events, in a thread; -1 takes one back that should not have counted."""
        own = self._count_here(key, events)
        if self._uses_redis():
            with self._failures_logged():
                answer = self._transaction(self._redis, key, events).execute()
                if not self._outlasts(answer):
                    return self._answered(answer)
                self._redis.delete(self._name(key))
        return own

    async def acount(self, key: str) -> Count:
        """Add one event, in the event loop."""
        own = self._count_here(key)
        if self._uses_redis():
            with self._failures_logged():
                async with asyncio.timeout(_TIMEOUT):
                    answer = await self._transaction(self._async_redis, key).execute()
                    if not self._outlasts(answer):
                        return self._answered(answer)
                    await self._async_redis.delete(self._name(key))
        return own

    def _count_here(self, key: str, events: int = 1) -> Count:
        """Add events to this process's own count. A key is kept for two windows at most."""
        now = self._clock()
        with self._lock:
            if now - self._tidied >= self._span.total_seconds():
                self._tidied = now
                self._windows = {key: window for key, window in self._windows.items() if now < window.ends}
            if key not in self._windows:
                self._windows[key] = FixedWindow(self._span.total_seconds())
            return self._windows[key].count(now, events)

    def _uses_redis(self) -> bool:
        return self._redis is not None and (self._retry_at is None or self._clock() >= self._retry_at)

    @contextmanager
    def _failures_logged(self) -> Iterator[None]:
        """Log, and suppress, a failure of Redis in the block; Redis is not used again before `_RETRY_AFTER`."""
        try:
            yield
        except (RedisError, OSError) as error:
            if self._retry_at is None:
                reason = error or type(error).__name__
                logger.error("Redis does not count (%s), each process counts for itself: %s", self._prefix, reason)
            self._retry_at = self._clock() + _RETRY_AFTER

    def _answered(self, answer: list[Any]) -> Count:
        if self._retry_at is not None:
            self._retry_at = None
            logger.warning("counting in Redis again (%s)", self._prefix)
        _, number, milliseconds = answer
        return Count(number, max(milliseconds, 0) / 1000)

    def _transaction(self, client: Any, key: str, events: int = 1) -> Any:
        """One transaction: a window that ended between two commands would leave a count that never ends.

        No count is less than 0: an event taken back after its window has ended begins the next window, with 0.
        """
        name, pipeline = self._name(key), client.pipeline()
        pipeline.set(name, max(-events, 0), px=self._span // dt.timedelta(milliseconds=1), nx=True)
        pipeline.incr(name, events)
        pipeline.pttl(name)
        return pipeline

    def _name(self, key: str) -> str:
        return f"{self._prefix}:{key}"

    def _outlasts(self, answer: list[Any]) -> bool:
        """Return True if the window ends later than one that begins now, as when Redis' clock was put back."""
        return bool(answer[2] > self._span // dt.timedelta(milliseconds=1))


def _clients(redis_url: str) -> tuple[Any, Any]:
    """A client for threads, and one for an event loop. Neither connects before it is used."""
    pool: Any = redis.asyncio.BlockingConnectionPool.from_url(
        redis_url,
        retry=redis.asyncio.retry.Retry(NoBackoff(), 0),
        max_connections=_MOST_CONNECTIONS,
        timeout=None,  # `acount` limits the whole of it
        **_OPTIONS,
    )
    for_threads = redis.Redis.from_url(redis_url, retry=redis.retry.Retry(NoBackoff(), 0), **_OPTIONS)
    return for_threads, redis.asyncio.Redis(connection_pool=pool)
