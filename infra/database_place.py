"""The place of a database, by which a copy is told from its original."""

import secrets
from pathlib import Path
from typing import Final

from django.db import connection

# Cluster and database, which stay the same for as long as a session, and table: a dump that was read in is in another
# table, a copy in another database or cluster.
_PLACE_ON_POSTGRESQL: Final = "concat_ws('/', %s::text, {table}.tableoid)"


def place(table: str, *, make: bool = False) -> tuple[str, list[tuple[str, object]]]:
    """The place of this database, as an SQL expression on its `table`, and the values for `place` in it.

    On SQLite it takes a file beside the database, which `make` makes where there is none.
    """
    if connection.vendor == "postgresql":
        connection.ensure_connection()
        return _PLACE_ON_POSTGRESQL.format(table=table), [("place", connection.connection.database)]
    return "%s", [("place", _mark(make=make))]


def _mark(*, make: bool) -> str:
    """The marks that a copy of the file does not take along: a word beside it and its inode. Empty without either."""
    database = Path(connection.settings_dict["NAME"])
    beside = database.with_name(f"{database.name}-mark")
    try:
        if make and not beside.exists():
            beside.write_text(secrets.token_hex(8))
        return f"{beside.read_text()}/{database.stat().st_ino}"
    except FileNotFoundError:
        return ""
