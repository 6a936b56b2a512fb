"""A check that the database is as `manage.py migrate` leaves it, before a row that is missing is made in it.

While a dump is read in, tables are there before their rows, and primary keys come last of all. If a process finds no
row meanwhile and adds it, the dump adds it again: the key cannot be made then, and the table is left without one.
"""

from functools import cache
from typing import Any, TypeVar

from django.apps import apps
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections, transaction
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.db.models import Model, QuerySet

_Row = TypeVar("_Row", bound=Model)

# On PostgreSQL, which of these tables have a primary key.
_WITH_A_KEY = """
SELECT relname FROM pg_class JOIN pg_index ON indrelid = pg_class.oid AND indisprimary
WHERE relnamespace = current_schema()::regnamespace AND relname = ANY(%s)
"""


class UnpreparedDatabaseError(DatabaseError):
    """The database is not, or not yet again, as `manage.py migrate` leaves it, and nothing is written to it.

    Its message stays the same while a dump is read in, so that the log has it once; `lack` says what is missing.
    """

    def __init__(self, lack: str) -> None:
        super().__init__(
            "it lacks tables, their keys or migrations (/readyz names them): nothing is written before it has been put "
            "back and manage.py migrate has run"
        )
        self.lack = lack


def expect_whole() -> None:
    """Raise UnpreparedDatabaseError where the database lacks something, and DatabaseError where it does not answer."""
    if lack := _lack():
        raise UnpreparedDatabaseError(lack)


def _lack() -> str:
    """The migrations, or else the tables or keys, that the database lacks, for people; empty where it has all."""
    database = connections[DEFAULT_DB_ALIAS]
    applied = MigrationRecorder(database).applied_migrations()
    if missing := [".".join(key) for key in _newest_migrations() if key not in applied]:
        return f"lacks migrations ({_some(missing)}): nothing is written before manage.py migrate has run"
    with database.cursor() as cursor:
        if database.vendor == "postgresql":
            cursor.execute(_WITH_A_KEY, [list(_tables())])
            there = {name for (name,) in cursor.fetchall()}
        else:
            there = set(database.introspection.table_names(cursor))
    if missing := sorted(_tables() - there):
        return f"lacks tables or their keys ({_some(missing)}): nothing is written before they are put back"
    return ""


def get_or_create(rows: "QuerySet[_Row]", *, defaults: dict[str, Any] | None = None, **key: Any) -> _Row:
    """Like Django's `get_or_create`, for a row that is always to be there: made only in a database that is whole.

    Raises UnpreparedDatabaseError, and DatabaseError.
    """
    with transaction.atomic():
        # Having been read, the table cannot be altered until the transaction ends.
        if (found := rows.filter(**key).first()) is not None:
            return found
        expect_whole()
        return rows.get_or_create(defaults=defaults, **key)[0]


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")


@cache
def _newest_migrations() -> list[tuple[str, str]]:
    """The last migration of each app."""
    return sorted(MigrationLoader(None).graph.leaf_nodes())


@cache
def _tables() -> frozenset[str]:
    models = apps.get_models(include_auto_created=True)
    return frozenset(model._meta.db_table for model in models if model._meta.managed and not model._meta.proxy)
