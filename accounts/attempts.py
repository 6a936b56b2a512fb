"""Limits on wrong passwords, over all doors together: the admin's and REST's."""

import datetime as dt
import hashlib
import logging
import math
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

from django.conf import settings
from django.contrib.auth.models import User
from django.utils import timezone

from accounts import known_addresses
from infra import addresses
from infra.fixed_window import Count, FixedWindowCounter

logger = logging.getLogger(__name__)

WINDOW = dt.timedelta(minutes=1)
# For one username from one address: a guess every six seconds leads nowhere, and people err less often.
MOST_AT_AN_ADDRESS = 10
# From one address, whatever the usernames: a shop's staff may all be behind it.
MOST_FROM_AN_ADDRESS = 30
# For one username from everywhere. Strangers can use these up, so that they do not count where its owner has logged in.
MOST_FROM_EVERYWHERE = 100


class TooManyAttemptsError(Exception):
    """A password was not checked; `seconds` from now one will be again."""

    def __init__(self, seconds: int) -> None:
        self.seconds = seconds
        super().__init__(f"Too many wrong passwords. Try again in {seconds} second{'' if seconds == 1 else 's'}.")


@dataclass(frozen=True)
class Attempt:
    """An attempt to log in, which counts as wrong until its password is known to be right."""

    address: str
    counted: Sequence[str]

    def succeeded(self, user: User) -> None:
        """Count it no more, and remember where its owner is."""
        for key in self.counted:
            _counter().count(key, -1)
        if self.address:
            known_addresses.remember(user, self.address, now=timezone.now())


def begin(meta: Mapping[str, Any], username: str) -> Attempt:
    """Count an attempt to log in, from a Django request's `META`. Raises TooManyAttemptsError.

    It is counted before its password is checked, or many at once would all find that there were few; over all web
    processes, while Redis is there. Who is refused counts no further: one address alone cannot use up what a username
    has from everywhere.
    """
    found = addresses.of_meta(meta, settings.TRUSTED_PROXIES)
    address = addresses.client_key(found) if found else ""
    # As short as any, and one for all the ways to write a name.
    name = hashlib.sha256(normalized(username).casefold().encode("utf-8", "surrogatepass")).hexdigest()[:32]
    # Quoted, as it may hold whatever a stranger sends.
    who, where = f"{username[:150]!r}", address or "an address that is not known"
    limits = (
        _Limit(f"{name}:{address}", MOST_AT_AN_ADDRESS, f"for {who} from {where}"),
        _Limit(f"address:{address}", MOST_FROM_AN_ADDRESS, f"from {where}"),
        _Limit(f"name:{name}", MOST_FROM_EVERYWHERE, f"for {who}, but from where they have logged in of late"),
    )
    for limit in limits:
        count = _counter().count(limit.key)
        is_over = count.number > limit.most
        if is_over and not (limit is limits[-1] and _is_known(username, address)):
            raise TooManyAttemptsError(_seconds(count, limit))
    return Attempt(address, [limit.key for limit in limits])


class _Limit(NamedTuple):
    """A limit on wrong passwords in a window: what they are counted by, how many, and for the log whose they are."""

    key: str
    most: int
    whose: str


def _is_known(username: str, address: str) -> bool:
    return bool(address) and known_addresses.is_known(username, address, now=timezone.now())


def normalized(username: str) -> str:
    """A username as accounts have it, whichever way it was typed; one that is too long is nobody's."""
    return unicodedata.normalize("NFKC", username) if len(username) <= 150 else username


def _seconds(count: Count, limit: _Limit) -> int:
    """Seconds until the next may be tried. Logs the first refusal of a window: all of them would flood the log."""
    seconds = math.ceil(count.seconds_left) or 1
    if count.number == limit.most + 1:
        said = "%d wrong passwords within a minute: none is taken %s for %d s"
        logger.warning(said, limit.most, limit.whose, seconds)
    return seconds


@cache
def _counter() -> FixedWindowCounter:
    return FixedWindowCounter(settings.REDIS_URL, f"{settings.REDIS_PREFIX}:attempts", WINDOW)
