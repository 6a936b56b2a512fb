"""The key that signs, and the public parts of all that ever did: from the database, or from SIGNING_KEYS_FILE.

A process uses the key that it has read for a minute, and then reads it anew. The first process that needs a key makes
the database's; a unique column sees to it that there is one, however many processes do so at once. Before any key
signs, its public part is in the database, also that of a key of the file.
"""

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

from django.conf import settings
from django.db import DatabaseError, connection, transaction
from joserfc.jwk import OKPKey

from infra import clock
from signing import key_file
from signing.key_file import KeyFileError
from signing.models import SigningKey

ALGORITHM: Final = "Ed25519"  # RFC 9864
# Seconds until a rotation has reached every process.
_KEPT_FOR: Final = 60

Jwk = dict[str, str]
logger = logging.getLogger(__name__)


class _Kept(NamedTuple):
    key: OKPKey
    until: float  # by the steady clock


class _Memory:
    """The keys that this process has read."""

    kept: _Kept | None = None
    published: list[Jwk] | None = None


def current() -> OKPKey:
    """The key that signs. Raises KeyFileError, and DatabaseError while that cannot be read.

    A file that can no longer be used costs nobody a sale: the process goes on with the key that it has read.
    """
    kept = _Memory.kept
    if kept is not None and clock.steady() < kept.until:
        return kept.key
    path: Path | None = settings.SIGNING_KEYS_FILE
    try:
        key = _of_database() if path is None else _of_file(path)
    except KeyFileError as error:
        if kept is None:
            raise
        logger.error("documents are signed with the key of before: %s %s", error, error.hint)
        key = kept.key
    # A transaction may be rolled back, and the key with it.
    if not connection.in_atomic_block:
        _Memory.kept = _Kept(key, clock.steady() + _KEPT_FOR)
    return key


def published() -> list[Jwk]:
    """The public part of every key that signs or ever did, the newest first.

    While the database is away, they are those that this process last read. Raises DatabaseError if it never did.
    """
    try:
        keys = [_jwk(row.kid, row.public) for row in SigningKey.objects.all()]
    except DatabaseError:
        if _Memory.published is None:
            raise
        return _Memory.published
    if not connection.in_atomic_block:
        _Memory.published = keys
    return keys


def rotate() -> str:
    """Draw another key to sign with, and forget the private part of the one before; returns the new one's `kid`.

    Raises KeyFileError, and OSError where the file cannot be written.
    """
    path: Path | None = settings.SIGNING_KEYS_FILE
    new = OKPKey.generate_key(ALGORITHM)
    if path is None:
        with transaction.atomic():
            # Of two rotations at once the second waits here; whichever key is left, there is one.
            _forget_private()
            _add(new)
            kid = SigningKey.objects.get(current=True).kid
    else:
        before = key_file.read(path) if path.exists() else []
        # First in the database: no key signs that might be lost.
        _record([new, *before])
        key_file.write(path, [new, *(OKPKey.import_key(key.public_key) for key in before)])
        # Of the time before the file. Its public part is published, so whoever has it signs as we do.
        _forget_private()
        kid = _kid(new)
    forget()
    logger.info("the signing key was rotated: %s signs from here on", kid)
    return kid


def forget() -> None:
    """Forget what this process has read: it reads the keys anew when it next needs them."""
    _Memory.kept = _Memory.published = None


def _of_database() -> OKPKey:
    row = SigningKey.objects.filter(current=True).first()
    if row is None or not row.private:
        with transaction.atomic():
            # A copy by `dumpdata` has no private parts. Another process's key, which may have come since, has one.
            SigningKey.objects.filter(current=True, private="").update(current=None)
            _add(OKPKey.generate_key(ALGORITHM))
        row = SigningKey.objects.get(current=True)
        logger.info("documents are signed with key %s from here on", row.kid)
    return OKPKey.import_key({"kty": "OKP", "crv": ALGORITHM, "x": row.public, "d": row.private})


def _of_file(path: Path) -> OKPKey:
    keys = key_file.read(path)
    _record(keys)
    return keys[0]


def _add(key: OKPKey) -> None:
    """Add the current key, unless another process has just done so."""
    private = str(key.as_dict(private=True)["d"])
    row = SigningKey(kid=_kid(key), public=_public(key), private=private, current=True)
    SigningKey.objects.bulk_create([row], ignore_conflicts=True)


def _forget_private() -> None:
    """Delete the private part of the database's key, which signs no more."""
    SigningKey.objects.filter(current=True).update(current=None, private="")


def _record(keys: Iterable[OKPKey]) -> None:
    """Store the public parts of keys, so that their documents can be verified once the file has lost them, too."""
    known = set(SigningKey.objects.values_list("kid", flat=True))
    new = [SigningKey(kid=_kid(key), public=_public(key)) for key in keys if _kid(key) not in known]
    SigningKey.objects.bulk_create(new, ignore_conflicts=True)


def _kid(key: OKPKey) -> str:
    return key.thumbprint()


def _public(key: OKPKey) -> str:
    return str(key.as_dict(private=False)["x"])


def _jwk(kid: str, public: str) -> Jwk:
    return {"kty": "OKP", "crv": ALGORITHM, "x": public, "kid": kid, "use": "sig", "alg": ALGORITHM}
