"""Limits on wrong passwords, counted together for the admin and REST."""

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
# For one username from one address: too few to guess a password, and more than people need.
MOST_AT_AN_ADDRESS = 10
# From one address, for all usernames: the staff of a shop may share it.
MOST_FROM_AN_ADDRESS = 30
# For one username from everywhere. Strangers can use these up, so addresses from which its owner logged in are exempt.
MOST_FROM_EVERYWHERE = 100


class TooManyAttemptsError(Exception):
    """Raised in place of checking a password; the next one is checked in `seconds`."""

    def __init__(self, seconds: int) -> None:
        self.seconds = seconds
        super().__init__(f"Too many wrong passwords. Try again in {seconds} second{'' if seconds == 1 else 's'}.")


@dataclass(frozen=True)
class Attempt:
    """An attempt to log in, which counts as wrong until `succeeded`."""

    address: str
    counted: Sequence[str]

    def succeeded(self, user: User) -> None:
        """Take the attempt back, and remember the address of its user."""
        for key in self.counted:
            _counter().count(key, -1)
        if self.address:
            known_addresses.remember(user, self.address, now=timezone.now())


def begin(meta: Mapping[str, Any], username: str) -> Attempt:
    """Count an attempt to log in, given a Django request's `META`. Raises TooManyAttemptsError.

    An attempt is counted before its password is checked, so that many at once do not pass together; in all web
    processes together while Redis is available. One limit that rejects an attempt keeps it from the following ones, so
    that one address alone cannot use up a username's attempts from everywhere.
    """
    found = addresses.of_meta(meta, settings.TRUSTED_PROXIES)
    address = addresses.client_key(found) if found else ""
    # Of one length, and the same for all spellings of a name.
    name = hashlib.sha256(normalized(username).casefold().encode("utf-8", "surrogatepass")).hexdigest()[:32]
    # Quoted: it may hold any characters that a stranger sends.
    who, where = f"{username[:150]!r}", address or "an address that is not known"
    limits = (
        _Limit(f"{name}:{address}", MOST_AT_AN_ADDRESS, f"for {who} from {where}"),
        _Limit(f"address:{address}", MOST_FROM_AN_ADDRESS, f"from {where}"),
        _Limit(f"name:{name}", MOST_FROM_EVERYWHERE, f"for {who}, but from where they have logged in of late"),
    )
    for limit in limits:
        count = _counter().count(limit.key)
        is_over = count.number > limit.most
        is_known = limit is limits[-1] and address and known_addresses.is_known(username, address, now=timezone.now())
        if is_over and not is_known:
            raise TooManyAttemptsError(_seconds(count, limit))
    return Attempt(address, [limit.key for limit in limits])


class _Limit(NamedTuple):
    """A limit on wrong passwords in a window: the counter's key, the number, and for the log the subject."""

    key: str
    most: int
    subject: str


def normalized(username: str) -> str:
    """A username in the form that accounts store; one that is too long, which no account has, is unchanged."""
    return unicodedata.normalize("NFKC", username) if len(username) <= 150 else username


def _seconds(count: Count, limit: _Limit) -> int:
    """Seconds until the next attempt. Logs only the first rejection of a window, to keep the log short."""
    seconds = math.ceil(count.seconds_left) or 1
    if count.number == limit.most + 1:
        said = "%d wrong passwords within a minute: no password is checked %s for %d s"
        logger.warning(said, limit.most, limit.subject, seconds)
    return seconds


@cache
def _counter() -> FixedWindowCounter:
    return FixedWindowCounter(settings.REDIS_URL, f"{settings.REDIS_PREFIX}:attempts", WINDOW)
