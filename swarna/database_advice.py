"""Advice about a database that a command cannot use, for the person at the terminal."""

from django.conf import settings
from django.db import DatabaseError, OperationalError, ProgrammingError, connection
from django.db.migrations.executor import MigrationExecutor

_OF_SQLITE = {
    "database is locked": "Another process is writing: try again.",
    "file is not a database": "Move it away, and put a copy back.",
    "database disk image is malformed": "Move it away, and put a copy back.",
    "database or disk is full": "Make room on its disk.",
}


def advice(error: Exception) -> str | None:
    """A line with the fault of the database and its remedy; None for a defect of ours."""
    if type(error) not in (DatabaseError, OperationalError, ProgrammingError):
        return None
    name, reason = settings.DATABASES["default"]["NAME"], str(error).partition("\n")[0].rstrip(".")
    cannot = f"The database {name} cannot be used: {reason}."
    try:
        connection.close()
        if _is_behind():
            return (
                f"The database {name} is not that of this version: {reason}. Run manage.py migrate and manage.py seed."
            )
    except DatabaseError:
        if connection.vendor != "sqlite":
            return f"{cannot} Start it, mend DATABASE_URL, or leave that out for a database of Swarna's own."
    if isinstance(error, ProgrammingError):
        return None
    if connection.vendor != "sqlite":
        return f"{cannot} Try again; the server's own log may say more."
    return f"{cannot} {_OF_SQLITE.get(reason, 'Make it and its folder writable, or set SWARNA_STATE_DIR.')}"


def _is_behind() -> bool:
    """Return True if a migration of this version has not been applied."""
    executor = MigrationExecutor(connection)
    return bool(executor.migration_plan(executor.loader.graph.leaf_nodes()))
