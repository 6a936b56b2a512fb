"""Monthly partitions of ticks and receipts on PostgreSQL: an old month goes without a row being deleted.

On other databases there is one table, and these functions do nothing. No statement takes a lock that a publication
waits for: a month is created beside the table and then attached, and detached with `CONCURRENTLY`.
"""

import datetime as dt
import logging
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final

from django.db import connection, transaction

logger = logging.getLogger(__name__)

TICKS: Final = "prices_price"
RECEIPTS: Final = "prices_receipt"
_TABLES: Final = (TICKS, RECEIPTS)
# Months after this one that are created before they are needed.
AHEAD: Final = 2
# The advisory lock for creating, detaching and dropping months; a number that only this project uses.
_LOCK: Final = 0x53574152
# The longest time that a statement waits for a lock: it is tried again the next day, or by the next publication.
_LOCK_TIMEOUT: Final = "2s"
# Months that this process knows to exist, by database and table: so only a new month needs a query.
_known: set[tuple[str, str, dt.date]] = set()


def month_of(at: dt.datetime) -> dt.date:
    """The first day of the month, by UTC, of a moment."""
    return at.astimezone(dt.UTC).date().replace(day=1)


def next_month(month: dt.date) -> dt.date:
    """The first day of the next month."""
    return (month + dt.timedelta(days=31)).replace(day=1)


def name_of(month: dt.date, table: str = TICKS) -> str:
    """The name of a month's part of a table."""
    return f"{table}_{month:%Y_%m}"


def month_in(name: str, table: str = TICKS) -> dt.date | None:
    """The month of a part of a table by its name; None for any other name."""
    match = re.fullmatch(rf"{table}_(\d{{4}})_(\d\d)", name)
    return dt.date(int(match[1]), int(match[2]), 1) if match and "01" <= match[2] <= "12" else None


def months_ahead(now: dt.datetime) -> list[dt.date]:
    """The month of `now` and the months after it that should exist already."""
    months = [month_of(now)]
    for _ in range(AHEAD):
        months.append(next_month(months[-1]))
    return months


def is_over(month: dt.date, at: dt.datetime) -> bool:
    """Return True if all of a month lies before the month of `at`."""
    return next_month(month) <= month_of(at)


def ensure(moments: Iterable[dt.datetime], table: str = TICKS) -> list[dt.date]:
    """Create the missing months of these moments; in a transaction, as part of it.

    Returns those that this process did not know to exist.
    """
    if connection.vendor != "postgresql":
        return []
    database = str(connection.settings_dict["NAME"])
    unknown = [month for month in {month_of(at) for at in moments} if (database, table, month) not in _known]
    for month in unknown:
        _create(table, month)
        # A transaction that is rolled back takes its table with it.
        transaction.on_commit(partial(_known.add, (database, table, month)))
    return unknown


def create_ahead(now: dt.datetime) -> None:
    """Create this month and those after it, if they are missing."""
    if connection.vendor == "postgresql":
        for month in months_ahead(now):
            for table in _TABLES:
                with transaction.atomic():
                    _create(table, month)


def drop_before(at: dt.datetime) -> list[dt.date] | None:
    """Drop the months that lie wholly before `at`, and return them; None if another worker holds the lock.

    Goes on where an interrupted run left off. Raises OperationalError if a reader holds a month for too long, and
    RuntimeError in a transaction, in which no month can be detached.
    """
    if connection.vendor != "postgresql":
        return []
    if connection.in_atomic_block:
        raise RuntimeError("months are dropped outside of any transaction")
    with _maintenance_lock() as is_mine:
        if not is_mine:
            return None
        dropped = [(month, table) for table in _TABLES for month in _months(table) if is_over(month, at)]
        for month, table in dropped:
            _drop(table, month)
            logger.info("dropped %s: it is older than TICKS_KEPT_FOR", name_of(month, table))
        return sorted({month for month, _ in dropped})


@contextmanager
def _maintenance_lock() -> Iterator[bool]:
    """Try to take the maintenance lock; yields False if another worker holds it. In it, no statement waits for long."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [_LOCK])
        (is_mine,) = cursor.fetchone()
        if not is_mine:
            yield False
            return
        try:
            cursor.execute(f"SET lock_timeout = '{_LOCK_TIMEOUT}'")
            yield True
        finally:
            cursor.execute("RESET lock_timeout")
            cursor.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])


def _months(table: str) -> list[dt.date]:
    """The months that have a part of a table, attached or left behind by an interrupted run, oldest first."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace ="
            " (SELECT relnamespace FROM pg_class WHERE oid = to_regclass(%s))",
            [table],
        )
        return sorted(month for (name,) in cursor.fetchall() if (month := month_in(name, table)))


def _drop(table: str, month: dt.date) -> None:
    name = name_of(month, table)
    with connection.cursor() as cursor:
        cursor.execute("SELECT inhdetachpending FROM pg_inherits WHERE inhrelid = to_regclass(%s)", [name])
        match cursor.fetchone():
            case (True,):  # an earlier run was interrupted while it waited for others
                cursor.execute(f"ALTER TABLE {table} DETACH PARTITION {name} FINALIZE")
            case (False,):
                cursor.execute(f"ALTER TABLE {table} DETACH PARTITION {name} CONCURRENTLY")
        # No query reaches it any more, and nothing new is as old.
        cursor.execute(f"DROP TABLE IF EXISTS {name}")
    _known.discard((str(connection.settings_dict["NAME"]), table, month))


def _create(table: str, month: dt.date) -> None:
    """Create a month, in the caller's transaction. Attaching it locks out no reader or writer of other months."""
    name = name_of(month, table)
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s)", [name])
        if cursor.fetchone() != (None,):
            return
        # Of two that create the same month, the second finds it created.
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK + 1])
        cursor.execute(f"CREATE TABLE IF NOT EXISTS {name} (LIKE {table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS)")
        cursor.execute("SELECT 1 FROM pg_inherits WHERE inhrelid = to_regclass(%s)", [name])
        if cursor.fetchone() is None:
            cursor.execute(
                f"ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM (%s) TO (%s)",
                [f"{month} 00:00:00+00", f"{next_month(month)} 00:00:00+00"],
            )
