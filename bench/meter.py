"""Drives the meter (meter.c), and reads its log."""

import json
import struct
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bench import machine

SOURCE = Path(__file__).with_name("meter.c")
SUBSCRIBE = json.dumps({"type": "subscribe", "metals": ["*"]})
_ARRIVAL = struct.Struct("=QQII")  # struct arrival: at, seq, client, first


@dataclass(frozen=True, slots=True)
class Opened:
    """The result of opening clients: those with a first update, those that failed or are unfinished, and the time."""

    opened: int
    failed: int
    unfinished: int
    seconds: float

    @property
    def per_second(self) -> float:
        return self.opened / self.seconds


@dataclass(frozen=True, slots=True)
class Ages:
    """The ages of publications when they reached clients, in ms, over every pair of a publication and a client.

    All publications in a merged update reached its client with it. `missing` counts pairs that never came.
    """

    p50: float
    p99: float
    worst: float
    pairs: int
    missing: int


def build(folder: Path) -> tuple[Path, bool]:
    """Compile the meter. Returns its path, and True if it reads compressed updates. Raises MissingError without cc."""
    compiler = machine.need("cc", "There is no C compiler: the meter needs cc (on Debian and Ubuntu: apt install gcc).")
    binary = folder / "meter"
    command = [compiler, "-O2", "-o", str(binary), str(SOURCE)]
    with_zlib = subprocess.run([*command, "-DWITH_ZLIB", "-lz"], capture_output=True, check=False)
    if with_zlib.returncode == 0:
        return binary, True
    plain = subprocess.run(command, capture_output=True, text=True, check=False)
    if plain.returncode:
        raise machine.MissingError(f"The meter cannot be compiled: {plain.stderr.partition(chr(10))[0]}")
    return binary, False


class Meter:
    """Many clients of one server, in a process of their own, which ends with this context manager."""

    def __init__(self, binary: Path, port: int, *, deflate: bool = False, record: Path | None = None) -> None:
        command = [str(binary), "-c", str(machine.OTHER_CORE), "-m", SUBSCRIBE]
        command += ["-z"] if deflate else []
        command += ["-r", str(record)] if record else []
        self._log = binary.with_suffix(".log")
        self._process = subprocess.Popen(
            [*command, "127.0.0.1", str(port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def open(self, clients: int, *, in_flight: int) -> Opened:
        """Open more clients; returns when each has its first update, or when nothing comes for a minute."""
        return Opened(**self._command(f"open {clients} {in_flight}"))

    def stall(self, clients: int) -> Opened:
        """Open clients that subscribe and then never read."""
        return Opened(**self._command(f"stall {clients}"))

    def wake(self) -> None:
        """Let the stalled clients read."""
        self._command("wake")

    def storm(self, *, in_flight: int) -> Opened:
        """Close every reading client at once, and open as many again."""
        return Opened(**self._command(f"storm {in_flight}"))

    def churn(self, per_second: float) -> None:
        """From now on, let so many clients a second leave and as many come."""
        self._command(f"churn {per_second}")

    def mark(self) -> None:
        """Count and log from here."""
        self._command("mark")

    def report(self) -> dict[str, Any]:
        """The counts since the mark."""
        return self._command("report")

    def settled(self) -> dict[str, Any]:
        """The report once nothing more has arrived for a while; after a minute in any case."""
        deadline = time.monotonic() + 60
        seen = self.report()
        while time.monotonic() < deadline:
            time.sleep(0.4)
            now = self.report()
            if now["updates"] == seen["updates"]:
                break
            seen = now
        return seen

    def arrivals(self) -> list[tuple[int, int, int, bool]]:
        """Since the mark, in order: time (CLOCK_MONOTONIC, ns), seq, client, and True for the client's first ever."""
        self._command(f"report {self._log}")
        return [
            (at, seq, client, bool(first)) for at, seq, client, first in _ARRIVAL.iter_unpack(self._log.read_bytes())
        ]

    def _command(self, command: str) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(f"{command}\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            raise RuntimeError(f"the meter ended at {command!r}")
        result: dict[str, Any] = json.loads(answer)
        return result


def ages(arrivals: Sequence[tuple[int, int, int, bool]], stamps: Mapping[int, int], clients: int) -> Ages:
    """Match arrivals at `clients` with the times of publication in `stamps` (seq to ns)."""
    start = min(stamps) - 1
    seen: dict[int, int] = {}
    found: list[int] = []
    wanted = clients * len(stamps)
    for at, seq, client, first in arrivals:
        if first:
            # After a snapshot the publications before it are not missing.
            wanted -= sum(seen.get(client, start) < missed <= seq for missed in stamps)
        else:
            publications = range(seen.get(client, start) + 1, seq + 1)
            found += [at - stamps[publication] for publication in publications if publication in stamps]
        seen[client] = max(seq, seen.get(client, start))
    found.sort()
    return Ages(
        p50=percentile(found, 0.5) / 1e6,
        p99=percentile(found, 0.99) / 1e6,
        worst=percentile(found, 1) / 1e6,
        pairs=len(found),
        missing=wanted - len(found),
    )


def percentile(ordered: Sequence[int], share: float) -> float:
    """The value that this share of them does not exceed; 0 if there are none."""
    return ordered[round((len(ordered) - 1) * share)] if ordered else 0
