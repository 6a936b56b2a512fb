"""Run work in several threads at once, each with a database connection of its own."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from django.db import connection

T = TypeVar("T")


def at_once(work: Callable[[int], T], times: int) -> list[T]:
    """Run `work(0)`, `work(1)`, … in threads that start together, each with a database connection of its own.

    Needs a test with `transaction=True`, whose data other connections can see.
    """
    start = threading.Barrier(times)

    def run(number: int) -> T:
        try:
            connection.ensure_connection()
            start.wait(10)
            return work(number)
        finally:
            connection.close()

    with ThreadPoolExecutor(times) as threads:
        return list(threads.map(run, range(times)))
