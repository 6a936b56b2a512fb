"""`/readyz`: whether prices go out as they should, for whoever watches over the product."""

import math
from collections.abc import Callable
from typing import NamedTuple

import redis
from django.conf import settings
from django.db import Error
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from redis.exceptions import RedisError, ResponseError

from infra import clock, schema
from infra.postgresql import waiting_up_to
from infra.rest.problems import logged
from prices import clock_watch
from prices.api import answers
from prices.models import ListedMetal
from streaming.rest import TROUBLE
from swarna import refresh_watch

_OK = "ok"
_KEPT_FOR = 1  # seconds: anybody may ask, and it is to cost no more than one who asks each second
_PATIENCE = 2  # seconds, for an answer of the database


class _Found(NamedTuple):
    at: float  # by the steady clock: by the wall clock, one that is put back would keep it for as long
    words: dict[str, str]


_last = _Found(-math.inf, {})


def readyz(request: HttpRequest) -> JsonResponse:
    """200 while the database and Redis answer, this process hears of prices, refreshes are begun, clocks agree and each
    listed metal has a fresh price, else 503; and what is wrong. The answer takes 10 s at most.

    Not for a load balancer: a process that has stale prices says so on every screen, and is to go on.
    """
    global _last
    if clock.steady() - _last.at >= _KEPT_FOR:
        _last = _Found(clock.steady(), _found(request))
    found = _last.words
    is_ready = all(words == _OK for words in found.values())
    # What is wrong is in the log where it went wrong, and not each time that somebody asks.
    return logged(JsonResponse({"ready": is_ready, **found}, status=200 if is_ready else 503))


def _found(request: HttpRequest) -> dict[str, str]:
    try:
        with waiting_up_to(_PATIENCE):
            schema.expect_whole()
            database, prices, of_clocks = _OK, _prices(request), "; ".join(clock_watch.complaints()) or _OK
    except Error as error:
        if isinstance(error, schema.UnpreparedDatabaseError):
            database = error.lack
        else:
            database = f"does not answer ({type(error).__name__})"
        prices = of_clocks = "unknown without the database"
    return {
        "database": database,
        "redis": _redis(),
        "stream": _trouble_of(request) or _OK,
        "refreshes": refresh_watch.watch.trouble() or _OK,
        "prices": prices,
        "clocks": of_clocks,
    }


def _trouble_of(request: HttpRequest) -> str | None:
    """The faults that keep prices from this process's clients, though others may have them, or None."""
    trouble: Callable[[], str | None] | None = getattr(request, "scope", {}).get(TROUBLE)
    return trouble() if trouble else None


def _prices(request: HttpRequest) -> str:
    """The metals without a price or with a stale one, among those that this process's clients are shown; or `ok`."""
    snapshot, now = answers.snapshot_for(request), timezone.now()
    troubles = {
        "no price": [metal for metal in ListedMetal.metals() if metal not in snapshot.quotes],
        "stale": [metal for metal, published in snapshot.quotes.items() if snapshot.is_stale(published, now)],
    }
    return "; ".join(f"{trouble}: {', '.join(metals)}" for trouble, metals in troubles.items() if metals) or _OK


def _redis() -> str:
    if settings.REDIS_URL is None:
        return "is not set"
    try:
        with redis.Redis.from_url(settings.REDIS_URL, **settings.REDIS_OPTIONS) as client:
            # One that is full, or for the moment a replica, answers a PING but takes no task.
            client.set(f"{settings.REDIS_PREFIX}:readyz", "", ex=60)
    except ResponseError as error:
        return f"takes nothing ({type(error).__name__})"
    except (RedisError, OSError) as error:
        return f"does not answer ({type(error).__name__})"
    return _OK
