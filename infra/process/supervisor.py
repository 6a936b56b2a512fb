"""A supervisor that keeps named processes running, prints their output, and ends all of them when it ends.

One thread, one event loop. Each process leads a session and group of its own, so that a Ctrl-C in the terminal reaches
the supervisor alone, and a process is ended together with its children.
"""

import asyncio
import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from infra.process.console import LONGEST_LINE, Console

GRACE = 3.5  # seconds from SIGTERM to SIGKILL: a whole stop is to take less than 5, on a busy machine too
STEADY_AFTER = 10.0  # seconds after which a process counts as started: its end is not one of several early ones
LONGEST_START = 30.0  # seconds until a new process serves
LONGEST_PAUSE = 10.0  # seconds until a process that keeps dying is started again

_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1
# A shell that waits for the end of a pipe that the supervisor alone can write to, then kills its own process group,
# which is the program's.
_WATCHDOG = '{ read -r _ < "/dev/fd/$0"; kill -KILL 0; } < /dev/null > /dev/null 2>&1 & exec "$@"'


@dataclass(frozen=True)
class Program:
    """A command to keep running under a name. Each of its processes reads `stdin`, which `ps` does not show.

    A program that `ends_last` is needed by the others: a stop terminates it once they are gone. `fds` are open file
    descriptors that it inherits, `grace` the seconds that it may take to end. A program that prints `ready_line` when
    it serves can be replaced by a new process while the old one still serves (`Supervisor.renew`).
    """

    name: str
    command: Sequence[str]
    env: Mapping[str, str] | None = None
    stdin: bytes = b""
    ends_last: bool = False
    fds: Sequence[int] = ()
    grace: float = 0.0
    ready_line: str = ""


class _Process:
    """A running process of a program, until `end` has returned."""

    def __init__(self, program: Program, console: Console, lifeline: int | None) -> None:
        watchdog = [] if lifeline is None else ["/bin/sh", "-c", _WATCHDOG, str(lifeline)]
        self.started = time.monotonic()
        self.ready = asyncio.Event()
        self._ready_line = program.ready_line.encode()
        self._print_line = partial(console.line, program.name)
        self._unfinished = b""
        self._popen = subprocess.Popen(  # noqa: S603  (our own commands, as lists)
            [*watchdog, *program.command],
            env=program.env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=(*program.fds, *(() if lifeline is None else (lifeline,))),
            # Unsafe only beside other threads, and there are none.
            preexec_fn=partial(_die_with, os.getpid()) if lifeline is None else None,
        )
        assert self._popen.stdin is not None
        assert self._popen.stdout is not None
        self._stdout = self._popen.stdout
        self.output = self._stdout.fileno()
        os.set_blocking(self.output, False)
        with contextlib.suppress(BrokenPipeError), self._popen.stdin as stdin:
            stdin.write(program.stdin)

    def has_ended(self) -> bool:
        return self._popen.poll() is not None

    def terminate(self) -> None:
        self._popen.terminate()

    def kill(self) -> None:
        """Kill the process and all of its group."""
        with contextlib.suppress(ProcessLookupError, PermissionError):  # PermissionError: zombies, on macOS
            os.killpg(self._popen.pid, signal.SIGKILL)

    def end(self) -> int:
        """Kill the rest of the group, print its last output, and return the exit code."""
        self.kill()
        returncode = self._popen.wait()
        while self.show():
            pass
        if self._unfinished:
            self._print_line(self._unfinished)
        self._stdout.close()
        return returncode

    def show(self) -> bool:
        """Print the lines that have arrived; return False if there are none."""
        try:
            received = os.read(self.output, 65536)
        except BlockingIOError:
            return False
        *lines, self._unfinished = (self._unfinished + received).split(b"\n")
        if len(self._unfinished) > LONGEST_LINE:
            lines, self._unfinished = [*lines, self._unfinished], b""
        for line in lines:
            self._print_line(line)
            if self._ready_line and self._ready_line in line:
                self.ready.set()
        return bool(received)


