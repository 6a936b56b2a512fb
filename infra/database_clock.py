"""The database's clock, which is the same for all processes that share a database."""

import datetime as dt
from typing import Final

from django.db import connection

_NOW: Final = {
    # Not now(), the time at which the transaction began: since then it may have waited for a row.
    "postgresql": "SELECT clock_timestamp()",
    # SQLite has no server: it reads the clock of this machine, to the millisecond.
    "sqlite": "SELECT strftime('%Y-%m-%d %H:%M:%f+00:00', 'now')",
}


def now() -> dt.datetime:
    """The time by the database's clock as of this call, also within a transaction."""
    with connection.cursor() as cursor:
        cursor.execute(_NOW[connection.vendor])
        (time,) = cursor.fetchone()
    return time if isinstance(time, dt.datetime) else dt.datetime.fromisoformat(time)
