"""`manage.py up`: run the whole product on this machine until a signal ends it."""

import asyncio
import fcntl
import os
import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection
from django.utils import timezone

from infra import addresses
from infra.process import probe
from infra.process.supervisor import Program, Supervisor
from infra.process.valkey import EmbeddedValkey, RedisUnusableError, wait_for_redis
from prices.history import demonstration
from swarna import web
from swarna.state_dir import announce_redis_url, withdraw_redis_url

# Seconds for Redis or the web process to answer, while a person waits at the terminal.
_TIMEOUT = 3
# Seconds between checks that refreshes begin, and for worker and beat, started again, to begin one.
_CHECK_EVERY = 5.0
_AFTER_RESTART = 60.0


class Command(BaseCommand):
    help = (
        "Bring the database up to date, and run the web server, the worker, beat and, unless REDIS_URL is set, an "
        "embedded Valkey."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--with-parent", type=int, metavar="PID", help="stop when this parent is gone")

    def handle(self, *args: Any, with_parent: int | None, **options: Any) -> None:
        # Until the supervisor handles signals, exit at once: processes that run by then die with this one. An exception
        # raised by a signal may be lost in the code that it interrupts.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, lambda *_: os._exit(0))
        with only_one_in(settings.STATE_DIR):
            up(with_parent)


def up(parent: int | None) -> None:
    """Run everything until a signal, or until `parent` is no longer this process's parent.

    Raises CommandError, before any server process has started, if one of their needs cannot be met.
    """
    listener = web.listening(settings.BIND_ADDRESS, settings.WEBSOCKET_PORT)
    given_redis = None if settings.REDIS_IS_EMBEDDED else usable_redis()
    staffed = prepare_database()
    supervisor = Supervisor()
    try:
        with nullcontext(given_redis) if given_redis else embedded_valkey(supervisor) as redis_url:
            env = {"REDIS_URL": redis_url, "PYTHONUNBUFFERED": "1"}
            for program in [*web.programs(listener, settings.WEB_PROCESSES, env), *celery_programs(env)]:
                supervisor.start(program)
            supervisor.run(
                partial(greet, supervisor, listener.getsockname()[:2], staffed),
                partial(end_with, supervisor, parent),
                partial(restart_stalled, supervisor, listener.getsockname()[:2]),
            )
    finally:
        supervisor.kill()


@contextmanager
def only_one_in(folder: Path) -> Iterator[None]:
    """Lock the folder. The kernel lifts the lock however this process ends."""
    path = folder / "up.lock"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = path.open("a+")
    except OSError as error:
        raise CommandError(
            f"{path} cannot be written: {error.strerror}. Make {folder} writable, or set SWARNA_STATE_DIR."
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            raise CommandError(
                f"Swarna already runs here, as process {file.read().strip()}. Stop that one first, or set "
                "SWARNA_STATE_DIR and WEBSOCKET_PORT to run a second one."
            ) from error
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


def prepare_database() -> bool:
    """Migrate, and create the rows of a first start. Returns True if the admin has a user."""
    try:
        call_command("migrate", verbosity=0)
        call_command("seed", verbosity=0)
        demonstration.make_up(now=timezone.now())
        return get_user_model().objects.filter(is_superuser=True, is_active=True).exists()
    finally:
        connection.close()


def usable_redis() -> str:
    """REDIS_URL, once a Redis answers there."""
    url = str(settings.REDIS_URL)
    try:
        wait_for_redis(url, _TIMEOUT)
    except RedisUnusableError as error:
        raise CommandError(f"{error} Mend REDIS_URL, or leave it out for the embedded Valkey.") from error
    return url


@contextmanager
def embedded_valkey(supervisor: Supervisor) -> Iterator[str]:
    """Start an embedded Valkey and yield its address, which other commands find in the state folder."""
    try:
        valkey = EmbeddedValkey(settings.STATE_DIR)
        supervisor.start(valkey.program())
        wait_for_redis(valkey.url, timeout=10)  # in fact milliseconds
    except RedisUnusableError as error:
        raise CommandError(f"No embedded Valkey: {error} Set REDIS_URL to a Redis that runs.") from error
    announce_redis_url(settings.STATE_DIR, valkey.url)
    try:
        yield valkey.url
    finally:
        withdraw_redis_url(settings.STATE_DIR)


def celery_programs(env: dict[str, str]) -> list[Program]:
    """Worker and beat, which fetch prices."""
    # Celery warns root of pickled tasks, which our worker does not accept.
    quiet = {"PYTHONWARNINGS": "ignore:You're running the worker with superuser privileges"}
    folder = str(settings.BASE_DIR)
    celery = [sys.executable, "-m", "celery", "--quiet", "--skip-checks", "--workdir", folder, "-A", "swarna"]
    worker = ["worker", "--concurrency=2", "--without-gossip", "--without-mingle", "--without-heartbeat"]
    return [
        Program("worker", [*celery, *worker, "--loglevel=WARNING"], os.environ | env | quiet),
        Program("beat", [*celery, "beat", "--pidfile=", "--loglevel=WARNING"], os.environ | env),
    ]


async def greet(supervisor: Supervisor, address: tuple[str, int], staffed: bool) -> None:
    """Print the product's address, once it answers there."""
    while not await is_healthy(*address):
        await asyncio.sleep(0.1)
    host = "localhost" if addresses.is_any(settings.BIND_ADDRESS) else settings.BIND_ADDRESS
    supervisor.say(f"ready: http://{addresses.authority(host, settings.WEBSOCKET_PORT)}{settings.URL_PREFIX}/")
    if not staffed:
        command = f"{_variables()}{os.path.relpath(sys.executable)} manage.py createsuperuser"
        supervisor.say(f"to create the first staff user: {command}")


def _variables() -> str:
    """The variables that a command in another shell needs to find this database, as the beginning of its line.

    DATABASE_URL is left out, as it may hold a password; but not an empty one, as a `.env` may name a database.
    """
    folder = os.environ.get("SWARNA_STATE_DIR")
    line = f"SWARNA_STATE_DIR={shlex.quote(folder)} " if folder else ""
    return f"{line}DATABASE_URL= " if os.environ.get("DATABASE_URL") == "" else line


async def is_healthy(host: str, port: int) -> bool:
    """Return True if the web process answers 200 at /healthz."""
    try:
        return await probe.web_problem(host, port, timeout=_TIMEOUT) is None
    except OSError:
        return False


async def restart_stalled(supervisor: Supervisor, address: tuple[str, int]) -> None:
    """Restart worker and beat when the web process sees no refresh begin: one that hangs does not end by itself."""
    while True:
        await asyncio.sleep(_CHECK_EVERY)
        with suppress(OSError):  # it does not answer now
            if problem := await probe.refresh_problem(*address):
                supervisor.say(f"refreshes: {problem}, starting worker and beat anew")
                for name in ("worker", "beat"):
                    supervisor.restart(name)
                await asyncio.sleep(_AFTER_RESTART)


async def end_with(supervisor: Supervisor, parent: int | None) -> None:
    """Stop when `parent` is gone, as after a SIGKILL of `make`, which this process would outlive unnoticed."""
    if parent is not None:
        while os.getppid() == parent:
            await asyncio.sleep(0.5)
        supervisor.stop()
