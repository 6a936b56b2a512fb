"""The log of troubles (warnings, and worse): each once when it begins, and once when it has ended."""

import logging
import os
import re
import threading
import time
import traceback
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from django.core.exceptions import SuspiciousOperation

# A trouble has ended when nothing has told of it for so many seconds. A pool of connections that finds no database
# tries again after 1, 2, 4, 8 and 16 s, and Prometheus asks each 15 s.
_ENDED_AFTER: Final = 30.0
# One that goes on is counted up to then after so many.
_COUNTED_EVERY: Final = 600.0
# More troubles at a time than these are told each time: this is no place for a leak.
_MOST: Final = 500
_CHANGING: Final = re.compile(r"\S*\d\S*")


@dataclass
class _Trouble:
    """A trouble that has been told, and how often it came since, uncounted."""

    record: logging.LogRecord
    since: float
    last: float
    times: int = 0


class RepeatedLogsHandler(logging.StreamHandler):
    """Prints a trouble (a warning, or worse) whole when it begins, and how often it came again once it has ended.

    Libraries log a Redis or a database that is away at each try, with a traceback each time: in an outage that is
    megabytes, in which nobody finds the line that matters. Two records of a library are one trouble where exceptions of
    the same type and message come from the same line, or else where the records' messages are the same; words with a
    digit in them do not count. Loggers of the packages `ours` say when a trouble begins and ends: of theirs, only
    the same message twice in a row is one trouble. What is less than a warning is always printed.
    """

    def __init__(self, *, ours: Collection[str] = (), clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._ours = frozenset(ours)
        self._clock = clock
        self._troubles: dict[tuple[object, ...], _Trouble] = {}
        self._timer: threading.Timer | None = None
        self._process = os.getpid()

    def emit(self, record: logging.LogRecord) -> None:
        if self._process != os.getpid():
            # What was counted before the fork is its parent's to tell, and so was the timer's thread.
            self._process, self._timer = os.getpid(), None
            self._troubles.clear()
        if record.levelno < logging.WARNING or self._begins(record):
            super().emit(record)

    def close(self) -> None:
        """Print what is uncounted: no other record will end it any more."""
        with self._locked():
            if self._timer is not None:
                self._timer.cancel()
            self._end(lambda trouble: True)
        super().close()

    def _begins(self, record: logging.LogRecord) -> bool:
        """Count a record; whether it is to be printed, as the first of its trouble."""
        self._end_what_has_ended()
        kind, now = self._kind(record), self._clock()
        trouble = self._troubles.get(kind)
        if trouble is not None:
            trouble.record, trouble.last = record, now
            trouble.times += 1
            if now - trouble.since >= _COUNTED_EVERY:
                self._count(trouble)
                trouble.since = now
            self._look_later()
            return False
        if self._is_ours(record):
            self._end(lambda other: other.record.name == record.name)
        if len(self._troubles) < _MOST:
            self._troubles[kind] = _Trouble(record, now, now)
        return True

    def _end_what_has_ended(self) -> None:
        now = self._clock()
        self._end(lambda trouble: now - trouble.last >= _ENDED_AFTER)

    def _end(self, which: Callable[[_Trouble], bool]) -> None:
        for kind, trouble in list(self._troubles.items()):
            if which(trouble):
                del self._troubles[kind]
                self._count(trouble)

    def _count(self, trouble: _Trouble) -> None:
        """Print how often the trouble came again, and the first line of how it came last."""
        if trouble.times:
            last = trouble.record
            words = "%d more of these in %.0f s, the last: %.300s"
            seconds = trouble.last - trouble.since
            said = (trouble.times, seconds, last.getMessage().partition("\n")[0])
            trouble.times = 0
            super().emit(logging.LogRecord(last.name, last.levelno, last.pathname, last.lineno, words, said, None))

    def _look_later(self) -> None:
        """Let a thread print the troubles that end while nothing else is logged."""
        if self._timer is None:
            self._timer = threading.Timer(_ENDED_AFTER, self._look)
            self._timer.daemon = True
            self._timer.start()

    def _look(self) -> None:
        with self._locked():
            self._timer = None
            self._end_what_has_ended()
            if any(trouble.times for trouble in self._troubles.values()):
                self._look_later()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.acquire()
        try:
            yield
        finally:
            self.release()

    def _is_ours(self, record: logging.LogRecord) -> bool:
        return record.name.partition(".")[0] in self._ours

    def _kind(self, record: logging.LogRecord) -> tuple[object, ...]:
        """A key that is the same for two records of one trouble."""
        error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
        # Most errors of a database come from one line, with one type: what they are is in their words. Those of a
        # request that is refused are its sender's, who has many.
        words = "" if isinstance(error, SuspiciousOperation) else _lasting(str(error))
        of_error = (type(error), words) if error else ()
        if self._is_ours(record):
            return record.name, record.levelno, record.getMessage(), *of_error
        if error is None:
            return record.name, record.levelno, _lasting(record.getMessage())
        frames = traceback.extract_tb(error.__traceback__, limit=-1)
        return (
            record.name,
            record.levelno,
            str(record.msg),
            *of_error,
            *((frame.filename, frame.lineno) for frame in frames),
        )


def _lasting(words: str) -> str:
    """Words without those that differ from one try to the next."""
    return _CHANGING.sub("#", words)
