"""Addresses from which users logged in during the last 30 days, stored as keyed digests."""

import datetime as dt

from django.contrib.auth.models import User
from django.utils.crypto import salted_hmac

from accounts.models import LoginAddress

KEPT_FOR = dt.timedelta(days=30)
# Addresses of one user; the newest are kept.
MOST = 50
# The most that a stored time may lie in the future, written by a clock that was ahead.
_AHEAD = dt.timedelta(days=1)


def remember(user: User, address: str, *, now: dt.datetime) -> None:
    """Record that a user has logged in from an address, and delete old records of all users."""
    _, is_new = LoginAddress.objects.update_or_create(
        user=user, digest=_digest(address), defaults={"logged_in_at": now}
    )
    if is_new:
        LoginAddress.objects.exclude(logged_in_at__range=_of_late(now)).delete()
        of_the_user = LoginAddress.objects.filter(user=user).order_by("-logged_in_at")
        LoginAddress.objects.filter(pk__in=list(of_the_user.values_list("pk", flat=True)[MOST:])).delete()


def is_known(username: str, address: str, *, now: dt.datetime) -> bool:
    """Return True if the user of this name has logged in from the address within `KEPT_FOR`."""
    return LoginAddress.objects.filter(
        user__username=username, digest=_digest(address), logged_in_at__range=_of_late(now)
    ).exists()


def _of_late(now: dt.datetime) -> tuple[dt.datetime, dt.datetime]:
    return now - KEPT_FOR, now + _AHEAD


def _digest(address: str) -> str:
    return salted_hmac("accounts.known_addresses", address, algorithm="sha256").hexdigest()
