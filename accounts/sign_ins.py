"""The record of users' sessions: where and when each login and each token was last used."""

import datetime as dt
import logging
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.db import DatabaseError
from django.http import HttpRequest
from django.utils import timezone

from accounts.models import SignIn, Token
from infra import addresses

logger = logging.getLogger(__name__)

# A session that is in use is written once in so long.
SEEN_EVERY: Final = dt.timedelta(minutes=5)

# What a `User-Agent` names first counts: browsers name those that they want to be taken for, too.
_BROWSERS: Final = {
    "Edg": "Edge",
    "OPR": "Opera",
    "CriOS": "Chrome",
    "FxiOS": "Firefox",
    "Firefox": "Firefox",
    "Chrome": "Chrome",
    "Safari": "Safari",
}
_SYSTEMS: Final = ("Android", "iPhone", "iPad", "Windows", "Mac", "Linux")


def logged_in(request: HttpRequest, user: User, **options: Any) -> None:
    """Record a login (Django's signal `user_logged_in`), and forget those of all users that have expired."""
    request.session.clear_expired()
    if request.session.session_key is None:
        request.session.save()
    record(user, request.META, session_id=request.session.session_key)


def record(user: User, meta: Mapping[str, Any], **credential: Any) -> None:
    """Record a session that begins now, given a request's `META`, and the login as `session_id` or the `token`."""
    now = timezone.now()
    SignIn.objects.update_or_create(
        **credential, defaults={"user": user, "began_at": now, "seen_at": now, **_where(meta)}
    )


def see_login(request: HttpRequest) -> None:
    """Record that the request's login is in use; from now on, if it was not recorded when it began."""
    key = request.session.session_key
    if not request.user.is_authenticated or key is None:
        return
    if sign_in := SignIn.objects.filter(session=key).first():
        _see(sign_in, request.META)
    elif Session.objects.filter(pk=key).exists():  # it may have ended meanwhile
        with _errors_logged():
            record(request.user, request.META, session_id=key)


def see_token(token: Token, meta: Mapping[str, Any]) -> None:
    """Record that a token is in use, which was read with its `sign_in`."""
    if sign_in := getattr(token, "sign_in", None):
        _see(sign_in, meta)
    else:
        with _errors_logged():
            record(token.user, meta, token=token)


def see_logins_on_stream(keys: Collection[str]) -> None:
    """Record that the logins with these session keys are in use, by a stream. One query."""
    SignIn.objects.filter(session__in=keys).update(seen_at=timezone.now())


def see_tokens_on_stream(digests: Collection[str]) -> None:
    """Record that the tokens with these digests are in use, by a stream. One query."""
    SignIn.objects.filter(token__in=digests).update(seen_at=timezone.now())


def browser(user_agent: str) -> str:
    """The browser and the system that a `User-Agent` names, such as `Chrome on Android`; else its first word."""
    browsers = [name for product, name in _BROWSERS.items() if re.search(rf"\b{product}\w*/", user_agent)]
    systems = [name for name in _SYSTEMS if name in user_agent]
    if browsers and systems:
        return f"{browsers[0]} on {systems[0]}"
    return user_agent.partition(" ")[0]


def _see(sign_in: SignIn, meta: Mapping[str, Any]) -> None:
    now = timezone.now()
    if not dt.timedelta(0) <= now - sign_in.seen_at < SEEN_EVERY:  # in the future: by a clock that was ahead
        with _errors_logged():
            SignIn.objects.filter(pk=sign_in.pk).update(seen_at=now, **_where(meta))


@contextmanager
def _errors_logged() -> Iterator[None]:
    """Log that the database does not take the block's writes, and go on: what a user is doing comes first."""
    try:
        yield
    except DatabaseError as error:
        logger.warning("the use of a session could not be recorded: %s", error)


def _where(meta: Mapping[str, Any]) -> dict[str, str]:
    address = addresses.of_meta(meta, settings.TRUSTED_PROXIES)
    agent = "".join(filter(str.isprintable, meta.get("HTTP_USER_AGENT", "")))
    return {"address": str(address or ""), "user_agent": agent[:200]}
