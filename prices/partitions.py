"""Months of history on PostgreSQL, each a table of its own, so that an old one goes without a row being deleted.

Elsewhere there is one table, and nothing here does anything.
"""

import datetime as dt
from collections.abc import Iterable
from functools import partial

from django.db import connection, transaction

TABLE = "prices_price"
# Those that this process has seen to, by connection's database: ingest looks here at each tick, and nowhere else.
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


def ensure(moments: Iterable[dt.datetime]) -> None:
    """See to it that prices of these moments can be stored, now or, in a transaction, at its end as any other."""
    if connection.vendor != "postgresql":
        return
    database = str(connection.settings_dict["NAME"])
    for month in {month_of(at) for at in moments}:
        if (database, month) not in _known:
            _create(month)
            # A transaction that is rolled back takes its table with it.
            transaction.on_commit(partial(_known.add, (database, month)))


def _create(month: dt.date) -> None:
    with connection.cursor() as cursor:
        # Asked first: to create what is there would lock the table against all others for the transaction's length.
        cursor.execute("SELECT to_regclass(%s)", [name_of(month)])
        if cursor.fetchone() == (None,):
            cursor.execute(
                f"CREATE TABLE IF NOT EXISTS {name_of(month)} PARTITION OF {TABLE} FOR VALUES FROM (%s) TO (%s)",
                [f"{month} 00:00:00+00", f"{next_month(month)} 00:00:00+00"],
            )
