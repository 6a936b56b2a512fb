"""Credentials that end by anybody's act, by whichever page, endpoint or command: all web processes are told at once.

Without it, and while Redis is away, a stream ends with the next regular check of its credential (streaming/auth.py).
"""

from functools import partial
from typing import Any

from django.contrib.auth import SESSION_KEY
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models.signals import post_delete, post_save
from django.utils import timezone
from knox.models import AuthToken

from accounts.models import Token
from streaming import publish


def follow() -> None:
    """Have Django tell of logins, tokens and users that are deleted, and of users that change. Done once."""
    for model, receiver in ((Session, _login_ended), (AuthToken, _token_ended), (Token, _token_ended)):
        post_delete.connect(receiver, sender=model, dispatch_uid="streaming.revocations")
    post_delete.connect(_user_changed, sender=User, dispatch_uid="streaming.revocations")
    post_save.connect(_user_changed, sender=User, dispatch_uid="streaming.revocations")


def _login_ended(instance: Session, **options: Any) -> None:
    if instance.expire_date > timezone.now() and (user := instance.get_decoded().get(SESSION_KEY)):
        _recheck(int(user))


def _token_ended(instance: AuthToken, **options: Any) -> None:
    if instance.expiry is None or instance.expiry > timezone.now():
        _recheck(instance.user_id)


def _user_changed(instance: User, created: bool = False, update_fields: Any = None, **options: Any) -> None:
    """They may be inactive now, or have another password, which ends their logins."""
    if not created and set(update_fields or ()) != {"last_login"}:  # which each login changes
        _recheck(instance.pk)


def _recheck(user: int) -> None:
    transaction.on_commit(partial(publish.recheck, user))
