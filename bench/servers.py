"""The servers that are measured, each started alone, on a core of its own, and told to publish."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, ClassVar, Self

import redis

from bench import machine
from infra.process.valkey import EmbeddedValkey, wait_for_redis
from swarna.web import READY

ROOT = Path(__file__).resolve().parent.parent
NODE = ROOT / "bench" / "node"
FLOOR = ROOT / "bench" / "floor.c"
# Limits that ten thousand clients of one machine would exceed.
_UNLIMITED = {
    "WS_MAX_CONNECTIONS": "100000",
    "WS_MAX_CONNECTIONS_PER_IP": "100000",
    "WS_RATE_LIMIT": "1000000",
    "WS_USER_RATE_LIMIT": "1000000",
    "WS_BATCH_INTERVAL": "0",
    "API_RATE_LIMIT": "0",
    "LOG_LEVEL": "ERROR",
}


@dataclass
class Surroundings:
    """A folder, a Valkey and recorded updates, shared by all servers."""

    folder: Path
    redis_url: str

    @property
    def payloads(self) -> Path:
        return self.folder / "payloads.jsonl"

    @property
    def environment(self) -> dict[str, str]:
        """The machine's environment, without settings of a Swarna that runs on it."""
        example = (ROOT / ".env.example").read_text().splitlines()
        known = {line.lstrip("# ").partition("=")[0] for line in example}
        kept = {name: value for name, value in os.environ.items() if name not in known}
        return kept | {
            "SWARNA_ENV_FILE": "",
            "SWARNA_STATE_DIR": str(self.folder),
            "REDIS_URL": self.redis_url,
            "PRICE_PROVIDERS": "simulated",
            "PYTHONUNBUFFERED": "1",
        }


@contextlib.contextmanager
def valkey(folder: Path) -> Iterator[str]:
    """A Valkey on the core of the clients; yields its address."""
    embedded = EmbeddedValkey(folder)
    program = embedded.program()
    process = subprocess.Popen(
        program.command,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        preexec_fn=machine.on_core(machine.OTHER_CORE),
    )
    try:
        assert process.stdin is not None
        process.stdin.write(program.stdin)
        process.stdin.close()
        wait_for_redis(embedded.url, 10)
        yield embedded.url
    finally:
        process.kill()
        process.wait()


def prepare_database(around: Surroundings, **settings: str) -> None:
    """Make a database of Swarna as a first start leaves it."""
    environment = around.environment | settings
    for command in ("migrate", "seed"):
        subprocess.run([sys.executable, "manage.py", command, "--verbosity=0"], cwd=ROOT, env=environment, check=True)


class Publishing:
    """A publisher at work. `stamps` waits for its end."""

    def __init__(self, process: "subprocess.Popen[str]", output: IO[str]) -> None:
        self._process = process
        self._output = output

    def stamps(self) -> dict[int, int]:
        """The time at which each seq was published: CLOCK_MONOTONIC, ns."""
        found = {}
        for line in self._output:
            match line.split():
                case [seq, at] if seq.isdigit():
                    found[int(seq)] = int(at)
                case ["done"]:
                    break
        if not found:
            raise RuntimeError("the publisher published nothing")
        return found

    def last_words(self) -> str:
        """The line that follows the stamps."""
        return self._output.readline()


