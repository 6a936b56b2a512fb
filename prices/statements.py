"""What each tick asks of the database, by SQL: Django takes longer to write such a statement than it takes to run.

Values are prepared, and rows read, by the models' own fields.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any, TypeVar

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models import Model

_Row = TypeVar("_Row", bound=Model)


@cache
def columns(model: type[Model]) -> str:
    """All columns of a model's table, in the order in which `run` reads them."""
    return ", ".join(str(field.column) for field in model._meta.concrete_fields)


def places(rows: int, values: int) -> str:
    """Where so many rows of so many values go in a statement."""
    return ", ".join([f"({', '.join(['%s'] * values)})"] * rows)


def run(model: type[_Row], statement: str, values: Iterable[tuple[str, object]] = ()) -> list[_Row]:
    """Run a statement; the rows that it returns, which are to have all `columns` of the model.

    `values` take the places of its `%s`, each with the name of the field that it is a value of.
    """
    database = connections[DEFAULT_DB_ALIAS]
    prepare = _preparations(model)
    prepared = [prepare[name](value, database) for name, value in values]
    with database.cursor() as cursor:
        cursor.execute(statement, prepared)
        found = cursor.fetchall() if cursor.description else []
    return _read(model, found, database) if found else []


def rows(model: type[_Row], clause: str = "", values: Iterable[tuple[str, object]] = ()) -> list[_Row]:
    """The rows of a model's table that a clause, such as `WHERE currency = %s`, names; its `values` as in `run`."""
    return run(model, f"SELECT {columns(model)} FROM {model._meta.db_table} {clause}", values)  # noqa: S608  (names)


def insert(made: Sequence[Model], clause: str = "") -> None:
    """Insert rows of one model whose key the database gives; `clause` may say what becomes of one that is there."""
    if not made:
        return
    model = type(made[0])
    fields = [field for field in model._meta.concrete_fields if not field.primary_key]
    names, values = ", ".join(str(field.column) for field in fields), places(len(made), len(fields))
    statement = f"INSERT INTO {model._meta.db_table} ({names}) VALUES {values} {clause}"  # noqa: S608  (names)
    run(model, statement, [(field.name, getattr(row, field.attname)) for row in made for field in fields])


@cache
def _preparations(model: type[Model]) -> dict[str, Callable[[Any, Any], Any]]:
    """By a field's name, what makes a value of Python's one for the database."""
    return {field.name: field.get_db_prep_save for field in model._meta.concrete_fields}


@cache
def _conversions(model: type[Model], vendor: str) -> list[tuple[int, Callable[..., Any], Any]]:
    """By a column's place, what makes a value of the database one for Python. Not every database gives decimals and
    times as such. To find these takes longer than to read a row.
    """
    database = connections[DEFAULT_DB_ALIAS]
    fields: Sequence[Any] = model._meta.concrete_fields
    return [
        (place, convert, field.cached_col)
        for place, field in enumerate(fields)
        for convert in (
            *database.ops.get_db_converters(field.cached_col),
            *field.cached_col.get_db_converters(database),
        )
    ]


def _read(model: type[_Row], found: Iterable[Sequence[object]], database: Any) -> list[_Row]:
    """Rows as Django would read them."""
    conversions = _conversions(model, database.vendor)
    names = [field.attname for field in model._meta.concrete_fields]
    made = []
    for values in found:
        read = list(values)
        for place, convert, column in conversions:
            read[place] = convert(read[place], column, database)
        made.append(model.from_db(DEFAULT_DB_ALIAS, names, read))
    return made