@dataclass(eq=False)
class _Child:
    """A supervised program; without a process while it waits to be started again.

    A child `on_trial` is to replace another, which is `retiring` then: neither is started again.
    """

    program: Program
    process: _Process | None
    early_deaths: int = 0
    terminated: bool = False
    on_trial: bool = False
    retiring: bool = False
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class Supervisor:
    """`start` programs, then `run` until a signal or `stop`; call `kill` in a `finally`.

    A program that ends is started again: at once, or after 1, 2, 4 ... 10 s when it keeps ending early. When the
    supervisor dies, of whatever cause, its programs do too: the Linux kernel kills them; elsewhere (`watchdogs`) a
    shell in each process group does.
    """

    def __init__(self, name: str = "up", *, watchdogs: bool = sys.platform != "linux") -> None:
        self._name = name
        self._console = Console()
        self._children: list[_Child] = []
        self._stopping_since: float | None = None
        self._all_ended = asyncio.Event()
        self._renewal: asyncio.Task[None] | None = None
        # The writing end stays open, and in this process alone, until this process is gone.
        self._lifeline = os.pipe()[0] if watchdogs else None

    def say(self, text: str) -> None:
        """Print a line of the supervisor's own."""
        self._console.line(self._name, text.encode())

    def start(self, program: Program) -> None:
        """Start the program now. `run` prints its output and notices its end."""
        self._children.append(_Child(program, _Process(program, self._console, self._lifeline)))

    def run(self, *alongside: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run until all processes have ended, after SIGINT, SIGTERM, SIGHUP or `stop`; a second SIGINT kills.

        The coroutines of `alongside` run in the same loop until then.
        """
        asyncio.run(self._run(alongside))

    def stop(self) -> None:
        """Terminate every process; kill those that still run after the longest grace, GRACE seconds at least."""
        if self._stopping_since is None:
            self._stopping_since = time.monotonic()
            self.say("stopping")
            grace = max(GRACE, *(child.program.grace for child in self._children))
            asyncio.get_running_loop().call_later(grace, self._kill_all)
            self._terminate()

    def restart(self, name: str) -> None:
        """Terminate the program's process, or kill it after its grace; then it is started again."""
        for child in self._children:
            if child.program.name == name and child.process and not self._stopping_since:
                child.process.terminate()
                grace = max(GRACE, child.program.grace)
                asyncio.get_running_loop().call_later(grace, self._kill_if_current, child, child.process)

    def renew(self) -> None:
        """Replace the processes of programs with a `ready_line` one by one: the new one serves before the old one ends.

        A new process that ends, or is not ready within LONGEST_START, is given up, and the old ones stay.
        """
        if self._renewal is None or self._renewal.done():
            self._renewal = asyncio.get_running_loop().create_task(self._renew_all())

    def kill(self) -> None:
        """Kill the processes that still run, and print their last output. Needs no event loop."""
        for child in self._children:
            if child.process:
                child.process.end()
                child.process = None

    async def _run(self, alongside: Sequence[Callable[[], Coroutine[Any, Any, None]]]) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, self._interrupt)
        loop.add_signal_handler(signal.SIGTERM, self.stop)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as nohup has it
            loop.add_signal_handler(signal.SIGHUP, self.stop)
        loop.add_signal_handler(signal.SIGUSR1, self.renew)
        loop.add_signal_handler(signal.SIGCHLD, self._reap)
        for child in self._children:
            if child.process:
                loop.add_reader(child.process.output, self._show, child.process)
        self._reap()  # those that ended before SIGCHLD was listened to
        tasks = [asyncio.create_task(work()) for work in alongside]
        await self._all_ended.wait()
        for task in tasks:
            task.cancel()

    async def _renew_all(self) -> None:
        for child in [child for child in self._children if child.program.ready_line]:
            if not await self._renew_one(child):
                break

    async def _renew_one(self, old: _Child) -> bool:
        program = old.program
        self.say(f"replacing {program.name}")
        new = _Child(program, process := _Process(program, self._console, self._lifeline), on_trial=True)
        self._children.append(new)
        asyncio.get_running_loop().add_reader(process.output, self._show, process)
        waits = [asyncio.create_task(event.wait()) for event in (process.ready, new.ended)]
        await asyncio.wait(waits, timeout=LONGEST_START, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        if new.ended.is_set() or not process.ready.is_set():
            self.say(f"the new {program.name} does not serve: the old one stays")
            process.kill()
            return False
        new.on_trial, old.retiring = False, True
        if old.process is not None:
            old.process.terminate()
            asyncio.get_running_loop().call_later(max(GRACE, program.grace), self._kill, old)
            await old.ended.wait()
        else:
            self._children.remove(old)
        return True

    def _interrupt(self) -> None:
        # Two at once are one key press: the terminal signals all processes, and some parents pass the signal on.
        if self._stopping_since and time.monotonic() - self._stopping_since > 0.3:
            self._kill_all()
        self.stop()

    def _show(self, process: _Process) -> None:
        if not process.show():  # it has closed its output, and may live on
            asyncio.get_running_loop().remove_reader(process.output)

    def _reap(self) -> None:
        for child in tuple(self._children):
            if child.process and child.process.has_ended():
                self._replace(child, child.process)
        if self._stopping_since:
            self._terminate()

    def _replace(self, child: _Child, process: _Process) -> None:
        asyncio.get_running_loop().remove_reader(process.output)
        how = _how_it_ended(process.end())
        child.process = None
        if child.on_trial or child.retiring:
            self._children.remove(child)
            child.ended.set()
        elif not self._stopping_since:
            self._start_later(child, how, early=time.monotonic() - process.started < STEADY_AFTER)

    def _start_later(self, child: _Child, how: str, *, early: bool) -> None:
        child.early_deaths = child.early_deaths + 1 if early else 1
        pause = min(2.0 ** (child.early_deaths - 2), LONGEST_PAUSE) if child.early_deaths > 1 else 0.0
        when = f"in {pause:g} s" if pause else "now"
        self.say(f"{child.program.name} ended ({how}), starting it again {when}")
        asyncio.get_running_loop().call_later(pause, self._start_again, child)

    def _start_again(self, child: _Child) -> None:
        if self._stopping_since or child.retiring:
            return
        try:
            child.process = _Process(child.program, self._console, self._lifeline)
        except OSError as error:  # such as no memory for another process
            self._start_later(child, f"cannot be started: {error}", early=True)
        else:
            asyncio.get_running_loop().add_reader(child.process.output, self._show, child.process)

    def _terminate(self) -> None:
        """Send SIGTERM to the processes whose turn it is; when none is left, let `run` return."""
        running = [child for child in self._children if child.process]
        for child in [child for child in running if not child.program.ends_last] or running:
            if child.process and not child.terminated:
                child.terminated = True
                child.process.terminate()
        if not running:
            self._all_ended.set()

    def _kill_if_current(self, child: _Child, process: _Process) -> None:
        if child.process is process:
            process.kill()

    def _kill_all(self) -> None:
        for child in self._children:
            self._kill(child)

    def _kill(self, child: _Child) -> None:
        if child.process:
            child.process.kill()


def _die_with(parent: int) -> None:
    """Let the kernel kill this new process, before it becomes the program, when `parent` ends or has ended (Linux)."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def _how_it_ended(returncode: int) -> str:
    if returncode >= 0:
        return f"exit code {returncode}"
    with contextlib.suppress(ValueError):
        return f"killed by {signal.Signals(-returncode).name}"
    return f"killed by signal {-returncode}"
