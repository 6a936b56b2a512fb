"""What a machine without Redis and without a secret gets from the state folder. No Django: settings.py imports this."""

import os
import secrets
from pathlib import Path

_ANNOUNCEMENT = "valkey.url"
_KEPT = "secret-key"


def announced_redis_url(state_dir: Path) -> str | None:
    """The address of the embedded Valkey that `manage.py up` runs in this state folder, or None when none does."""
    try:
        return (state_dir / _ANNOUNCEMENT).read_text().strip() or None
    except OSError:
        return None


def announce_redis_url(state_dir: Path, url: str) -> None:
    """Let other commands of this folder find the embedded Valkey; the address holds its password: 0600."""
    _write_private(state_dir / _ANNOUNCEMENT, url)


def withdraw_redis_url(state_dir: Path) -> None:
    """Say that the embedded Valkey is gone."""
    (state_dir / _ANNOUNCEMENT).unlink(missing_ok=True)


def kept_secret(state_dir: Path) -> str:
    """The SECRET_KEY of a deployment that was given none: drawn once and kept, so that sessions outlive restarts.

    Raises SystemExit with one line when the folder cannot be written.
    """
    path = state_dir / _KEPT
    try:
        if not path.exists():
            state_dir.mkdir(parents=True, exist_ok=True)
            _write_private(path, secrets.token_urlsafe(50))
        return path.read_text()
    except OSError as error:
        raise SystemExit(
            f"Swarna keeps its state in {state_dir}, which cannot be used: {error.strerror}. "
            "Make it writable, or set SWARNA_STATE_DIR to a folder that is."
        ) from error


def _write_private(path: Path, text: str) -> None:
    """Write whole or not at all: a process that reads meanwhile sees the old file or the new one."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    draft.replace(path)
