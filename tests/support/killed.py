"""`python -m tests.support.killed`: a lock is granted and redeemed by processes that are killed before each statement.

For n = 1, 2, … a process is killed by SIGKILL before its n-th statement, or before its commit, or after that; then
another sends the same request with the same key again. Prints a line of JSON for each n.
"""

import json
import os
import signal
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import django
from django.db import DEFAULT_DB_ALIAS, connection, connections


def killed_at(number: int, work: Callable[[], object]) -> bool:
    """Run the work in a process that is killed before its n-th statement or commit; False if it has fewer."""
    pid = os.fork()
    if pid:
        _, status = os.waitpid(pid, 0)
        wait_for_rollback()
        return os.WIFSIGNALED(status)
    left = number

    def step() -> None:
        nonlocal left
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)

    def count(execute: Any, *given: Any) -> Any:
        step()
        return execute(*given)

    database: Any = connections[DEFAULT_DB_ALIAS]
    commit = database._commit

    def commit_in_steps() -> None:
        step()
        commit()
        step()

    database._commit = commit_in_steps
    with database.execute_wrapper(count):
        work()
    os._exit(0)


def wait_for_rollback() -> None:
    """Wait until PostgreSQL has noticed the end of a killed process: until then its request is still running."""
    if connection.vendor != "postgresql":
        return
    others = (
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start IS NOT NULL"
    )
    for _ in range(500):
        with connection.cursor() as cursor:
            cursor.execute(others)
            if cursor.fetchone() == (0,):
                return
        time.sleep(0.02)
    raise TimeoutError("a killed process's transaction goes on after ten seconds")


def main() -> None:
    django.setup()
    from django.contrib.auth.models import User
    from django.test import Client

    from locks.models import PriceLock
    from tests.support.locks import LOCKS, WANTED, post

    shop, _ = User.objects.get_or_create(username="shop")
    till = Client(SERVER_NAME="localhost")
    till.force_login(shop)
    number, went_on = 0, True
    while went_on:
        number += 1
        key, before = f"take-{number}", PriceLock.objects.count()
        connection.close()  # no process may use another's
        went_on = killed_at(number, partial(post, till, body=WANTED, key=key))
        left = PriceLock.objects.count() - before
        granted = post(till, body=WANTED, key=key).json()
        made = PriceLock.objects.count() - before
        address = f"{LOCKS}{granted['id']}/redeem/"
        connection.close()
        went_on |= killed_at(number, partial(post, till, address, key="a"))
        status = PriceLock.objects.get(key=granted["id"]).status
        answers = [post(till, address, key=key).status_code for key in ("a", "b")]
        print(json.dumps({"left": left, "made": made, "status": status, "answers": answers}), flush=True)
    connection.close()


if __name__ == "__main__":
    main()
