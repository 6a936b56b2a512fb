"""The database backend that ENGINE names; Django expects it in a module of this name.

TCP notices a machine that vanished (settings.DATABASES), but not a server that hangs while its kernel goes on
acknowledging: so each wait for an answer has a timeout too.
"""

from typing import Any, TypeVar

import psycopg
from django.conf import settings
from django.db.backends.postgresql import base
from django.db.backends.postgresql.psycopg_any import IsolationLevel
from psycopg.abc import PQGen
from psycopg_pool import ConnectionPool

from infra.postgresql import answer_timeout, waiting_up_to

T = TypeVar("T")


class Connection(psycopg.Connection[Any]):
    """A connection whose every wait ends; psycopg's own waits for an answer for ever."""

    database = ""  # the identifiers of cluster and database; no copy has both

    def wait(self, gen: PQGen[T], interval: float = 0.1, timeout: float | None = None) -> T:
        """Wait for the server. After `answer_timeout` seconds closes the connection, and raises OperationalError."""
        if timeout is not None:  # the caller's own, for which it is prepared
            return super().wait(gen, interval, timeout)
        limit = answer_timeout()
        try:
            return super().wait(gen, interval, limit)
        except psycopg.errors._WaitTimeout:
            self.pgconn.finish()
            if isinstance(pool := getattr(self, "_pool", None), ConnectionPool):
                # Its other connections have the same server: each would cost as long a wait.
                pool.drain()
            raise psycopg.OperationalError(f"the server has not answered for {limit:g} s") from None


class DatabaseWrapper(base.DatabaseWrapper):
    """Django's own with our connections, and with the same timeouts set in the server."""

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        if self.pool:  # it makes and checks connections of its `connection_class`
            with waiting_up_to(settings.DATABASE_POOL_TIMEOUT):
                return super().get_new_connection(conn_params)
        self.isolation_level = IsolationLevel.READ_COMMITTED
        return Connection.connect(**conn_params)

    def _configure_connection(self, connection: Any) -> bool:
        """Set the session's timeouts and read `database`, in one round trip. Returns True: Django has to commit."""
        super()._configure_connection(connection)  # type: ignore[misc]  # which the stubs lack
        is_long = answer_timeout() > settings.DATABASE_ANSWER_TIMEOUT
        # The server gives up first: the connection then stays usable, and no work is in vain. A client that locks rows
        # and is silent, such as a machine that lost its network, loses its locks; an export waits for its reader.
        limits = (0, 0) if is_long else (0.9 * settings.DATABASE_ANSWER_TIMEOUT, settings.DATABASE_IDLE_TIMEOUT)
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT set_config('statement_timeout', %s, false),"
                " set_config('idle_in_transaction_session_timeout', %s, false),"
                " concat_ws('/', (SELECT system_identifier FROM pg_control_system()),"
                " (SELECT oid FROM pg_database WHERE datname = current_database()))",
                [f"{seconds * 1000:.0f}" for seconds in limits],
            )
            *_, connection.database = cursor.fetchone()
        return True


def use_a_pool(database: dict[str, Any]) -> None:
    """Take this process's connections from a pool; `database` are their settings."""
    database["OPTIONS"]["pool"] = {
        "min_size": 1,
        "max_size": 10,
        "timeout": settings.DATABASE_POOL_TIMEOUT,
        # A server that comes back is used at once: by default the pool's pauses double for five minutes.
        "reconnect_timeout": 1,
        "connection_class": Connection,
    }
    database["CONN_HEALTH_CHECKS"] = True  # a connection that the server ended is noticed before it is used
