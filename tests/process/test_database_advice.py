"""Commands that cannot use the database name the remedy in one line."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from infra.process.valkey import free_port
from tests.support.postgresql import Cluster
from tests.support.product import ROOT

DAYS = ("--from", "2026-09-24", "--to", "2026-09-24")
# Every command of ours that reads the database, and some of Django's.
COMMANDS = {
    "backfill": ("--csv", "ticks.csv"),
    "candles": ("rebuild",),
    "changepassword": ("asha",),
    "createsuperuser": ("--no-input", "--username", "asha", "--email", "asha@shop.example"),
    "export": DAYS,
    "healthy": ("refreshes",),
    "newepoch": (),
    "prices": (),
    "rotatesigningkey": (),
    "seed": (),
    "simulate": ("--count", "1"),
}


# All of them by one process, as each takes its time to start.
_MANAGE = """
import json, sys
from manage import main
said = {}
for command, arguments in json.loads(sys.argv[1]).items():
    sys.argv = ["manage.py", command, *arguments]
    try:
        main()
    except SystemExit as end:
        said[command] = end.code
print(json.dumps(said))
"""


def messages(folder: Path, *commands: str, **environment: str) -> dict[str, str]:
    """The message with which each command ends: printed to standard error, and with exit code 1."""
    (folder / "ticks.csv").write_text("metal,at,price\ngold,2026-09-24T08:00:00Z,13221.39\n")
    ran = subprocess.run(
        [sys.executable, "-c", _MANAGE, json.dumps({command: COMMANDS[command] for command in commands})],
        cwd=folder,
        env=os.environ
        | {"PYTHONPATH": str(ROOT), "SWARNA_STATE_DIR": str(folder), "DATABASE_URL": "", "PRICE_PROVIDERS": "simulated"}
        | {"DJANGO_SUPERUSER_PASSWORD": "not a password"}
        | environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.stderr == ""
    said: dict[str, str] = json.loads(ran.stdout.splitlines()[-1])
    return said


def test_every_command_is_here() -> None:
    need_no_tables = {"healthy", "migrate", "runserver", "serve", "up"}
    ours = {path.stem for path in (ROOT / "swarna/management/commands").glob("*.py")} - {"__init__"}
    assert ours - need_no_tables <= set(COMMANDS)


def test_a_command_on_a_database_without_tables_says_in_one_line_to_run_migrate(tmp_path: Path) -> None:
    for command, line in messages(tmp_path, *COMMANDS).items():
        beginning = f"The database {tmp_path}/swarna.sqlite3 is not that of this version: no such table: "
        assert re.fullmatch(rf"{re.escape(beginning)}\w+\. Run manage.py migrate and manage.py seed\.", line), command


def test_so_does_one_on_an_empty_postgresql(postgresql: Cluster, tmp_path: Path) -> None:
    postgresql.create("without_tables")
    (line,) = messages(tmp_path, "export", DATABASE_URL=postgresql.url("without_tables")).values()
    postgresql.drop("without_tables")
    assert line.startswith('The database without_tables is not that of this version: relation "prices_')
    assert line.endswith(". Run manage.py migrate and manage.py seed.")


def test_a_postgresql_that_is_away_is_one_line_without_its_password(tmp_path: Path) -> None:
    (line,) = messages(
        tmp_path, "export", DATABASE_URL=f"postgres://asha:hidden@127.0.0.1:{free_port()}/swarna"
    ).values()
    assert line.startswith("The database swarna cannot be used: connection failed")
    assert "mend DATABASE_URL" in line
    assert "hidden" not in line


def test_what_is_no_database_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "swarna.sqlite3").write_bytes(b"a text that somebody saved under that name" * 50)
    (line,) = messages(tmp_path, "export").values()
    assert line.endswith("swarna.sqlite3 cannot be used: file is not a database. Move it away, and put a copy back.")
