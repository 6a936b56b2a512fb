"""Django's PostgreSQL, with a limit to each wait (base.py): a server that does not answer is given up."""

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

from django.conf import settings
from django.db import connection

# Seconds; None: as settings.DATABASE_ANSWER_TIMEOUT has it. A new thread begins with that.
_answer_timeout: ContextVar[float | None] = ContextVar("answer_timeout", default=None)


def answer_timeout() -> float:
    """Seconds that a statement waits for its answer, in this thread now."""
    chosen = _answer_timeout.get()
    return settings.DATABASE_ANSWER_TIMEOUT if chosen is None else chosen


@contextlib.contextmanager
def waiting_up_to(seconds: float) -> Iterator[None]:
    """Let statements in the block wait that long for their answers: shorter for a probe. For longer: `long_work`."""
    token = _answer_timeout.set(seconds)
    try:
        yield
    finally:
        _answer_timeout.reset(token)


@contextlib.contextmanager
def long_work() -> Iterator[None]:
    """Let statements in the block wait for as long as work on much data takes.

    It begins and ends with a new connection, unless a transaction is open.
    """
    with waiting_up_to(settings.DATABASE_LONG_ANSWER_TIMEOUT):
        _begin_anew()
        try:
            yield
        finally:
            _begin_anew()


def _begin_anew() -> None:
    """Close the connection: the server keeps to the limits that it was given when that was opened."""
    if connection.vendor == "postgresql" and not connection.in_atomic_block:
        connection.close()
