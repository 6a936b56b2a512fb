"""Metrics that the processes of one host keep together, so that a scrape of any process shows all of them.

This is prometheus_client's multiprocess mode: each process writes memory-mapped files of its own in one folder, and the
process that is scraped adds them up. `MetricStore` chooses the mode, and not the variable in the environment by which
prometheus_client would choose it at its first import.

A process is known by a number instead of its pid: the lowest that no running process of the folder has locked. The
kernel lifts the lock however the process ends. So there are no more files than processes that ever ran at once, a
process goes on with the counters of the one whose number it takes, and containers that share a folder by a volume do
not mistake each other's pids. A run lasts while any of its processes runs; the first process of the next run finds no
lock, and removes the files of the last. Nothing else has to clean up.

Any process may take a number, a Celery worker's too: call `MetricStore.in_folder(settings.METRICS_DIR)` in the process
that will count, after it was forked (for Celery's prefork: on `worker_process_init`), and make its metrics in
`making()`. Every web process of the same folder then shows them at /metrics. In containers, that folder is a shared
volume.
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

# The series `_created` beside each other series, which multiprocess mode lacks too.
disable_created_metrics()  # type: ignore[no-untyped-call]  # prometheus_client types some of itself

# A process has a file for each type of metric.
_TYPES = ("counter", "gauge_livesum", "histogram")
_FILE_SIZE = 64 * 1024  # as prometheus_client makes them: several times what one holds


class MetricStore:
    """The metrics of one process: in memory, for a process that is alone, or in a folder that it shares."""

    def __init__(self) -> None:
        """Keep metrics in memory: nothing is written, and a scrape shows this process."""
        self.number = 0
        # `own` has the metrics of this process; `everyone`, which a scrape shows, those of all processes of a folder.
        self.own = self.everyone = CollectorRegistry()
        self._folder: Path | None = None
        self._lock: IO[str] | None = None
        self._was_forked = False
        self._value_class: Any = values.MutexValue

    @classmethod
    def in_folder(cls, folder: Path) -> "MetricStore":
        """Take the lowest free number in the folder, until this object is gone or the process ends.

        Raises OSError when the folder cannot be written, is full, or cannot be locked.
        """
        folder.mkdir(parents=True, exist_ok=True)
        store = cls()
        with (folder / "gate").open("a") as gate:
            fcntl.flock(gate, fcntl.LOCK_EX)  # one process at a time takes a number
            if not any(_is_locked(lock) for lock in folder.glob("*.lock")):
                _remove(folder.glob("*.db"))
            store.number, store._lock = _lock_first_free(folder)
            _remove(folder.glob(f"gauge_*_{store.number}.db"))
            for kind in _TYPES:
                _reserve(folder / f"{kind}_{store.number}.db")
        store.everyone = CollectorRegistry()
        store.everyone.register(_AllProcesses(folder))
        store._folder = folder
        os.register_at_fork(after_in_child=store._forked)
        store._value_class = values.MultiProcessValue(store._identify)  # type: ignore[no-untyped-call]  # as above
        return store

    @contextmanager
    def making(self) -> Iterator[CollectorRegistry]:
        """Let metrics that are made in the block count here; make each with the registry that is yielded.

        All label children have to be made in it too. A gauge needs `multiprocess_mode="livesum"`, and a label of its
        own where it tells processes apart.
        """
        before, values.ValueClass = values.ValueClass, self._value_class
        if self._folder is not None:
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(self._folder)  # where a value's file is opened
        try:
            yield self.own
        finally:
            values.ValueClass = before
            os.environ.pop("PROMETHEUS_MULTIPROC_DIR", None)  # processes that this one starts choose for themselves

    def _forked(self) -> None:
        self._was_forked = True

    def _identify(self) -> str:
        """The end of the names of this process's files. prometheus_client calls it at each change of a value."""
        if self._was_forked:
            raise RuntimeError("A forked process counts into its parent's files: give it a MetricStore of its own.")
        return str(self.number)


class _AllProcesses:
    """A collector of a folder's metrics: gauges of running processes, and all else of ended ones too."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def collect(self) -> Iterable[Metric]:
        files = [str(file) for file in sorted(self._folder.glob("*.db")) if self._counts(file)]
        metrics: Iterable[Metric] = MultiProcessCollector.merge(files)  # type: ignore[no-untyped-call]  # as above
        return metrics

    def _counts(self, file: Path) -> bool:
        kind, number = file.stem.split("_")[0], file.stem.split("_")[-1]
        try:
            # A new file is empty for a moment, and cannot be read then.
            return file.stat().st_size > 0 and (kind != "gauge" or _is_locked(self._folder / f"{number}.lock"))
        except FileNotFoundError:
            return False  # a gauge of a process that has ended, whose number was just taken


def _lock_first_free(folder: Path) -> tuple[int, IO[str]]:
    """Lock the lowest number that is free; return it and the lock."""
    for number in itertools.count():
        lock = (folder / f"{number}.lock").open("a")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
        else:
            return number, lock
    raise AssertionError("numbers do not end")


def _is_locked(lock: Path) -> bool:
    """Return True if the process that took this number runs. The check takes a shared lock for a moment.

    A process that looks for a number in that moment takes the next: one number more, and nothing lost.
    """
    with lock.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


def _reserve(file: Path) -> None:
    """Take the disk space of a file that is to be mapped: on a full disk, writing to a mapped file kills by SIGBUS.

    Raises OSError on a full disk.
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
