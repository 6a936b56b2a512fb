"""SIGNING_KEYS_FILE: a JWK Set (RFC 7517) with private keys, of which the first signs."""

import json
import os
import stat
from collections.abc import Iterable
from pathlib import Path

from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

_REMEDY = "Make it by `manage.py rotatesigningkey`, as the user that runs Swarna."


class KeyFileError(Exception):
    """The file cannot be used; `hint` says what to do. Neither quotes what is in it."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


def read(path: Path) -> list[OKPKey]:
    """The keys of the file; the first has its private part. Raises KeyFileError."""
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            content = file.read()
    except FileNotFoundError as error:
        raise KeyFileError(f"{path} is not there.", _REMEDY) from error
    except OSError as error:
        remedy = "Let the user that runs Swarna read it."
        raise KeyFileError(f"{path} cannot be read: {error.strerror}.", remedy) from error
    _check_rights(path, status)
    keys = _parsed(path, content)
    if not keys or not keys[0].is_private:
        raise KeyFileError(f"{path} has no private key (`d`) in its first place.", "Put first the key that is to sign.")
    return keys


def write(path: Path, keys: Iterable[OKPKey]) -> None:
    """Put the file in place at once, private to this user. Raises OSError."""
    text = json.dumps({"keys": [key.as_dict(private=key.is_private) for key in keys]}, indent=1)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def _check_rights(path: Path, status: os.stat_result) -> None:
    """Check that no other users may read or write the file. Raises KeyFileError.

    A group may read one of root's, as with PostgreSQL's own key: so containers mount secrets.
    """
    if status.st_uid not in (os.geteuid(), 0):
        remedy = f"`chown` it to the user that runs Swarna, {os.geteuid()}."
        raise KeyFileError(f"{path} belongs to another user, {status.st_uid}.", remedy)
    mode = stat.S_IMODE(status.st_mode)
    allowed = 0 if status.st_uid == os.geteuid() else stat.S_IRGRP
    if mode & (stat.S_IRWXG | stat.S_IRWXO) & ~allowed:
        raise KeyFileError(f"{path} is open to others (mode {mode:04o}): they could sign.", f"Run `chmod 600 {path}`.")


def _parsed(path: Path, content: bytes) -> list[OKPKey]:
    try:
        entries = json.loads(content)["keys"]
        if not isinstance(entries, list):
            raise TypeError
    except (ValueError, KeyError, TypeError):
        # Without a cause, which might quote the content.
        raise KeyFileError(f'{path} is no JWK Set: {{"keys": […]}}.', _REMEDY) from None
    keys = []
    for number, entry in enumerate(entries, 1):
        try:
            given = OKPKey.import_key({name: entry[name] for name in ("kty", "crv", "x", "d") if name in entry})
            is_ours = given.curve_name == "Ed25519"
        except (JoseError, ValueError, KeyError, TypeError):
            is_ours = False
        if not is_ours:
            raise KeyFileError(f"Key {number} of {path} is no Ed25519 key (RFC 8037).", _REMEDY) from None
        # Made anew of what signs: a public part that does not belong to it would be published.
        keys.append(OKPKey.import_key(given.raw_value))
    return keys
