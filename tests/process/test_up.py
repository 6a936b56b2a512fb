"""`manage.py up` and its supervisor, with real processes: tiny ones, and twice the whole product."""

import errno
import fcntl
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import redis
from django.core.management import call_command
from django.core.management.base import CommandError

from infra.process.console import LONGEST_LINE
from infra.process.valkey import EmbeddedValkey, RedisUnusableError, wait_for_redis
from swarna.state_dir import announced_redis_url
from swarna.web import listening
from tests.support.product import ROOT, Process, answers, descendants, free_port, wait_until

Supervise = Callable[..., Process]
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="asks /proc")

STAYS = "echo pid $$; exec sleep 60"
STAYS_WHATEVER_IS_ASKED = f"trap '' TERM; {STAYS}"


@pytest.fixture
def supervise(tmp_path: Path) -> Iterator[Supervise]:
    """Run a supervisor over shell scripts, given by name; `options` are further fields of their `Program`."""
    started: list[Process] = []

    def start(
        *, grace: float = 60, watchdogs: bool = False, options: dict[str, Any] | None = None, **scripts: str
    ) -> Process:
        programs = [
            {"name": name, "command": ["/bin/sh", "-c", script]} | (options or {}).get(name, {})
            for name, script in scripts.items()
        ]
        order = json.dumps({"grace": grace, "watchdogs": watchdogs, "programs": programs})
        process = Process(["-m", "tests.support.supervised", order], tmp_path / "output", {})
        started.append(process)
        return process

    # A run of the tests that outlives its terminal, by nohup, has it ignored, and so would they.
    hangup = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield start
    signal.signal(signal.SIGHUP, hangup)
    for process in started:
        process.stop(signal.SIGKILL)


def said(process: Process, pattern: str, times: int = 1, seconds: float = 15) -> list[str]:
    """The parts of a process's output that match the pattern, as soon as there are so many."""

    def check() -> list[str]:
        found = re.findall(pattern, process.output, re.MULTILINE)
        return found if len(found) >= times else []

    return wait_until(check, f"{times} x {pattern}", seconds)


def pid_of(process: Process, name: str, start: int = 1) -> int:
    """The number that a script has printed at its first, second ... start."""
    return int(said(process, rf"^{name} +\| pid (\d+)$", start)[start - 1])


