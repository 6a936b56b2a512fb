"""The content of the state folder: the embedded Valkey's address while it runs, and the secret."""

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from swarna.state_dir import announce_redis_url, announced_redis_url, kept_secret, withdraw_redis_url

ADDRESS = "redis://:secret@127.0.0.1:20001/0"


def test_an_announced_valkey_is_found_until_it_is_withdrawn(tmp_path: Path) -> None:
    announce_redis_url(tmp_path, ADDRESS)
    assert announced_redis_url(tmp_path) == ADDRESS
    withdraw_redis_url(tmp_path)
    assert announced_redis_url(tmp_path) is None


def test_what_a_killed_process_left_behind_is_no_announcement(tmp_path: Path) -> None:
    script = (
        f"import pathlib, swarna.state_dir as e; e.announce_redis_url(pathlib.Path({str(tmp_path)!r}), {ADDRESS!r})"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
    assert (tmp_path / "valkey.url").exists()
    assert announced_redis_url(tmp_path) is None


@pytest.mark.parametrize("left", ["", "redis://old", "x y", "1 2 3"])
def test_a_damaged_announcement_is_none(tmp_path: Path, left: str) -> None:
    (tmp_path / "valkey.url").write_text(left)
    assert announced_redis_url(tmp_path) is None


def test_the_address_and_the_secret_are_for_their_owner_alone(tmp_path: Path) -> None:
    announce_redis_url(tmp_path, ADDRESS)
    kept_secret(tmp_path)
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}


def test_a_secret_is_drawn_once(tmp_path: Path) -> None:
    assert kept_secret(tmp_path / "state") == kept_secret(tmp_path / "state")
    assert len(kept_secret(tmp_path / "state")) > 50
