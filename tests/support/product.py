"""Processes of the product, to start, wait for and kill in tests."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

ROOT = Path(__file__).resolve().parents[2]
# The modules of the browsers' client, as they are served.
CLIENT = ROOT / "clients/js/client"
T = TypeVar("T")


def free_port() -> int:
    """A port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(look: Callable[[], T], what: str, seconds: float = 15.0) -> T:
    """Call `look` until it returns a true value, and return that. Fails after `seconds`, naming `what` was missing."""
    deadline = time.monotonic() + seconds
    while True:
        seen = look()
        if seen:
            return seen
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}; last seen: {seen!r}"
        time.sleep(0.02)


class Process:
    """A process in a process group of its own, of Python unless another program is named.

    What it prints goes to a file that `output` reads.
    """

    def __init__(
        self, arguments: list[str], log: Path, environment: dict[str, str], program: str = sys.executable
    ) -> None:
        self.log = log
        with log.open("ab") as file:
            self.popen = subprocess.Popen(
                [program, *arguments],
                cwd=ROOT,
                env=os.environ | environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def stop(self, sent: signal.Signals = signal.SIGTERM, seconds: float = 10) -> int:
        """Send a signal to the process and wait for its end; its group goes with it. Returns the exit code."""
        if self.popen.poll() is None:
            self.popen.send_signal(sent)
        try:
            return self.popen.wait(seconds)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.popen.pid, signal.SIGKILL)
            self.popen.wait()


def answers(url: str) -> bool:
    """Return True if an HTTP GET of `url` succeeds now."""
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def descendants(pid: int) -> dict[int, str]:
    """The processes below one, with their command lines."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    family = {pid}
    while more := {child for child, parent in parents.items() if parent in family} - family:
        family |= more
    commands: dict[int, str] = {}
    for member in family - {pid}:
        with contextlib.suppress(OSError):
            commands[member] = Path(f"/proc/{member}/cmdline").read_text().replace("\0", " ")
    return commands
