"""Django's PostgreSQL backend with a timeout for each wait (base.py): a server that does not answer is given up."""

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

from django.conf import settings
from django.db import connection

# Seconds; None, with which a new thread begins, is settings.DATABASE_ANSWER_TIMEOUT.
_answer_timeout: ContextVar[float | None] = ContextVar("answer_timeout", default=None)


def answer_timeout() -> float:
    """The seconds for which a statement waits for its answer, in this thread now."""
    chosen = _answer_timeout.get()
    return settings.DATABASE_ANSWER_TIMEOUT if chosen is None else chosen


@contextlib.contextmanager
def waiting_up_to(seconds: float) -> Iterator[None]:
    """Let statements in the block wait so long for their answers, for a check that ends sooner. Longer: `long_work`."""
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
        _reconnect()
        try:
            yield
        finally:
            _reconnect()


def _reconnect() -> None:
    """Close the connection, for Django to open another: the server keeps a connection's limits from its start."""
    if connection.vendor == "postgresql" and not connection.in_atomic_block:
        connection.close()
