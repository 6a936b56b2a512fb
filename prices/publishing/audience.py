"""The audience: the number of clients of all web processes of all hosts, as each process reports its own to Redis."""

import logging
import uuid
from functools import cache
from typing import Any, Final

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)

# Seconds for which a report counts, so that a process that was killed does not count for ever: three reports' time.
_COUNTS_FOR: Final = 15
# Seconds. A page of staff's waits for the number.
_TIMEOUT: Final = 0.5


class Audience:
    """The audience in one Redis, and this process's part in it. No method raises."""

    def __init__(self, redis_url: str | None, prefix: str) -> None:
        self._redis: Any = None
        if redis_url is not None:
            retry = redis.retry.Retry(NoBackoff(), 0)
            timeouts: dict[str, Any] = {"socket_timeout": _TIMEOUT, "socket_connect_timeout": _TIMEOUT}
            self._redis = redis.Redis.from_url(redis_url, retry=retry, decode_responses=True, **timeouts)
        self._processes = f"{prefix}:clients"  # a set of the keys of all processes' reports
        self._report = f"{prefix}:clients:{uuid.uuid4().hex}"
        self._lost = False

    def report(self, clients: int) -> None:
        """Report the clients of this process. Call it every five seconds."""
        if self._redis is None:
            return
        try:
            pipeline = self._redis.pipeline()
            pipeline.set(self._report, clients, ex=_COUNTS_FOR)
            pipeline.sadd(self._processes, self._report)
            pipeline.expire(self._processes, _COUNTS_FOR)
            pipeline.execute()
        except (RedisError, OSError) as error:
            if not self._lost:
                reason = str(error) or type(error).__name__
                logger.error("Redis does not take the number of clients (%s): staff do not see it", reason)
            self._lost = True
        else:
            if self._lost:
                logger.warning("Redis takes the number of clients again")
            self._lost = False

    def count(self) -> int | None:
        """The clients of all processes by their reports of the last 15 s; None where Redis does not answer."""
        if self._redis is None:
            return None
        try:
            processes = sorted(self._redis.smembers(self._processes))
            reports = self._redis.mget(processes) if processes else []
            ended = [process for process, clients in zip(processes, reports, strict=True) if clients is None]
            if ended:
                self._redis.srem(self._processes, *ended)
        except (RedisError, OSError) as error:
            logger.debug("Redis did not give the number of clients: %s", error)
            return None
        return sum(int(clients) for clients in reports if clients is not None)


@cache
def _of_this_process() -> Audience:
    # Made once: threads that made one each would close each other's connections.
    return Audience(settings.REDIS_URL, settings.REDIS_PREFIX)


def report(clients: int) -> None:
    """Report the clients of this web process."""
    _of_this_process().report(clients)


def count() -> int | None:
    """The clients of all web processes of all hosts in the last 15 s; None where Redis does not answer."""
    return _of_this_process().count()
