"""Databases of both kinds that Swarna runs on, as fixtures."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, transaction

from tests.support.environment import KINDS
from tests.support.postgresql import Cluster, in_place_of_sqlite, running

_numbers = itertools.count()


@pytest.fixture(scope="session")
def django_db_setup(django_test_environment: None, django_db_blocker: Any) -> Iterator[None]:
    """The test database: the one that server processes are told of too, and there also for tests that have no other
    use of it (pytest-django makes one only where a test is marked)."""
    connection.settings_dict["TEST"]["NAME"] = connection.settings_dict["NAME"]
    with django_db_blocker.unblock():
        connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
        yield
        connection.close()


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Cluster]:
    """A real PostgreSQL for as long as the tests run; each who wants a database makes one."""
    with running() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def migrated(postgresql: Cluster, django_db_blocker: Any) -> str:
    """The name of a database on PostgreSQL as a first start leaves it, to make copies of."""
    with in_place_of_sqlite(postgresql.create("migrated")), django_db_blocker.unblock():
        call_command("migrate", verbosity=0)
        call_command("seed", verbosity=0)
    return "migrated"


@pytest.fixture(scope="session")
def new_database(request: pytest.FixtureRequest) -> Callable[[], str]:
    """Make an empty database for a product of its own, of the kind that the tests run on; its DATABASE_URL."""
    if connection.vendor == "sqlite":
        return lambda: ""  # a file in the product's state folder
    cluster: Cluster = request.getfixturevalue("postgresql")
    return lambda: cluster.create(f"product_{next(_numbers)}")


@pytest.fixture
def on_postgresql(postgresql: Cluster, migrated: str, django_db_blocker: Any) -> Iterator[str]:
    """Django on a seeded PostgreSQL database of the test's own, which other threads see too; its address."""
    name = f"test_{next(_numbers)}"
    address = postgresql.create(name, template=migrated)
    with in_place_of_sqlite(address), django_db_blocker.unblock():
        yield address
    postgresql.drop(name)


@pytest.fixture
def on_sqlite(db: None, tmp_path: Path) -> Iterator[None]:
    """Django on SQLite, for what concerns that alone, whichever database the tests run on."""
    if connection.vendor == "sqlite":
        yield
        return
    with in_place_of_sqlite(f"sqlite:///{tmp_path}/test.sqlite3"):
        call_command("migrate", verbosity=0)
        yield


@pytest.fixture
def seeded(db: None) -> None:
    """A database as a first start leaves it."""
    call_command("seed")


@pytest.fixture
def seeded_on_postgresql(postgresql: Cluster, migrated: str, django_db_blocker: Any) -> Iterator[None]:
    """The same on PostgreSQL. All that the test writes is rolled back, which costs less than a copy."""
    with in_place_of_sqlite(postgresql.url(migrated)), django_db_blocker.unblock(), transaction.atomic():
        yield
        if not connection.needs_rollback:
            connection.check_constraints()  # as a commit would
        transaction.set_rollback(True)


@pytest.fixture(params=KINDS)
def either_database(request: pytest.FixtureRequest) -> None:
    """A seeded database of each kind that Swarna runs on: the test runs on both.

    What it writes other threads see where the test is marked with `transaction=True`.
    """
    mark = request.node.get_closest_marker("django_db")
    is_seen = mark is not None and mark.kwargs.get("transaction", False)
    fixtures = {"sqlite": "seeded", "postgresql": "on_postgresql" if is_seen else "seeded_on_postgresql"}
    request.getfixturevalue(fixtures[request.param])
