"""A log handler that prints a repeated problem (a warning, or worse) when it begins, and when it has ended."""

import logging
import os
import re
import threading
import time
import traceback
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final

from django.core.exceptions import SuspiciousOperation

# Seconds without a record after which a problem has ended. A pool of connections that finds no database tries again
# after 1, 2, 4, 8 and 16 s, and Prometheus scrapes every 15 s.
_ENDED_AFTER: Final = 30.0
# Seconds after which the count of a problem that goes on is printed.
_COUNTED_EVERY: Final = 600.0
# Problems at a time; records of any beyond are all printed, so that this is no leak.
_MAX_PROBLEMS: Final = 500
_CHANGING: Final = re.compile(r"\S*\d\S*")


@dataclass
class _Problem:
    """A problem that has been printed, and how often it was logged since, uncounted."""

    record: logging.LogRecord
    since: float
    last: float
    times: int = 0


class RepeatedLogsHandler(logging.StreamHandler):
    """Prints a problem (a warning, or worse) whole when it begins, and how often it came again once it has ended.

    Libraries log a Redis or a database that is away at each try, with a traceback each time: in an outage that is
    megabytes, which bury the line that matters. Two records of a library are one problem where exceptions of the same
    type and message come from the same line, or else where the records' messages are the same; parts with a digit in
    them do not count. Loggers of the packages `ours` log when a problem begins and ends: of theirs, only the same
    message twice in a row is one problem. A record below a warning is always printed.
    """

    lock: threading.RLock  # logging.Handler makes it

    def __init__(self, *, ours: Collection[str] = (), clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._ours = frozenset(ours)
        self._clock = clock
        self._problems: dict[tuple[object, ...], _Problem] = {}
        self._timer: threading.Timer | None = None
        self._process = os.getpid()

    def emit(self, record: logging.LogRecord) -> None:
        if self._process != os.getpid():
            # The parent prints what it counted before the fork, and has the timer's thread.
            self._process, self._timer = os.getpid(), None
            self._problems.clear()
        if record.levelno < logging.WARNING or self._begins(record):
            super().emit(record)

    def close(self) -> None:
        """Print the counts that no other record will: the process ends."""
        with self.lock:
            if self._timer is not None:
                self._timer.cancel()
            self._end(lambda problem: True)
        super().close()

    def _begins(self, record: logging.LogRecord) -> bool:
        """Count a record; return True if it is the first of its problem, and is to be printed."""
        self._end_what_has_ended()
        kind, now = self._kind(record), self._clock()
        problem = self._problems.get(kind)
        if problem is not None:
            problem.record, problem.last = record, now
            problem.times += 1
            if now - problem.since >= _COUNTED_EVERY:
                self._print_count(problem)
                problem.since = now
            self._check_later()
            return False
        if self._is_ours(record):
            self._end(lambda other: other.record.name == record.name)
        if len(self._problems) < _MAX_PROBLEMS:
            self._problems[kind] = _Problem(record, now, now)
        return True

    def _end_what_has_ended(self) -> None:
        now = self._clock()
        self._end(lambda problem: now - problem.last >= _ENDED_AFTER)

    def _end(self, which: Callable[[_Problem], bool]) -> None:
        for kind, problem in list(self._problems.items()):
            if which(problem):
                del self._problems[kind]
                self._print_count(problem)

    def _print_count(self, problem: _Problem) -> None:
        """Print how often the problem came again, and the first line of its last record."""
        if problem.times:
            last = problem.record
            message = "%d more of these in %.0f s, the last: %.300s"
            arguments = (problem.times, problem.last - problem.since, last.getMessage().partition("\n")[0])
            problem.times = 0
            super().emit(
                logging.LogRecord(last.name, last.levelno, last.pathname, last.lineno, message, arguments, None)
            )

    def _check_later(self) -> None:
        """Let a thread print the problems that end while nothing else is logged."""
        if self._timer is None:
            self._timer = threading.Timer(_ENDED_AFTER, self._check)
            self._timer.daemon = True
            self._timer.start()

    def _check(self) -> None:
        with self.lock:
            self._timer = None
            self._end_what_has_ended()
            if any(problem.times for problem in self._problems.values()):
                self._check_later()

    def _is_ours(self, record: logging.LogRecord) -> bool:
        return record.name.partition(".")[0] in self._ours

    def _kind(self, record: logging.LogRecord) -> tuple[object, ...]:
        """A key that is the same for two records of one problem."""
        error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
        # Most errors of a database come from one line, with one type: their messages tell them apart. The messages of
        # refused requests are their senders', who write any number of them.
        is_of_sender = isinstance(error, SuspiciousOperation)
        message = "" if is_of_sender else _lasting(str(error))
        of_error = (type(error), message) if error else ()
        if self._is_ours(record):
            return record.name, record.levelno, record.getMessage(), *of_error
        if error is None:
            return record.name, record.levelno, _lasting(record.getMessage())
        frames = traceback.extract_tb(error.__traceback__, limit=-1)
        return (
            record.name,
            record.levelno,
            "" if is_of_sender else str(record.msg),
            *of_error,
            *((frame.filename, frame.lineno) for frame in frames),
        )


def _lasting(message: str) -> str:
    """The message without the parts that differ from one try to the next."""
    return _CHANGING.sub("#", message)
