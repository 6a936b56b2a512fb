"""`/readyz`: whether prices go out as they should, for whoever watches over the product."""

from typing import Any

import redis
from django.conf import settings
from django.core.cache import cache
from django.db import Error
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from redis.exceptions import RedisError

from prices import current
from prices.models import ListedMetal

_OK = "ok"
_KEPT_FOR = 1  # seconds: anybody may ask, and it is to cost no more than one who asks each second
_PATIENCE = 2  # seconds


def readyz(request: HttpRequest) -> JsonResponse:
    """200 while the database and Redis answer and each listed metal has a fresh price, else 503; and what is wrong.

    Not for a load balancer: a process that has stale prices says so on every screen, and is to go on.
    """
    found: Any = cache.get_or_set("readiness", _found, _KEPT_FOR)
    is_ready = all(words == _OK for words in found.values())
    return JsonResponse({"ready": is_ready, **found}, status=200 if is_ready else 503)


def _found() -> dict[str, str]:
    try:
        database, prices = _OK, _prices()
    except Error as error:
        database, prices = f"does not answer ({type(error).__name__})", "unknown without the database"
    return {"database": database, "redis": _redis(), "prices": prices}


def _prices() -> str:
    standing, now = current.standing(), timezone.now()
    troubles = {
        "no price": [metal for metal in ListedMetal.metals() if metal not in standing.quotes],
        "stale": [metal for metal, published in standing.quotes.items() if standing.is_stale(published, now)],
    }
    return "; ".join(f"{trouble}: {', '.join(metals)}" for trouble, metals in troubles.items() if metals) or _OK


def _redis() -> str:
    if settings.REDIS_URL is None:
        return "is not set"
    options = {"socket_timeout": _PATIENCE, "socket_connect_timeout": _PATIENCE}
    try:
        with redis.Redis.from_url(settings.REDIS_URL, **options) as client:
            client.ping()
    except (RedisError, OSError) as error:
        return f"does not answer ({type(error).__name__})"
    return _OK
