"""Reads of the database for an event loop: in threads, each awaited for a limited time."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import wraps
from typing import ParamSpec, TypeVar

from django.conf import settings
from django.db import close_old_connections

P = ParamSpec("P")
T = TypeVar("T")

# The pool of a web process has connections for these and for requests.
_MOST = 4
_threads = ThreadPoolExecutor(_MOST, thread_name_prefix="database")


def in_a_thread(read: Callable[P, T]) -> Callable[P, Awaitable[T]]:
    """Make `read`, which queries the database, awaitable. It raises TimeoutError after `DATABASE_READ_TIMEOUT` seconds.

    Its thread goes on then, and ends when its own waits do. Threads are few: while all are stuck, a call is given up
    before it has begun.
    """

    @wraps(read)
    async def call(*args: P.args, **options: P.kwargs) -> T:
        async with asyncio.timeout(settings.DATABASE_READ_TIMEOUT):
            return await asyncio.get_running_loop().run_in_executor(_threads, lambda: _run(*args, **options))

    def _run(*args: P.args, **options: P.kwargs) -> T:
        close_old_connections()
        try:
            return read(*args, **options)
        finally:
            close_old_connections()

    return call
