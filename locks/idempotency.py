"""Requests with an `Idempotency-Key`: sent again with the same key, each gets the answer that it had.

The answer is kept in the transaction of what the request did, so that there is never one without the other. While a
request runs, PostgreSQL refuses the same key at once; on SQLite, where one transaction writes at a time, the second
request waits for the first, and gets its answer.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from django.contrib.auth.models import User
from django.db import connection, transaction

from locks.models import KeptAnswer
from locks.refusals import Code, RefusalError

# Others, such as 429, are not kept: sent again with the same key, the request is tried anew.
_KEPT: Final = frozenset({HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.CONFLICT, HTTPStatus.GONE})


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer by REST, with its body as JSON."""

    status: int
    body: str


@dataclass(frozen=True, slots=True)
class Request:
    """The identity of a request: its user, address, key and body. Without a key it is the same as no other."""

    user: User
    address: str
    key: str | None
    body: Any


def once(request: Request, work: Callable[[], Answer]) -> Answer:
    """Do the work in one transaction and keep its answer; or return the answer that the same request had before.

    Raises RefusalError for a key that was sent with another body, or while the first request with it runs.
    """
    with transaction.atomic():
        if request.key is None:
            return work()
        _expect_no_other(request)
        fingerprint = _fingerprint(request.body)
        same = {"user": request.user, "address": request.address, "key": request.key}
        if kept := KeptAnswer.objects.filter(**same).first():
            if kept.fingerprint != fingerprint:
                raise RefusalError(
                    Code.KEY_REUSED,
                    "This Idempotency-Key was sent here with another body. Send a new key with this one.",
                )
            return Answer(kept.status, kept.body)
        answer = work()
        if answer.status in _KEPT:
            KeptAnswer.objects.create(**same, fingerprint=fingerprint, status=answer.status, body=answer.body)
        return answer


def _expect_no_other(request: Request) -> None:
    """Raise RefusalError while another transaction runs a request with the same key; from now on this one does."""
    if connection.vendor != "postgresql":
        return
    name = "\0".join((str(request.user.pk), request.address, str(request.key)))
    number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], signed=True)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [number])
        (is_alone,) = cursor.fetchone()
    if not is_alone:
        raise RefusalError(
            Code.STILL_RUNNING,
            "The first request with this Idempotency-Key still runs. Send this one again in a second.",
        )


def _fingerprint(body: Any) -> str:
    """A digest of a request's body, whatever the order of its fields."""
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
