"""The state folder: the embedded Valkey's address and the drawn SECRET_KEY. No Django: settings.py imports this."""

import os
import secrets
from pathlib import Path

_ANNOUNCEMENT = "valkey.url"
_KEPT = "secret-key"


def announced_redis_url(state_dir: Path) -> str | None:
    """The address of the embedded Valkey that `manage.py up` runs in this state folder, or None.

    The announcement of an `up` that was killed does not count: its Valkey died with it.
    """
    try:
        pid, url = (state_dir / _ANNOUNCEMENT).read_text().split()
        os.kill(int(pid), 0)  # sends nothing; raises if there is no such process
    except (OSError, ValueError):
        return None
    return url


def announce_redis_url(state_dir: Path, url: str) -> None:
    """Let other commands of this folder find this process's Valkey. The file has its password, and mode 0600."""
    _write_private(state_dir / _ANNOUNCEMENT, f"{os.getpid()} {url}")


def withdraw_redis_url(state_dir: Path) -> None:
    """Remove the announcement: the embedded Valkey ends."""
    (state_dir / _ANNOUNCEMENT).unlink(missing_ok=True)


def kept_secret(state_dir: Path) -> str:
    """The SECRET_KEY of a deployment that sets none: drawn once and kept, so that sessions outlive restarts.

    Raises SystemExit with one line if the folder cannot be written.
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
    """Replace a file at once: a process that reads meanwhile sees the old text or the new one."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    draft.replace(path)
