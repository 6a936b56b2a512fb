"""Django looks here for the database backend that ENGINE names.

A machine that vanished is noticed by TCP (settings.DATABASES). A server that stands still while its kernel goes on
acknowledging is not: so no wait for an answer goes without a limit either.
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
    """A connection whose every wait ends: psycopg itself waits for ever for an answer."""

    database = ""  # the cluster's identifier and the database's, which no copy has both of

    def wait(self, gen: PQGen[T], interval: float = 0.1, timeout: float | None = None) -> T:
        """Wait for the server. Raises OperationalError, and closes, where that takes longer than `answer_timeout`."""
        if timeout is not None:  # of the caller's own, who expects it to end
            return super().wait(gen, interval, timeout)
        limit = answer_timeout()
        try:
            return super().wait(gen, interval, limit)
        except psycopg.errors._WaitTimeout:
            self.pgconn.finish()
            if isinstance(pool := getattr(self, "_pool", None), ConnectionPool):
                # The others in it have the same peer. Each would cost somebody as long a wait.
                pool.drain()
            raise psycopg.OperationalError(f"the server has not answered for {limit:g} s") from None


class DatabaseWrapper(base.DatabaseWrapper):
    """Django's own, with our connections, and with the same limits set in the server."""

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        if self.pool:  # which makes connections of its `connection_class`, and checks them
            with waiting_up_to(settings.DATABASE_POOL_TIMEOUT):
                return super().get_new_connection(conn_params)
        self.isolation_level = IsolationLevel.READ_COMMITTED
        return Connection.connect(**conn_params)

    def _configure_connection(self, connection: Any) -> bool:
        """Set what holds for the session, and read where it leads, in one round trip. True: there is more to commit."""
        super()._configure_connection(connection)  # type: ignore[misc]  # which the stubs lack
        is_long = answer_timeout() > settings.DATABASE_ANSWER_TIMEOUT
        # The server gives up first: then the connection is still of use, and it does not work for nobody. Who holds
        # rows and is still, as a machine that lost its network, loses them to others; an export waits for its reader.
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
    """Let the connections of this process, of which `database` are the settings, come from a pool."""
    database["OPTIONS"]["pool"] = {
        "min_size": 1,
        "max_size": 10,
        "timeout": settings.DATABASE_POOL_TIMEOUT,
        # A server that comes back is asked at once, by whoever needs it: the pool's own pauses double for five minutes.
        "reconnect_timeout": 1,
        "connection_class": Connection,
    }
    database["CONN_HEALTH_CHECKS"] = True  # one that the server ended is noticed before it is used
