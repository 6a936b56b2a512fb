"""The machine that measures: its cores, its limits, and the CPU time and memory of processes. Linux only."""

import ctypes
import datetime as dt
import os
import platform
import resource
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1
_TICK = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")

# The server under measurement has one core to itself; clients, publisher and Redis share another.
_CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE = _CORES[0]
OTHER_CORE = _CORES[1 % len(_CORES)]

_OTHER_FILES = 200  # of a process, beside its connections


class MissingError(Exception):
    """A tool or resource of the bench is missing; says in one line what to do."""


def on_core(*cores: int) -> Callable[[], None]:
    """For `preexec_fn`: run on these cores alone, and end with the bench, however it ends."""

    def prepare() -> None:
        os.sched_setaffinity(0, cores)
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

    return prepare


def need(program: str, advice: str) -> str:
    """The path of a program. Raises MissingError with the advice if there is none."""
    path = shutil.which(program)
    if path is None:
        raise MissingError(advice)
    return path


def compiled(source: Path, folder: Path, *options: str) -> Path:
    """Compile a C program into a folder. Raises MissingError without a compiler, CalledProcessError if it fails."""
    compiler = need("cc", "There is no C compiler: the meter needs cc (on Debian and Ubuntu: apt install gcc).")
    binary = folder / source.stem
    subprocess.run([compiler, "-O2", "-o", str(binary), str(source), *options], capture_output=True, check=True)
    return binary


def prepare(connections: int) -> None:
    """Raise the limit of open files as far as possible. Raises MissingError if that is not enough."""
    if len(_CORES) < 2:
        raise MissingError("Two cores are needed: one for the server, one for its clients.")
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    wanted = connections + _OTHER_FILES
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise MissingError(
            f"{connections} connections need {wanted} open files a process, and {hard} are allowed: "
            f"raise the hard limit (ulimit -Hn {wanted}), or leave these rows out by ROWS=..."
        )


def connections_of_a_process() -> int:
    """The most connections that one process may have here; 20,000 at most."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 20_000 if hard == resource.RLIM_INFINITY else min(hard - _OTHER_FILES, 20_000)


def _tree(root: int) -> list[int]:
    """A process and all its descendants."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it ended meanwhile
        children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    tree = [root]
    for process in tree:
        tree += children.get(process, [])
    return tree


def cpu_seconds(root: int) -> float:
    """User and system time that a process and its living descendants have used."""
    used = 0
    for process in _tree(root):
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        used += int(fields[11]) + int(fields[12])
    return used / _TICK


def resident_bytes(root: int) -> int:
    """Memory that a process and its descendants occupy."""
    return sum(int(Path(f"/proc/{process}/statm").read_text().split()[1]) * _PAGE for process in _tree(root))


def open_files(root: int) -> dict[int, int]:
    """How many files a process and each of its descendants have open, by process."""
    return {process: sum(1 for _ in Path(f"/proc/{process}/fd").iterdir()) for process in _tree(root)}


def description() -> str:
    """The hardware and software that the figures depend on, in a line."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    node = shutil.which("node")
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout if node else "none"
    kernel = platform.release().partition("-")[0]  # what follows names a build
    return (
        f"{model}, {os.cpu_count()} cores, Linux {kernel}, Python {platform.python_version()}, "
        f"Node {version.strip().lstrip('v')}"
    )


def today() -> str:
    """The date, as results are dated."""
    return dt.datetime.now(dt.UTC).date().isoformat()