def is_running(pid: int) -> bool:
    """Return True if a process still runs; one that only waits to be reaped does not."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except ProcessLookupError:
        return False
    except FileNotFoundError:
        return not Path("/proc/self").exists()


def all_have_ended(pids: Iterable[int]) -> bool:
    return not any(is_running(pid) for pid in pids)


def test_each_line_follows_the_name_of_its_process(supervise: Supervise) -> None:
    process = supervise(web="echo one; echo two >&2; exec sleep 60", worker="printf 'no end of line'; exit 1")
    said(process, r"^web    \| one\nweb    \| two$")
    said(process, r"^worker \| no end of line$")


def test_a_process_that_was_killed_is_started_again_at_once(supervise: Supervise) -> None:
    process = supervise(web=STAYS, worker=STAYS)
    os.kill(pid_of(process, "worker"), signal.SIGKILL)
    said(process, r"^up     \| worker ended \(killed by SIGKILL\), starting it again now$")
    assert is_running(pid_of(process, "worker", start=2))
    assert is_running(pid_of(process, "web"))


def test_a_process_that_keeps_dying_is_started_again_after_growing_pauses(supervise: Supervise) -> None:
    process = supervise(web="exit 3")
    said(process, r"web ended \(exit code 3\), starting it again now$")
    said(process, r"web ended \(exit code 3\), starting it again in 1 s$")
    said(process, r"web ended \(exit code 3\), starting it again in 2 s$")


def test_each_new_process_is_given_its_standard_input(supervise: Supervise) -> None:
    process = supervise(web="cat; exit 1", options={"web": {"stdin": "the configuration"}})
    said(process, r"^web    \| the configuration$", times=2)


def test_a_renewal_ends_each_old_process_when_the_new_one_serves(supervise: Supervise) -> None:
    serves = "echo pid $$; echo serves; exec sleep 60"
    ready = {"ready_line": "serves"}
    process = supervise(one=serves, two=serves, other=STAYS, options={"one": ready, "two": ready})
    old = [pid_of(process, name) for name in ("one", "two", "other")]
    process.popen.send_signal(signal.SIGUSR1)
    new = [pid_of(process, name, start=2) for name in ("one", "two")]
    wait_until(lambda: not is_running(old[0]) and not is_running(old[1]), "the end of both old processes")
    assert all(map(is_running, [*new, old[2]]))
    said(process, r"^one    \| serves\nup     \| replacing two$")
    os.kill(new[0], signal.SIGKILL)
    assert is_running(pid_of(process, "one", start=3))


def test_a_new_process_that_does_not_serve_leaves_the_old_one_in_place(supervise: Supervise, tmp_path: Path) -> None:
    script = f"mkdir {tmp_path}/taken || exit 1; echo pid $$; echo serves; exec sleep 60"
    process = supervise(web=script, options={"web": {"ready_line": "serves"}})
    old = pid_of(process, "web")
    process.popen.send_signal(signal.SIGUSR1)
    said(process, r"^up     \| the new web does not serve: the old one stays$")
    assert is_running(old)
    assert process.stop(signal.SIGTERM) == 0


def test_the_children_of_a_dead_process_are_ended(supervise: Supervise) -> None:
    process = supervise(worker="sleep 60 & echo pid $!; exit 1")
    left_behind = pid_of(process, "worker")
    wait_until(lambda: not is_running(left_behind), "the end of what the dead process had started")


def test_a_line_that_is_too_long_comes_in_pieces(supervise: Supervise) -> None:
    process = supervise(web="head -c 10000 /dev/zero | tr '\\0' x; exit 1")
    said(process, "web ended")
    pieces = re.findall(r"^web    \| (x+)$", process.output.partition("web ended")[0], re.MULTILINE)
    assert len("".join(pieces)) == 10_000
    assert max(map(len, pieces)) <= LONGEST_LINE


def test_processes_go_on_when_their_output_is_not_read(tmp_path: Path) -> None:
    done = tmp_path / "done"
    script = f"head -c 200000 /dev/zero | tr '\\0' '\\n'; touch {done}; exec sleep 60"
    order = {"grace": 60, "watchdogs": False, "programs": [{"name": "web", "command": ["/bin/sh", "-c", script]}]}
    command = [sys.executable, "-m", "tests.support.supervised", json.dumps(order)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as supervisor:
        try:
            wait_until(done.exists, "the process to have printed more than a pipe holds")
            supervisor.terminate()
            assert supervisor.wait(5) == 0
        finally:
            supervisor.kill()


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_everything(supervise: Supervise, sent: signal.Signals) -> None:
    process = supervise(web=STAYS, worker=STAYS)
    pids = [pid_of(process, "web"), pid_of(process, "worker")]
    assert process.stop(sent, seconds=5) == 0
    assert all_have_ended(pids)
    assert "starting it again" not in process.output


def test_a_process_that_does_not_end_on_sigterm_is_killed(supervise: Supervise) -> None:
    process = supervise(web=STAYS_WHATEVER_IS_ASKED, grace=0.2)
    pid = pid_of(process, "web")
    assert process.stop(signal.SIGTERM, seconds=5) == 0
    assert not is_running(pid)


def test_a_second_ctrl_c_kills_at_once(supervise: Supervise) -> None:
    process = supervise(web=STAYS_WHATEVER_IS_ASKED)
    pid_of(process, "web")
    process.popen.send_signal(signal.SIGINT)
    said(process, r"^up     \| stopping$")
    # Signals closer together than a person's are taken for one.
    time.sleep(0.4)
    assert process.stop(signal.SIGINT, seconds=5) == 0


def test_a_program_that_the_others_need_ends_last(supervise: Supervise) -> None:
    last_words = "trap 'sleep 0.2; echo gone; exit' TERM; echo pid $$; while :; do sleep 0.02; done"
    process = supervise(valkey=last_words, web=last_words, options={"valkey": {"ends_last": True}})
    pid_of(process, "valkey")
    pid_of(process, "web")
    process.stop(signal.SIGTERM)
    assert re.findall(r"^(\w+) +\| gone$", process.output, re.MULTILINE) == ["web", "valkey"]


@pytest.mark.parametrize(
    "watchdogs",
    [
        pytest.param(False, marks=pytest.mark.skipif(sys.platform != "linux", reason="the Linux kernel's")),
        pytest.param(True),
    ],
)
def test_a_killed_supervisor_leaves_no_process(supervise: Supervise, watchdogs: bool) -> None:
    process = supervise(web=STAYS, valkey=STAYS_WHATEVER_IS_ASKED, watchdogs=watchdogs)
    pids = [pid_of(process, "web"), pid_of(process, "valkey")]
    process.popen.kill()
    wait_until(lambda: all_have_ended(pids), "the processes to follow their supervisor")


def test_a_process_with_a_watchdog_is_started_again_like_any(supervise: Supervise) -> None:
    process = supervise(web=STAYS, watchdogs=True)
    os.kill(pid_of(process, "web"), signal.SIGKILL)
    again = pid_of(process, "web", start=2)
    process.stop(signal.SIGTERM, seconds=5)
    assert not is_running(again)


def test_valkey_comes_back_at_the_same_address(tmp_path: Path, supervise: Supervise) -> None:
    valkey = EmbeddedValkey(tmp_path)
    program = valkey.program()
    supervise(valkey="", options={"valkey": {"command": program.command, "stdin": program.stdin.decode()}})
    wait_for_redis(valkey.url, 10)
    with redis.Redis.from_url(valkey.url, decode_responses=True) as client:
        first = client.info("server")["process_id"]
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: not is_running(first), "Valkey's death")
        wait_for_redis(valkey.url, 10)
        assert client.info("server")["process_id"] != first


def test_valkey_requires_its_password(tmp_path: Path, supervise: Supervise) -> None:
    valkey = EmbeddedValkey(tmp_path)
    program = valkey.program()
    supervise(valkey="", options={"valkey": {"command": program.command, "stdin": program.stdin.decode()}})
    wait_for_redis(valkey.url, 10)
    with pytest.raises(RedisUnusableError, match=r"^redis://127\.0\.0\.1:\d+/0 cannot be used: .*password"):
        wait_for_redis(valkey.url.replace(valkey.password, "wrong"), 10)
    assert not any(valkey.password in word for word in program.command)
    assert not any(valkey.password in file.read_text() for file in tmp_path.iterdir())


def up(tmp_path: Path, arguments: Sequence[str] = ("manage.py", "up"), **environment: str) -> Process:
    """Start the whole product with parts and a state folder of its own, on a free port unless one is given."""
    of_its_own = {
        "SWARNA_STATE_DIR": str(tmp_path / "state"),
        "DATABASE_URL": "",
        "REDIS_URL": "",
        "WEBSOCKET_PORT": str(free_port()),
        "PRICE_PROVIDERS": "simulated",
        "SECRET_KEY": "of this test",
    }
    return Process(list(arguments), tmp_path / "output", of_its_own | environment)


def error_line(tmp_path: Path, **environment: str) -> str:
    """The only line that `up` prints when it cannot start."""
    process = up(tmp_path, **environment)
    assert process.popen.wait(30) == 1
    (line,) = process.output.splitlines()
    return line


def test_a_port_in_use_is_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as occupied:
        port = occupied.getsockname()[1]
        line = error_line(tmp_path, WEBSOCKET_PORT=str(port))
    assert line == f"CommandError: Port {port} is in use. Set WEBSOCKET_PORT to another one."


def test_a_port_that_needs_privilege_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: socket.socket, address: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", refuse)
    with pytest.raises(CommandError, match=r"^This user may not open port 80\. Set WEBSOCKET_PORT"):
        listening("127.0.0.1", 80)


def test_an_address_of_another_machine_is_one_line() -> None:
    with pytest.raises(CommandError, match=r"^'192\.0\.2\.1' is no address of this machine .* Set BIND_ADDRESS"):
        listening("192.0.2.1", 3001)


@pytest.mark.parametrize("port", [-1, 65536, 10**12])
def test_a_port_beyond_the_last_is_one_line(port: int) -> None:
    with pytest.raises(CommandError, match=r"^--port must be from 1 to 65535"):
        call_command("serve", port=port, skip_checks=True)


def test_a_second_start_names_the_first(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    with (tmp_path / "state" / "up.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write("4242\n")
        lock.flush()
        assert error_line(tmp_path).startswith("CommandError: Swarna already runs here, as process 4242. Stop")


@pytest.mark.parametrize("secret", ["", "given"])
def test_a_state_folder_that_cannot_be_used_is_one_line(tmp_path: Path, secret: str) -> None:
    (tmp_path / "state").touch()
    assert "SWARNA_STATE_DIR" in error_line(tmp_path, SECRET_KEY=secret)


def test_a_database_that_cannot_be_opened_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "state" / "swarna.sqlite3").mkdir(parents=True)
    line = error_line(tmp_path)
    assert "swarna.sqlite3 cannot be used: unable to open database file. Make" in line


def test_a_database_that_does_not_answer_is_one_line(tmp_path: Path) -> None:
    line = error_line(tmp_path, DATABASE_URL=f"postgres://user:hidden@127.0.0.1:{free_port()}/swarna")
    assert re.match(r"The database swarna cannot be used: .*refused\. Start it, mend DATABASE_URL", line)
    assert "hidden" not in line


def test_a_redis_that_does_not_answer_is_one_line(tmp_path: Path) -> None:
    line = error_line(tmp_path, REDIS_URL=f"redis://:hidden@127.0.0.1:{free_port()}/0")
    assert re.match(r"CommandError: redis://127.* cannot be used: .*refused\. Mend REDIS_URL", line)
    assert "hidden" not in line


@on_linux
def test_the_product_says_where_it_is_and_leaves_no_process_when_it_is_killed(tmp_path: Path) -> None:
    process = up(tmp_path)
    try:
        (url,) = said(process, r"^up     \| ready: (\S+)$", seconds=60)
        assert answers(url + "healthz")
        said(process, r"^up     \| to create the first staff user: .* manage.py createsuperuser$")
        family = descendants(process.popen.pid)
        commands = " ".join(family.values())
        assert all(part in commands for part in ("valkey-server", "manage.py serve", "worker", "beat"))
        process.popen.kill()
        wait_until(lambda: all_have_ended(family), "the end of all that the product had started", seconds=3)
    finally:
        process.stop(signal.SIGKILL)


@on_linux
def test_the_product_stops_within_five_seconds_when_the_make_that_runs_it_is_killed(tmp_path: Path) -> None:
    make = (
        "import os, subprocess, sys;"
        "subprocess.run([sys.executable, 'manage.py', 'up', '--with-parent', str(os.getpid())])"
    )
    process = up(tmp_path, ["-c", make])
    try:
        said(process, r"^up     \| ready: ", seconds=60)
        assert announced_redis_url(tmp_path / "state")
        family = descendants(process.popen.pid)
        process.popen.kill()
        wait_until(lambda: all_have_ended(family), "the end of all that the product had started", seconds=5.5)
        assert announced_redis_url(tmp_path / "state") is None
    finally:
        process.stop(signal.SIGKILL)
