"""API tokens: issued, found and revoked. A token's text is only in the response that issues it."""

import datetime as dt
import re
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AnonymousUser, User
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from knox.crypto import hash_token
from knox.models import get_digest_token
from knox.settings import CONSTANTS

from accounts import sign_ins
from accounts.models import Token
from infra.redaction import TOKEN_PREFIX

# The most live tokens of one account: only a client that requests a new token each time needs more.
MOST_TOKENS = 20

_SCHEME = re.compile(r"(?:bearer|token)(?:\s+|$)", re.IGNORECASE)
_TEXT = re.compile(f"{TOKEN_PREFIX}[0-9a-f]{{64}}")


class TooManyTokensError(Exception):
    """Raised if an account has the maximum of live tokens."""


def presented(authorization: str) -> str | None:
    """The token in an `Authorization` header, after `Bearer` or `Token` or bare; None for an empty header.

    Of another scheme, it is the whole header, which is not a valid token: a client that presents credentials is
    rejected rather than treated as anonymous.
    """
    given = authorization.strip()
    if not given:
        return None
    scheme = _SCHEME.match(given)
    return given[scheme.end() :] if scheme else given


def digest(text: str) -> str | None:
    """The digest of a token, as stored; None for a text that cannot be a token, which needs no query."""
    return hash_token(text) if _TEXT.fullmatch(text) else None


def holders(digests: Collection[str]) -> dict[str, int]:
    """The user ids of live tokens by digest; not of unknown or expired ones, nor of inactive users. One query."""
    return dict(_live().filter(digest__in=digests).values_list("digest", "user_id"))


def find(text: str) -> Token | None:
    """The live token with this text, with its user and `sign_in`; None if there is none."""
    stored = digest(text)
    if stored is None:
        return None
    return _live().filter(digest=stored).select_related("user", "sign_in").first()


def of(user: User | AnonymousUser) -> QuerySet[Token]:
    """A user's live tokens, newest first."""
    return _live().filter(user=user).order_by("-created")


def make(user: User, lifetime: dt.timedelta) -> tuple[Token, str]:
    """A new token, not yet saved, and its text."""
    fingerprint, text = get_digest_token()
    return Token(
        digest=fingerprint,
        token_key=text[: CONSTANTS.TOKEN_KEY_LENGTH],
        user=user,
        expiry=timezone.now() + lifetime,
    ), text


def save(token: Token, meta: Mapping[str, Any]) -> None:
    """Save a new token, and record it as a session. `meta` is the `META` of its user's own request, or empty."""
    with transaction.atomic():
        token.save()
        sign_ins.record(token.user, meta, token=token)


def issue(user: User, meta: Mapping[str, Any] = MappingProxyType({})) -> tuple[Token, str]:
    """Save and return a new token, with its text, and delete the user's expired ones. Raises TooManyTokensError.

    `meta` is the `META` of the user's request.
    """
    Token.objects.filter(user=user, expiry__lte=timezone.now()).delete()
    if of(user).count() >= MOST_TOKENS:
        raise TooManyTokensError
    token, text = make(user, settings.TOKEN_TTL)
    save(token, meta)
    return token, text


def _live() -> QuerySet[Token]:
    live: QuerySet[Token] = Token.objects.filter(Q(expiry=None) | Q(expiry__gt=timezone.now()), user__is_active=True)
    return live
