"""Drives the meter (meter.c), and reads its log."""

import json
import struct
import subprocess
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bench import machine

SOURCE = Path(__file__).with_name("meter.c")
SUBSCRIBE = json.dumps({"type": "subscribe", "metals": ["*"]})
# The same for clients of Server-Sent Events.
EVENTS = "/api/v1/stream/?metals=*"
_ARRIVAL = struct.Struct("=QQII")  # struct arrival: at, seq, client, first

# An update's arrival: time (CLOCK_MONOTONIC, ns), seq, client, and True for the client's first since it came.
Arrival = tuple[int, int, int, bool]


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
    try:
        return machine.compiled(SOURCE, folder, "-DWITH_ZLIB", "-lz"), True
    except subprocess.CalledProcessError:
        return machine.compiled(SOURCE, folder), False


class Meter:
    """Many clients of one server, in processes of their own, which end with this context manager.

    One process has a core to itself; several share all cores with the server.
    """

    def __init__(
        self,
        binary: Path,
        port: int,
        *,
        deflate: bool = False,
        sse: bool = False,
        record: Path | None = None,
        processes: int = 1,
    ) -> None:
        command = [str(binary), "-m", SUBSCRIBE]
        command += ["-c", str(machine.OTHER_CORE)] if processes == 1 else []
        command += ["-z"] if deflate else []
        command += ["-e", EVENTS] if sse else []
        command += ["-r", str(record)] if record else []
        self._logs = [binary.with_suffix(f".{number}.log") for number in range(processes)]
        self._processes = [
            subprocess.Popen(
                [*command, "-a", str(number + 1), "127.0.0.1", str(port)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                bufsize=1,
            )
            for number in range(processes)
        ]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._processes:
            process.kill()
            process.communicate()

    def open(self, clients: int, *, in_flight: int) -> Opened:
        """Open more clients; returns when each has its first update, or when nothing comes for a minute.

        At most `in_flight` at a time are on their way.
        """
        each = zip(self._shares(clients), self._shares(in_flight), strict=True)
        return self._opened([f"open {share} {on_their_way}" for share, on_their_way in each])

    def stall(self, clients: int) -> Opened:
        """Open clients that subscribe and then never read."""
        return self._opened([f"stall {share}" for share in self._shares(clients)])

    def wake(self) -> None:
        """Let the stalled clients read."""
        self._to_all("wake")

    def storm(self, *, in_flight: int) -> Opened:
        """Close every reading client at once, and open as many again."""
        return self._opened([f"storm {share}" for share in self._shares(in_flight)])

    def mark(self) -> None:
        """Count and log from here."""
        self._to_all("mark")

    def report(self) -> dict[str, Any]:
        """The counts since the mark."""
        reports = self._to_all("report")
        codes: Counter[str] = sum((Counter(report.pop("codes")) for report in reports), Counter())
        return {name: sum(report[name] for report in reports) for name in reports[0]} | {"codes": dict(codes)}

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

    def arrivals(self) -> Iterable[Arrival]:
        """All arrivals since the mark, those of each client in order."""
        self._commands([f"report {log}" for log in self._logs])
        logs = [log.read_bytes() for log in self._logs]
        return (
            (at, seq, client * len(logs) + number, bool(first))
            for number, log in enumerate(logs)
            for at, seq, client, first in _ARRIVAL.iter_unpack(log)
        )

    def _shares(self, whole: int) -> list[int]:
        """A number divided evenly among the processes."""
        processes = len(self._processes)
        return [(whole + number) // processes for number in range(processes)]

    def _opened(self, commands: Sequence[str]) -> Opened:
        found = [Opened(**answer) for answer in self._commands(commands)]
        return Opened(
            opened=sum(each.opened for each in found),
            failed=sum(each.failed for each in found),
            unfinished=sum(each.unfinished for each in found),
            seconds=max(each.seconds for each in found),
        )

    def _to_all(self, command: str) -> list[dict[str, Any]]:
        return self._commands([command] * len(self._processes))

    def _commands(self, commands: Sequence[str]) -> list[dict[str, Any]]:
        """Give each process its command, and then read their answers, so that all work at the same time."""
        answers = []
        try:
            for process, command in zip(self._processes, commands, strict=True):
                assert process.stdin is not None
                process.stdin.write(f"{command}\n")
                process.stdin.flush()
            for process in self._processes:
                assert process.stdout is not None
                answers.append(json.loads(process.stdout.readline()))
        except (BrokenPipeError, json.JSONDecodeError) as error:
            raise RuntimeError(f"the meter ended at {commands[0]!r}") from error
        return answers


def ages(arrivals: Iterable[Arrival], stamps: Mapping[int, int], clients: int) -> Ages:
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
