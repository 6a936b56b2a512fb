"""`/readyz`: a check of the whole product, for an alarm."""

import math
from collections.abc import Callable
from typing import NamedTuple

from django.conf import settings
from django.db import Error
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from redis.exceptions import RedisError, ResponseError

from infra import clock, schema
from infra.postgresql import waiting_up_to
from infra.process.valkey import expect_writable
from infra.rest.problems import logged
from prices import clock_watch
from prices.api import answers
from prices.models import ListedMetal
from streaming.rest import PROBLEM
from swarna import refresh_watch

_OK = "ok"
_KEPT_FOR = 1  # seconds: however many clients call, the checks run once a second
_TIMEOUT = 2  # seconds, for an answer of the database


class _Checked(NamedTuple):
    at: float  # by the steady clock: after a step back of the wall clock, the result would be kept too long
    details: dict[str, str]


_last = _Checked(-math.inf, {})


def readyz(request: HttpRequest) -> JsonResponse:
    """Answer 200 if the database and Redis work, this process receives prices, refreshes begin, clocks agree and each
    listed metal has a fresh price; else 503. The body has a detail for each. It takes 10 s at most.

    Not for a load balancer: a process with stale prices marks them on every screen, and is to go on.
    """
    global _last
    if clock.steady() - _last.at >= _KEPT_FOR:
        _last = _Checked(clock.steady(), _check(request))
    is_ready = all(detail == _OK for detail in _last.details.values())
    # Each problem is logged where it arises, and not at each request.
    return logged(JsonResponse({"ready": is_ready, **_last.details}, status=200 if is_ready else 503))


def _check(request: HttpRequest) -> dict[str, str]:
    try:
        with waiting_up_to(_TIMEOUT):
            schema.expect_whole()
            database, prices, of_clocks = _OK, _prices(request), "; ".join(clock_watch.complaints()) or _OK
    except Error as error:
        if isinstance(error, schema.UnpreparedDatabaseError):
            database = error.detail
        else:
            database = f"does not answer ({type(error).__name__})"
        prices = of_clocks = "unknown without the database"
    return {
        "database": database,
        "redis": _redis(),
        "stream": _stream_problem(request) or _OK,
        "refreshes": refresh_watch.watch.problem() or _OK,
        "prices": prices,
        "clocks": of_clocks,
    }


def _stream_problem(request: HttpRequest) -> str | None:
    """The problem that keeps prices from the clients of this process, or None."""
    problem: Callable[[], str | None] | None = getattr(request, "scope", {}).get(PROBLEM)
    return problem() if problem else None


def _prices(request: HttpRequest) -> str:
    """The listed metals without a price or with a stale one, as this process's clients see them; or `ok`."""
    snapshot, now = answers.snapshot_for(request), timezone.now()
    problems = {
        "no price": [metal for metal in ListedMetal.metals() if metal not in snapshot.quotes],
        "stale": [metal for metal, published in snapshot.quotes.items() if snapshot.is_stale(published, now)],
    }
    return "; ".join(f"{problem}: {', '.join(metals)}" for problem, metals in problems.items() if metals) or _OK


def _redis() -> str:
    if settings.REDIS_URL is None:
        return "is not set"
    try:
        expect_writable(settings.REDIS_URL)
    except ResponseError as error:
        return f"takes nothing ({type(error).__name__})"
    except (RedisError, OSError) as error:
        return f"does not answer ({type(error).__name__})"
    return _OK
