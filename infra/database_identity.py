"""The identity of a database, which distinguishes a copy from its original."""

import secrets
from pathlib import Path
from typing import Final

from django.db import connection

# Cluster and database, which a session does not change, and table: a restored dump is in another table, a copy in
# another database or cluster.
_ON_POSTGRESQL: Final = "concat_ws('/', %s::text, {table}.tableoid)"


def identity(table: str, *, make: bool = False) -> tuple[str, list[tuple[str, object]]]:
    """An SQL expression on `table` that identifies this database, and its parameter as a value of the field `place`.

    On SQLite it needs a file beside the database, which `make` writes where there is none.
    """
    if connection.vendor == "postgresql":
        connection.ensure_connection()
        return _ON_POSTGRESQL.format(table=table), [("place", connection.connection.database)]
    return "%s", [("place", _mark(make=make))]


def _mark(*, make: bool) -> str:
    """The file's marks that a copy of it lacks: a word in a file beside it, and its inode. Empty without them."""
    database = Path(connection.settings_dict["NAME"])
    beside = database.with_name(f"{database.name}-mark")
    try:
        if make and not beside.exists():
            beside.write_text(secrets.token_hex(8))
        return f"{beside.read_text()}/{database.stat().st_ino}"
    except FileNotFoundError:
        return ""