@dataclass
class Server(ABC):
    """One of the servers. A context manager: entered once it listens, killed on exit."""

    around: Surroundings
    settings: dict[str, str] = field(default_factory=dict)
    answers: ClassVar[bool] = False  # whether it is its own publisher, and prints stamps
    cores: ClassVar[Sequence[int]] = (machine.SERVER_CORE,)
    port: int = field(init=False, default=0)
    start_seconds: float = field(init=False, default=0.0)  # from its exec until it is up

    @abstractmethod
    def command(self) -> list[str]:
        """The command to run."""

    @abstractmethod
    def environment(self) -> dict[str, str]:
        """The command's environment."""

    def is_up(self) -> bool:
        """Return True once it serves."""
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def publishing(self, interval_ms: int, count: int) -> Publishing:
        """Begin to publish `count` times, once every `interval_ms`. Raises TypeError if the server cannot."""
        raise TypeError(f"{type(self).__name__} sends no publications: it is measured by its connects alone")

    def __enter__(self) -> Self:
        self.port = _free_port()
        self._log = (self.around.folder / f"{type(self).__name__.lower()}.log").open("ab")
        self._log_begins = self._log.tell()
        self._publishers: list[subprocess.Popen[str]] = []
        began = time.monotonic()
        self.process = subprocess.Popen(
            self.command(),
            cwd=ROOT,
            env=self.environment() | self.settings,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if self.answers else self._log,
            stderr=self._log,
            text=True,
            start_new_session=True,
            preexec_fn=machine.on_core(*self.cores),
        )
        while not self.is_up():
            if self.process.poll() is not None or time.monotonic() > began + 60:
                raise RuntimeError(f"{type(self).__name__} did not start: see {self._log.name}")
            time.sleep(0.01)
        self.start_seconds = time.monotonic() - began
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for publisher in self._publishers:
            publisher.kill()
            publisher.communicate()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()
        self._log.close()

    def cpu_seconds(self) -> float:
        return machine.cpu_seconds(self.process.pid)

    def resident_bytes(self) -> int:
        return machine.resident_bytes(self.process.pid)

    def _publisher(self, *command: str) -> Publishing:
        """A publisher in a process of its own, on the core of the clients."""
        process = subprocess.Popen(
            [sys.executable, *command],
            cwd=ROOT,
            env=self.environment() | self.settings,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            preexec_fn=machine.on_core(machine.OTHER_CORE),
        )
        self._publishers.append(process)
        assert process.stdout is not None
        return Publishing(process, process.stdout)


class Swarna(Server):
    """This project: `manage.py serve`, fed through ingest and Valkey by `manage.py simulate`, or by refreshes."""

    def command(self) -> list[str]:
        return [sys.executable, "manage.py", "serve"]

    def environment(self) -> dict[str, str]:
        return self.around.environment | _UNLIMITED | {"WEBSOCKET_PORT": str(self.port)}

    def is_up(self) -> bool:
        """Return True once each web process has said so: the socket listens before they do."""
        written = Path(self._log.name).read_bytes()[self._log_begins :]
        return written.count(READY.encode()) >= int(self.settings.get("WEB_PROCESSES", 1))

    def publishing(self, interval_ms: int, count: int) -> Publishing:
        return self._publisher("manage.py", "simulate", f"--interval-ms={interval_ms}", f"--count={count}", "--stamps")

    def refreshing(self, interval_ms: int, count: int) -> Publishing:
        """Like `publishing`, by refreshes from a source. bench/source.py describes the output after the stamps."""
        return self._publisher("-m", "bench.source", str(count), str(interval_ms))

    def saving(self, interval_ms: int, count: int) -> Publishing:
        """Like `publishing`, by staff who save fallback prices; a publication's time is that of pressing Save."""
        return self._publisher("-m", "bench.saves", str(self.port), str(count), str(interval_ms))

    def locking(self, times: int, times_at_once: int) -> dict[str, float]:
        """Lock and redeem prices; bench/lock_work.py describes the figures."""
        work = self._publisher("-m", "bench.lock_work", str(self.port), str(times), str(times_at_once))
        found: dict[str, float] = json.loads(work.last_words())
        return found


class SwarnaOnAllCores(Swarna):
    """The same by several web processes on all cores, each with as many clients as it may open files."""

    cores = (machine.SERVER_CORE, machine.OTHER_CORE)

    def environment(self) -> dict[str, str]:
        return super().environment() | {"WS_MAX_CONNECTIONS": str(machine.connections_of_a_process())}


class _Publisher(Server):
    """A server with publications from a timer of its own, which is told by its standard input."""

    answers: ClassVar[bool] = True

    def environment(self) -> dict[str, str]:
        return self.around.environment | _UNLIMITED

    def publishing(self, interval_ms: int, count: int) -> Publishing:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"publish {interval_ms} {count}\n")
        self.process.stdin.flush()
        return Publishing(self.process, self.process.stdout)


