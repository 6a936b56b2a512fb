"""API tokens: made, found and revoked. Their text is nowhere but in the answer that hands them out."""

import datetime as dt
import re
from collections.abc import Collection

from django.conf import settings
from django.contrib.auth.models import AnonymousUser, User
from django.db.models import Q, QuerySet
from django.utils import timezone
from knox.crypto import hash_token
from knox.models import get_digest_token
from knox.settings import CONSTANTS

from accounts.models import Token
from infra.redaction import TOKEN_PREFIX

# Live ones of one account: more is a client that asks for a new token each time, and never comes back for the old.
MOST_TOKENS = 20

_SCHEME = re.compile(r"(?:bearer|token)(?:\s+|$)", re.IGNORECASE)
_TEXT = re.compile(f"{TOKEN_PREFIX}[0-9a-f]{{64}}")


class TooManyTokensError(Exception):
    """An account has as many live tokens as it may."""


def presented(authorization: str) -> str | None:
    """The token in an `Authorization` header, after `Bearer` or `Token` or bare; None for an empty header.

    Of any other scheme it is all that was presented, which is no token of ours and is to be refused: whoever presents
    something means to be somebody.
    """
    given = authorization.strip()
    if not given:
        return None
    scheme = _SCHEME.match(given)
    return given[scheme.end() :] if scheme else given


def digest(text: str) -> str | None:
    """What the database knows a token by; None for a text that cannot be a token, which need not be looked up."""
    return hash_token(text) if _TEXT.fullmatch(text) else None


def holders(digests: Collection[str]) -> dict[str, int]:
    """The ids of the users whose live tokens these are; a token that is unknown, expired, or whose user may not log in,
    is left out. One query."""
    return dict(_live().filter(digest__in=digests).values_list("digest", "user_id"))


def find(text: str) -> Token | None:
    """The live token with this text, and its user."""
    known_by = digest(text)
    if known_by is None:
        return None
    return _live().filter(digest=known_by).select_related("user").first()


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


def issue(user: User) -> tuple[Token, str]:
    """A new token and its text. Forgets the user's expired ones. Raises TooManyTokensError."""
    Token.objects.filter(user=user, expiry__lte=timezone.now()).delete()
    if of(user).count() >= MOST_TOKENS:
        raise TooManyTokensError
    token, text = make(user, settings.TOKEN_TTL)
    token.save()
    return token, text


def _live() -> QuerySet[Token]:
    live: QuerySet[Token] = Token.objects.filter(Q(expiry=None) | Q(expiry__gt=timezone.now()), user__is_active=True)
    return live
