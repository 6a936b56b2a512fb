"""A check that the database is as `manage.py migrate` leaves it, before a missing row is created in it.

While a dump is restored, tables exist before their rows, and primary keys come last of all. If a process finds no row
meanwhile and adds it, the dump adds it again: the key cannot be made then, and the table is left without one.
"""

from functools import cache
from typing import Any, TypeVar

from django.apps import apps
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections, transaction
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.db.models import Model, QuerySet

_Row = TypeVar("_Row", bound=Model)

# Those of the given tables that have a primary key, on PostgreSQL.
_WITH_A_KEY = """
SELECT relname FROM pg_class JOIN pg_index ON indrelid = pg_class.oid AND indisprimary
WHERE relnamespace = current_schema()::regnamespace AND relname = ANY(%s)
"""


class UnpreparedDatabaseError(DatabaseError):
    """The database is not as `manage.py migrate` leaves it, so that nothing is written to it.

    The message stays the same while a dump is restored, so that it is logged once; `detail` names what is missing.
    """

    def __init__(self, detail: str) -> None:
        super().__init__(
            "it lacks tables, their keys or migrations (/readyz names them): nothing is written before it has been put "
            "back and manage.py migrate has run"
        )
        self.detail = detail


def expect_whole() -> None:
    """Raise UnpreparedDatabaseError if the database lacks something, DatabaseError if it does not answer."""
    if detail := _missing():
        raise UnpreparedDatabaseError(detail)


def _missing() -> str:
    """The migrations, or else the tables or keys, that the database lacks, for people; empty where it has all."""
    database = connections[DEFAULT_DB_ALIAS]
    applied = MigrationRecorder(database).applied_migrations()
    if missing := [".".join(key) for key in _newest_migrations() if key not in applied]:
        return f"lacks migrations ({_some(missing)}): nothing is written before manage.py migrate has run"
    with database.cursor() as cursor:
        if database.vendor == "postgresql":
            cursor.execute(_WITH_A_KEY, [list(_tables())])
            present = {name for (name,) in cursor.fetchall()}
        else:
            present = set(database.introspection.table_names(cursor))
    if missing := sorted(_tables() - present):
        return f"lacks tables or their keys ({_some(missing)}): nothing is written before they are put back"
    return ""


def get_or_create(rows: "QuerySet[_Row]", *, defaults: dict[str, Any] | None = None, **key: Any) -> _Row:
    """Get a row that should always exist; create it only in a database that lacks nothing.

    Raises UnpreparedDatabaseError, and DatabaseError.
    """
    with transaction.atomic():
        # The table has been read: it cannot be altered until the transaction ends.
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
