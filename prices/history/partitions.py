"""Months of history on PostgreSQL, each a table of its own, so that an old one goes without a row being deleted.

Elsewhere there is one table, and nothing here does anything. No statement here takes a lock that a tick waits for: a
month is made beside the table and then attached to it, and detached with `CONCURRENTLY`.
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

TABLE: Final = "prices_price"
# How many months after this one are made before they are needed.
AHEAD: Final = 2
# Whoever makes, detaches or drops a month has this advisory lock; a number that is ours alone.
_LOCK: Final = 0x53574152
# How long a statement may wait for others: it is tried again the next day, or by the next tick.
_PATIENCE: Final = "2s"
_NAME: Final = re.compile(rf"{TABLE}_(\d{{4}})_(\d\d)")
# Months that this process knows to be there, by database: so a tick asks PostgreSQL only in a new month.
_known: set[tuple[str, dt.date]] = set()


def month_of(at: dt.datetime) -> dt.date:
    """The first day of the month of UTC that a moment lies in."""
    return at.astimezone(dt.UTC).date().replace(day=1)


def next_month(month: dt.date) -> dt.date:
    """The first day of the month after."""
    return (month + dt.timedelta(days=31)).replace(day=1)


def name_of(month: dt.date) -> str:
    """The table of a month."""
    return f"{TABLE}_{month:%Y_%m}"


def month_in(name: str) -> dt.date | None:
    """The month whose table has this name; None for any other table."""
    match = _NAME.fullmatch(name)
    return dt.date(int(match[1]), int(match[2]), 1) if match and "01" <= match[2] <= "12" else None


def months_ahead(now: dt.datetime) -> list[dt.date]:
    """The month of `now` and those after it that are to be there already."""
    months = [month_of(now)]
    for _ in range(AHEAD):
        months.append(next_month(months[-1]))
    return months


def is_over(month: dt.date, at: dt.datetime) -> bool:
    """Whether all of a month lies before `at`."""
    return next_month(month) <= month_of(at)


def ensure(moments: Iterable[dt.datetime]) -> None:
    """Make the months of these moments where they are missing; in a transaction they are part of it."""
    if connection.vendor != "postgresql":
        return
    database = str(connection.settings_dict["NAME"])
    for month in {month_of(at) for at in moments}:
        if (database, month) not in _known:
            _create(month)
            # A transaction that is rolled back takes its table with it.
            transaction.on_commit(partial(_known.add, (database, month)))


def create_ahead(now: dt.datetime) -> None:
    """Make this month and those after it, where they are missing."""
    if connection.vendor == "postgresql":
        for month in months_ahead(now):
            with transaction.atomic():
                _create(month)


def drop_before(at: dt.datetime) -> list[dt.date] | None:
    """Take away the months that lie before `at` as a whole; returns them. None where another worker is at it.

    Goes on where one that was interrupted left off. Raises OperationalError where a reader holds a month for too long,
    and RuntimeError in a transaction, in which no month can be detached.
    """
    if connection.vendor != "postgresql":
        return []
    if connection.in_atomic_block:
        raise RuntimeError("months are dropped outside of any transaction")
    with _alone() as is_mine:
        if not is_mine:
            return None
        dropped = [month for month in _tables() if is_over(month, at)]
        for month in dropped:
            _drop(month)
            logger.info("dropped %s: ticks are kept for so long", name_of(month))
        return dropped


@contextmanager
def _alone() -> Iterator[bool]:
    """Whether nobody else drops months now; in the block nobody does, and no statement waits for long."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [_LOCK])
        (is_mine,) = cursor.fetchone()
        if not is_mine:
            yield False
            return
        try:
            cursor.execute(f"SET lock_timeout = '{_PATIENCE}'")
            yield True
        finally:
            cursor.execute("RESET lock_timeout")
            cursor.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])


def _tables() -> list[dt.date]:
    """The months that have a table, oldest first, whether it is attached or was left behind."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace ="
            " (SELECT relnamespace FROM pg_class WHERE oid = to_regclass(%s))",
            [TABLE],
        )
        return sorted(month for (name,) in cursor.fetchall() if (month := month_in(name)))


def _drop(month: dt.date) -> None:
    name = name_of(month)
    with connection.cursor() as cursor:
        cursor.execute("SELECT inhdetachpending FROM pg_inherits WHERE inhrelid = to_regclass(%s)", [name])
        match cursor.fetchone():
            case (True,):  # whoever was at it was interrupted while it waited for others
                cursor.execute(f"ALTER TABLE {TABLE} DETACH PARTITION {name} FINALIZE")
            case (False,):
                cursor.execute(f"ALTER TABLE {TABLE} DETACH PARTITION {name} CONCURRENTLY")
        # Nothing leads to it any more. A tick that it could be written to is too old for any.
        cursor.execute(f"DROP TABLE IF EXISTS {name}")
    _known.discard((str(connection.settings_dict["NAME"]), month))


def _create(month: dt.date) -> None:
    """Make a month, in the caller's transaction. To attach it locks out no reader and no writer of the others."""
    name = name_of(month)
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s)", [name])
        if cursor.fetchone() != (None,):
            return
        # Two that make the same month: the second finds it made.
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK + 1])
        cursor.execute(f"CREATE TABLE IF NOT EXISTS {name} (LIKE {TABLE} INCLUDING DEFAULTS INCLUDING CONSTRAINTS)")
        cursor.execute("SELECT 1 FROM pg_inherits WHERE inhrelid = to_regclass(%s)", [name])
        if cursor.fetchone() is None:
            cursor.execute(
                f"ALTER TABLE {TABLE} ATTACH PARTITION {name} FOR VALUES FROM (%s) TO (%s)",
                [f"{month} 00:00:00+00", f"{next_month(month)} 00:00:00+00"],
            )
