"""How often somebody may try a password where there is no form to slow them down."""

import datetime as dt
import math
from collections.abc import Mapping
from functools import cache
from typing import Any

from django.conf import settings

from swarna import addresses
from swarna.windows import Windows

# From one address, and for one username from wherever: a guess every six seconds leads nowhere.
MOST_ATTEMPTS = 10
WINDOW = dt.timedelta(minutes=1)


def seconds_to_wait(meta: Mapping[str, Any], username: str) -> int | None:
    """Count an attempt to log in, from a Django request's `META`. None where it may go on, else when to try again.

    Over all web processes, while Redis is there.
    """
    keys = [f"user:{username}"]
    if address := addresses.of_meta(meta, settings.TRUSTED_PROXIES):
        keys.append(f"address:{addresses.one_client(address)}")
    counts = [_windows().count(key) for key in keys]
    waits = [count.seconds_left for count in counts if count.number > MOST_ATTEMPTS]
    return math.ceil(max(waits)) or 1 if waits else None


@cache
def _windows() -> Windows:
    return Windows(settings.REDIS_URL, f"{settings.REDIS_PREFIX}:attempts", WINDOW)
