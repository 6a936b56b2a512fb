"""Whether the database is as `manage.py migrate` leaves it, so that what is missing may be made.

While a dump is read in, tables are there before their rows are, and their keys come last of all. A row that a process
adds meanwhile, since it finds none, is there twice then: the key cannot be made, and the table is left without one.
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
    """The database is not, or not yet again, as `manage.py migrate` leaves it. Nothing is written to it.

    Its words do not change while a dump is read in, to be told once; `lack` is what is missing.
    """

    def __init__(self, lack: str) -> None:
        super().__init__(
            "it lacks tables, their keys or migrations (/readyz names them): nothing is written before it has been put "
            "back and manage.py migrate has run"
        )
        self.lack = lack


def trouble() -> str:
    """What the database lacks, for people; empty where it has all. Raises DatabaseError where it does not answer."""
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


def expect_whole() -> None:
    """Raise UnpreparedDatabaseError where the database lacks something."""
    if lack := trouble():
        raise UnpreparedDatabaseError(lack)


def get_or_create(rows: "QuerySet[_Row]", *, defaults: dict[str, Any] | None = None, **key: Any) -> _Row:
    """As Django's, for a row that is to be there: it is made only in a database that is whole.

    Raises UnpreparedDatabaseError, and DatabaseError.
    """
    with transaction.atomic():
        # Having been read, the table stays what it is until the transaction ends.
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
