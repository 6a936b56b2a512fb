"""Limits on the API's requests: by user, or by address without a login."""

import math
from functools import cache
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from infra import addresses
from infra.fixed_window import FixedWindowCounter


class ClientThrottle(BaseThrottle):
    """Allows `API_RATE_LIMIT` requests of an address, or `API_USER_RATE_LIMIT` of a user, in each `API_RATE_WINDOW`.

    It counts over all web processes while Redis answers, else in each.
    """

    _wait: float | None = None

    def allow_request(self, request: Request | HttpRequest, view: Any) -> bool:
        if request.user.is_authenticated:
            key, limit = f"user:{request.user.pk}", settings.API_USER_RATE_LIMIT
        else:
            address = addresses.of_meta(request.META, settings.TRUSTED_PROXIES)
            key, limit = f"address:{addresses.client_key(address) if address else ''}", settings.API_RATE_LIMIT
        if not limit:
            return True
        count = counter().count(key)
        self._wait = count.seconds_left
        return count.number <= limit

    def wait(self) -> int | None:
        return None if self._wait is None else math.ceil(self._wait) or 1


@cache
def counter() -> FixedWindowCounter:
    """This process's counter of requests."""
    return FixedWindowCounter(settings.REDIS_URL, f"{settings.REDIS_PREFIX}:api", settings.API_RATE_WINDOW)
