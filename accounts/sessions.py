"""Sessions of people who are logged in: read without a request, many at a time; renewed while their holders work.

They are read from the database, where SESSION_ENGINE keeps them by default: with another one, nobody is logged in here.
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
from django.utils import timezone
from django.utils.crypto import constant_time_compare

# In a session: when it was renewed last, in seconds since 1970.
_RENEWED: Final = "renewed_at"


def renew(session: SessionBase) -> None:
    """Let a session last for SESSION_TTL from now on, if half of that has passed since it was last renewed.

    So it is written once in half that time, and not with each page.
    """
    now = int(time.time())
    since = now - session.get(_RENEWED, -math.inf)
    if not 0 <= since < settings.SESSION_COOKIE_AGE / 2:  # renewed in the future: by a clock that was ahead
        session[_RENEWED] = now


def holders(keys: Collection[str]) -> dict[str, int]:
    """The ids of the users who are logged in by these sessions, by the rules of `django.contrib.auth.get_user`.

    A session that is unknown, expired or nobody's is left out, as is one whose user may not log in any more or has
    changed the password since. Two queries.
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


def _holds(login: dict[str, Any], user: User) -> bool:
    if login.get(BACKEND_SESSION_KEY) not in settings.AUTHENTICATION_BACKENDS:
        return False
    said = login.get(HASH_SESSION_KEY) or ""
    good = [user.get_session_auth_hash(), *user.get_session_auth_fallback_hash()]
    return any(constant_time_compare(said, each) for each in good)
