"""Database reads for an event loop: in threads, each with a time limit."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import wraps
from typing import ParamSpec, TypeVar

from django.conf import settings
from django.db import close_old_connections

P = ParamSpec("P")
T = TypeVar("T")

# Few: a web process's pool has ten connections, for these and for requests.
_threads = ThreadPoolExecutor(4, thread_name_prefix="database")


def in_a_thread(read: Callable[P, T]) -> Callable[P, Awaitable[T]]:
    """Make `read`, which queries the database, awaitable. A call raises TimeoutError after `DATABASE_READ_TIMEOUT` s.

    The thread then goes on until its own waits end. While all threads are stuck, a call times out before it has begun.
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