@dataclass
class Node(_Publisher):
    """The seed's server. `deflate`: from how many bytes it compresses."""

    deflate: int | None = None

    def command(self) -> list[str]:
        deflate = [] if self.deflate is None else ["--deflate", str(self.deflate)]
        return ["node", str(NODE / "server.js"), str(self.port), str(self.around.payloads), *deflate]


class UWebSockets(_Publisher):
    """uWebSockets, C++ in Node: the least that a server for general use is known to need."""

    def command(self) -> list[str]:
        return ["node", str(NODE / "uws.js"), str(self.port), str(self.around.payloads)]


class Floor(_Publisher):
    """A program in C that does nothing but `send`: what no server on this machine can do for less."""

    def command(self) -> list[str]:
        return [str(machine.compiled(FLOOR, self.around.folder)), str(self.port), str(self.around.payloads)]


class Bare(Server):
    """A consumer without a channel layer on stock Daphne, which sends a snapshot and nothing more."""

    def command(self) -> list[str]:
        place = ["-b", "127.0.0.1", "-p", str(self.port)]
        return [sys.executable, "-m", "daphne", "-v", "0", *place, "bench.textbook.asgi:application"]

    def environment(self) -> dict[str, str]:
        return self.around.environment | {
            "DJANGO_SETTINGS_MODULE": "bench.textbook.settings",
            "BENCH_PAYLOADS": str(self.around.payloads),
        }


class Textbook(Bare):
    """The consumer of Channels' tutorial on stock Daphne: each client in a group of the Pub/Sub layer."""

    def environment(self) -> dict[str, str]:
        return super().environment() | {"BENCH_REDIS_URL": self.around.redis_url}

    def publishing(self, interval_ms: int, count: int) -> Publishing:
        return self._publisher("-m", "bench.textbook.publish", str(interval_ms), str(count))


@contextlib.contextmanager
def group_messages(url: str) -> Iterator[Callable[[], int]]:
    """Listen to all channel-layer groups of a Redis; yields a function that counts the messages since then.

    What web processes send to their own subscription, as a sign of life, goes to no group.
    """
    with redis.Redis.from_url(url) as client, client.pubsub() as heard:
        heard.psubscribe("*__group__*")
        heard.get_message(timeout=5)  # that it is subscribed

        def count() -> int:
            messages = iter(lambda: heard.get_message(timeout=0.2), None)
            return sum(message["type"] == "pmessage" for message in messages)

        yield count


def npm_ci(folder: Path, *options: str) -> None:
    """Install a folder's packages for Node where that has not been done for its lock file.

    Raises MissingError without npm, or where npm fails.
    """
    lock, installed = folder / "package-lock.json", folder / "node_modules" / ".package-lock.json"
    if installed.exists() and installed.stat().st_mtime >= lock.stat().st_mtime:
        return
    npm = machine.need("npm", "There is no npm to install packages with: install it with Node.")
    command = [npm, "ci", *options, "--no-audit", "--no-fund", "--silent"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        place = folder.relative_to(ROOT)
        raise machine.MissingError(f"npm ci in {place} failed: {done.stderr.strip().rpartition(chr(10))[2]}")
    installed.touch()


def install_node_packages() -> None:
    """The packages of the servers on Node. Raises MissingError without Node or its packages."""
    node = machine.need(
        "node", "There is no Node to measure against: install Node 18 or 20, or choose other rows by ROWS=..."
    )
    # Without the optional packages, which ws would use if they were there: the seed does not name them.
    npm_ci(NODE, "--omit=optional")
    # Where it has no binary, it takes a slow stand-in, which has no getParts.
    script = "process.exit(require('@trufflesuite/uws-js-unofficial').getParts ? 0 : 1)"
    if subprocess.run([node, "-e", script], cwd=NODE, capture_output=True, check=False).returncode:
        raise machine.MissingError("uWebSockets does not run on this Node: install Node 18 or 20.")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
