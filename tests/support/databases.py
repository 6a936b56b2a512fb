"""Databases of both kinds that Swarna runs on, as fixtures."""

import fcntl
import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connection, transaction
from django.db.models import Model, QuerySet

from prices.models import Head, Price
from tests.support.environment import KINDS
from tests.support.postgresql import Cluster, in_place_of_sqlite, running

_numbers = itertools.count()
_seeds: dict[type[Model], list[Model]] = {}


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory, django_db_blocker: Any) -> Path:
    """A migrated SQLite database, to make copies of. The workers of a run share it: migrations take seconds."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    file = folder / "migrated.sqlite3"
    with (folder / "migrating").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not file.exists():
            unfinished = file.with_suffix(".unfinished")
            with in_place_of_sqlite(f"sqlite:///{unfinished}"), django_db_blocker.unblock():
                call_command("migrate", verbosity=0)
            unfinished.rename(file)
    return file


@pytest.fixture(scope="session")
def django_db_setup(
    django_test_environment: None, django_db_blocker: Any, request: pytest.FixtureRequest
) -> Iterator[None]:
    """Make the test database, which server processes use too, even if no test is marked with `django_db`."""
    if connection.vendor == "sqlite":
        shutil.copy(request.getfixturevalue("migrated_file"), connection.settings_dict["NAME"])
        yield
        return
    connection.settings_dict["TEST"]["NAME"] = connection.settings_dict["NAME"]
    with django_db_blocker.unblock():
        connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
        yield
        connection.close()


@pytest.fixture(scope="session")
def first_start(migrated_file: Path, tmp_path_factory: pytest.TempPathFactory, django_db_blocker: Any) -> Path:
    """A SQLite database as a first start leaves it, to make copies of."""
    file = Path(shutil.copy(migrated_file, tmp_path_factory.mktemp("first-start") / "prices.sqlite3"))
    with in_place_of_sqlite(f"sqlite:///{file}"), django_db_blocker.unblock():
        call_command("seed", verbosity=0)
    return file


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Cluster]:
    """A real PostgreSQL for the whole run, empty: a test makes the databases it needs."""
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
    """Django on SQLite, even in a run on PostgreSQL, for tests of SQLite alone."""
    if connection.vendor == "sqlite":
        yield
        return
    with in_place_of_sqlite(f"sqlite:///{tmp_path}/test.sqlite3"):
        call_command("migrate", verbosity=0)
        yield


def seed() -> None:
    """Fill a migrated database as `manage.py seed` does.

    The command takes fifty milliseconds, for each of a thousand tests: on SQLite it runs once, and then its rows are
    inserted again. Not so if some are there already, or outside a transaction, where a commit would publish.
    """
    if connection.vendor != "sqlite" or not connection.in_atomic_block:
        call_command("seed", verbosity=0)
    elif not _seeds:
        before = {model: {row.pk for row in _rows(model)} for model in apps.get_models()}
        call_command("seed", verbosity=0)
        for model, keys in before.items():
            if made := [row for row in _rows(model) if row.pk not in keys]:
                _seeds[model] = made
    elif any(model._base_manager.exists() for model in _seeds):
        call_command("seed", verbosity=0)
    else:
        for model, rows in _seeds.items():
            model._base_manager.bulk_create(rows)
        newest = Price.objects.latest("seq")
        with transaction.atomic():
            Head.locked()  # gives it an epoch of its own
            Head.objects.update(seq=newest.seq, published_at=newest.published_at)


def _rows(model: type[Model]) -> "QuerySet[Model]":
    # By no manager of the model's: some leave out the rows of a metal that has yet to be seeded.
    return QuerySet(model)


@pytest.fixture
def seeded(db: None) -> None:
    """A database as a first start leaves it."""
    seed()


@pytest.fixture
def seeded_on_postgresql(postgresql: Cluster, migrated: str, django_db_blocker: Any) -> Iterator[None]:
    """A seeded PostgreSQL database. The test's writes are rolled back, which costs less than a copy."""
    with in_place_of_sqlite(postgresql.url(migrated)), django_db_blocker.unblock(), transaction.atomic():
        yield
        if not connection.needs_rollback:
            connection.check_constraints()  # as a commit would
        transaction.set_rollback(True)


@pytest.fixture(params=KINDS)
def either_database(request: pytest.FixtureRequest) -> None:
    """Run the test twice: on a seeded SQLite database, and on a seeded PostgreSQL database.

    Other threads see what it writes if the test is marked with `transaction=True`.
    """
    mark = request.node.get_closest_marker("django_db")
    is_seen = mark is not None and mark.kwargs.get("transaction", False)
    fixtures = {"sqlite": "seeded", "postgresql": "on_postgresql" if is_seen else "seeded_on_postgresql"}
    request.getfixturevalue(fixtures[request.param])
