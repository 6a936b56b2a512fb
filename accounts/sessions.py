"""Sessions of logged-in users: read many at a time, without a request, and renewed while they are used.

Sessions are read from the database, where the default SESSION_ENGINE keeps them; with another engine none are found.
"""

import math
import time
from collections.abc import Collection
from typing import Any, Final

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import User
from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.models import Session
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from accounts.models import SignIn

# The session's key for its last renewal, in seconds since 1970.
_RENEWED: Final = "renewed_at"


def renew(session: SessionBase) -> None:
    """Extend a session to SESSION_TTL from now, if half of that has passed since its last renewal.

    So a session is written once in that half, rather than with each page.
    """
    now = int(time.time())
    since = now - session.get(_RENEWED, -math.inf)
    if not 0 <= since < settings.SESSION_COOKIE_AGE / 2:  # a renewal in the future is by a clock that was ahead
        session[_RENEWED] = now


def holders(keys: Collection[str]) -> dict[str, int]:
    """The user ids of these sessions by session key, by the rules of `django.contrib.auth.get_user`.

    Left out are unknown, expired and anonymous sessions, and those of users who are inactive or have changed their
    password since. Two queries.
    """
    live = Session.objects.filter(session_key__in=keys, expire_date__gt=timezone.now())
    logins = {session.session_key: session.get_decoded() for session in live}
    ids = {login[SESSION_KEY] for login in logins.values() if SESSION_KEY in login}
    users = {str(user.pk): user for user in User.objects.filter(pk__in=ids, is_active=True)} if ids else {}
    return {
        key: users[login[SESSION_KEY]].pk
        for key, login in logins.items()
        if login.get(SESSION_KEY) in users and _holds(login, users[login[SESSION_KEY]])
    }


def without_former(sign_ins: QuerySet[SignIn]) -> QuerySet[SignIn]:
    """Leave out the logins that `holders` would, such as those from before a change of password. Three queries."""
    keys = list(sign_ins.filter(session__isnull=False).values_list("session", flat=True))
    return sign_ins.filter(Q(session=None) | Q(session__in=list(holders(keys))))


def _holds(login: dict[str, Any], user: User) -> bool:
    if login.get(BACKEND_SESSION_KEY) not in settings.AUTHENTICATION_BACKENDS:
        return False
    given = login.get(HASH_SESSION_KEY) or ""
    valid = [user.get_session_auth_hash(), *user.get_session_auth_fallback_hash()]
    return any(constant_time_compare(given, each) for each in valid)
