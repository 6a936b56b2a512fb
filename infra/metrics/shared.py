"""Where the processes of one host keep their metrics together, so that any of them can tell of all.

It is prometheus_client's multiprocess mode: each process writes memory-mapped files of its own into one folder, and
whoever is asked adds them up. The mode is chosen here, by `Place`, and not by the variable in the environment from
which prometheus_client would choose it when it is first imported, by whomever.

A process is known by a number, not by its pid: the lowest that no running process of the folder holds. It holds it by
a lock on a file, which the kernel lifts however the process ends. So there are no more files than processes that ever
ran at once, a process goes on with the counters of the one whose place it takes, and containers that share a folder by
a volume do not mistake each other's pids. A run lasts while any of its processes runs; the first process of the next
one finds nobody, and removes what the last has left. Nobody needs to be told to clean up, nor when.

Any process may take a place, a Celery worker's too: call `Place.in_folder(settings.METRICS_DIR)` in the process that
will count, after it was forked (for Celery's prefork: on `worker_process_init`), and make its metrics in `making()`.
Every web process of the same folder then shows them at /metrics. In containers, that folder is a shared volume.
"""

import fcntl
import itertools
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from prometheus_client import CollectorRegistry, Metric, disable_created_metrics, values
from prometheus_client.multiprocess import MultiProcessCollector

# A series `_created` beside each other one, which the files of several processes do not have either.
disable_created_metrics()  # type: ignore[no-untyped-call]  # prometheus_client types some of itself

# A process has a file for each type of metric.
_TYPES = ("counter", "gauge_livesum", "histogram")
_FILE_SIZE = 64 * 1024  # as prometheus_client makes them, and several times what is kept in one


class Place:
    """Where a process keeps its metrics: in memory, for a process that is alone, or in a folder that it shares."""

    def __init__(self) -> None:
        """In memory: nothing is written, and a scrape shows this process."""
        self.number = 0
        # Gets what is made here; what is made in a folder shows by `everyone` instead.
        self.own = self.everyone = CollectorRegistry()
        self._folder: Path | None = None
        self._lock: IO[str] | None = None
        self._was_forked = False
        self._value_class: Any = values.MutexValue

    @classmethod
    def in_folder(cls, folder: Path) -> "Place":
        """The first place that is free in the folder, held for as long as this object lives; at most the process.

        Raises OSError when the folder cannot be written, is full, or cannot be locked.
        """
        folder.mkdir(parents=True, exist_ok=True)
        place = cls()
        with (folder / "gate").open("a") as gate:
            fcntl.flock(gate, fcntl.LOCK_EX)  # one process at a time looks for its place
            if not any(_is_held(lock) for lock in folder.glob("*.lock")):
                _remove(folder.glob("*.db"))
            place.number, place._lock = _first_free(folder)
            _remove(folder.glob(f"gauge_*_{place.number}.db"))
            for kind in _TYPES:
                _reserve(folder / f"{kind}_{place.number}.db")
        place.everyone = CollectorRegistry()
        place.everyone.register(_Everyone(folder))
        place._folder = folder
        os.register_at_fork(after_in_child=place._forked)
        place._value_class = values.MultiProcessValue(place._identify)  # type: ignore[no-untyped-call]  # as above
        return place

    @contextmanager
    def making(self) -> Iterator[CollectorRegistry]:
        """Within it, metrics are made that count here, each with the registry that it yields.

        All label children have to be made within it too. A gauge needs `multiprocess_mode="livesum"`, and tells
        processes apart, where it does, by a label of its own.
        """
        before, values.ValueClass = values.ValueClass, self._value_class
        if self._folder is not None:
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(self._folder)  # where a value's file is opened
        try:
            yield self.own
        finally:
            values.ValueClass = before
            os.environ.pop("PROMETHEUS_MULTIPROC_DIR", None)  # no business of whatever this process starts

    def _forked(self) -> None:
        self._was_forked = True

    def _identify(self) -> str:
        """What the names of this process's files end in. Asked for at each change of a value."""
        if self._was_forked:
            raise RuntimeError("A process that was forked counts into its parent's files: let it take its own Place.")
        return str(self.number)


class _Everyone:
    """What the processes of a folder have counted: the gauges of those that run, all else of those that ended too."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def collect(self) -> Iterable[Metric]:
        files = [str(file) for file in sorted(self._folder.glob("*.db")) if self._counts(file)]
        metrics: Iterable[Metric] = MultiProcessCollector.merge(files)  # type: ignore[no-untyped-call]  # as above
        return metrics

    def _counts(self, file: Path) -> bool:
        kind, number = file.stem.split("_")[0], file.stem.split("_")[-1]
        try:
            # One that is being made is empty for a moment, and then cannot be read.
            return file.stat().st_size > 0 and (kind != "gauge" or _is_held(self._folder / f"{number}.lock"))
        except FileNotFoundError:
            return False  # a gauge of a process that has ended, whose place was just taken


def _first_free(folder: Path) -> tuple[int, IO[str]]:
    """A number whose lock nobody holds, and the lock, held now."""
    for number in itertools.count():
        lock = (folder / f"{number}.lock").open("a")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
        else:
            return number, lock
    raise AssertionError("numbers do not end")


def _is_held(lock: Path) -> bool:
    """Whether the process that took this place runs. To look is to hold it for a moment, but beside other lookers.

    A process that looks for a place in that moment takes the next: one number more, and nothing lost.
    """
    with lock.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


def _reserve(file: Path) -> None:
    """Take the disk space of a file that is to be mapped: where there is none left, to map it is death by SIGBUS.

    Raises OSError then.
    """
    if not file.exists():
        try:
            file.write_bytes(bytes(_FILE_SIZE))
        except OSError:
            _remove([file])
            raise


def _remove(files: Iterable[Path]) -> None:
    for file in files:
        file.unlink(missing_ok=True)
