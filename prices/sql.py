"""SQL by hand for each publication's reads and writes: Django takes longer to make such a statement than to run it.

The models' own fields prepare values and read rows.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from itertools import chain
from typing import Any, TypeVar

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models import Model

_T = TypeVar("_T")
_Row = TypeVar("_Row", bound=Model)
# In one statement. SQLite takes 32,766 values.
MOST_ROWS = 1000


@cache
def columns(model: type[Model], **expressions: str) -> str:
    """All columns of a model's table, in the order in which `run` reads them; `expressions` replace fields."""
    return ", ".join(expressions.get(field.name, str(field.column)) for field in model._meta.concrete_fields)


def places(rows: int, values: int) -> str:
    """Placeholders for so many rows of so many values."""
    return ", ".join([f"({', '.join(['%s'] * values)})"] * rows)


def run(model: type[_Row], statement: str, values: Iterable[tuple[str, object]] = ()) -> list[_Row]:
    """Run a statement, and return its rows, if any: they have to consist of all `columns` of the model.

    `values` are for its `%s`, in their order: pairs of a field's name and a value of that field.
    """
    database = connections[DEFAULT_DB_ALIAS]
    prepare = _preparations(model)
    prepared = [prepare[name](value, database) for name, value in values]
    with database.cursor() as cursor:
        cursor.execute(statement, prepared)
        found = cursor.fetchall() if cursor.description else []
    return _read(model, found, database) if found else []


def rows(model: type[_Row], clause: str = "", values: Iterable[tuple[str, object]] = ()) -> list[_Row]:
    """The rows of a model's table, by a clause such as `WHERE currency = %s`, with `values` as in `run`."""
    return run(model, f"SELECT {columns(model)} FROM {model._meta.db_table} {clause}", values)  # noqa: S608  (names)


def insert(made: Sequence[Model], clause: str = "") -> None:
    """Insert rows of one model, whose keys the database makes; `clause` may be an `ON CONFLICT`."""
    if not made:
        return
    model = type(made[0])
    fields = [field for field in model._meta.concrete_fields if not field.primary_key]
    names, values = ", ".join(str(field.column) for field in fields), places(len(made), len(fields))
    statement = f"INSERT INTO {model._meta.db_table} ({names}) VALUES {values} {clause}"  # noqa: S608  (names)
    run(model, statement, [(field.name, getattr(row, field.attname)) for row in made for field in fields])


def insert_many(
    model: type[Model],
    names: Sequence[str],
    made: Iterable[Sequence[object]],
    clause: str = "",
    values: Iterable[tuple[str, object]] = (),
    returning: str = "pk",
) -> list[Any]:
    """Insert any number of rows, each with values of the fields `names`.

    `clause`, with its `values` as in `run`, may be an `ON CONFLICT`, which knows the row in the table as `had`. Returns
    the field `returning` of each row that is written.
    """
    rows = list(made)
    if not rows:
        return []
    database = connections[DEFAULT_DB_ALIAS]
    fields: list[Any] = [model._meta.get_field(name) for name in names]
    kinds = [field.db_type(database) for field in fields]
    # Prepare each value once: values repeat within a column, and in others of its type.
    known: dict[tuple[str | None, object], Any] = {}
    columns = []
    for field, kind, given in zip(fields, kinds, zip(*rows, strict=True), strict=True):
        for value in set(given):
            if (kind, value) not in known:
                known[kind, value] = field.get_db_prep_save(value, database)
        columns.append([known[kind, value] for value in given])
    prepare = _preparations(model)
    more = [prepare[name](value, database) for name, value in values]
    into = f"INSERT INTO {model._meta.db_table} AS had ({', '.join(str(field.column) for field in fields)})"
    returned: Any = model._meta.pk if returning == "pk" else model._meta.get_field(returning)
    clause = f"{clause} RETURNING {returned.column}"
    found: list[tuple[Any, ...]] = []
    with database.cursor() as cursor:
        if database.vendor == "postgresql":  # one array for each column: the server reads that quickest
            arrays = ", ".join(f"%s::{kind}[]" for kind in kinds)
            statement = f"{into} SELECT * FROM unnest({arrays}) {clause}"  # noqa: S608  (names)
            cursor.execute(statement, [*columns, *more])
            found = cursor.fetchall()
        else:
            prepared = list(zip(*columns, strict=True))
            for some in parts(prepared):
                statement = f"{into} VALUES {places(len(some), len(fields))} {clause}"
                cursor.execute(statement, [*chain.from_iterable(some), *more])
                found += cursor.fetchall()
    read = [value for (value,) in found]
    for convert in (*database.ops.get_db_converters(returned.cached_col), *returned.get_db_converters(database)):
        read = [convert(value, returned.cached_col, database) for value in read]
    return read


def parts(many: Sequence[_T]) -> Iterator[Sequence[_T]]:
    """Split rows into as many as one statement takes."""
    return (many[begin : begin + MOST_ROWS] for begin in range(0, len(many), MOST_ROWS))


@cache
def _preparations(model: type[Model]) -> dict[str, Callable[[Any, Any], Any]]:
    """By a field's name, the function that converts a Python value for the database."""
    return {field.name: field.get_db_prep_save for field in model._meta.concrete_fields}


@cache
def _conversions(model: type[Model], vendor: str) -> list[tuple[int, Callable[..., Any], Any]]:
    """By a column's place, functions that convert the database's value for Python.

    Not every database gives decimals and times as such. Finding the functions takes longer than reading a row.
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
    """Make model instances of rows, as Django would."""
    conversions = _conversions(model, database.vendor)
    names = [field.attname for field in model._meta.concrete_fields]
    made = []
    for values in found:
        read = list(values)
        for place, convert, column in conversions:
            read[place] = convert(read[place], column, database)
        made.append(model.from_db(DEFAULT_DB_ALIAS, names, read))
    return made
