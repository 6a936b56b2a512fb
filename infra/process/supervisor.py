"""Keeps a set of named processes running, shows what they print, and takes all of them along when it ends.

One thread, one event loop. Each process leads a session and group of its own, so that a Ctrl-C in the
terminal reaches the supervisor alone, and whatever the process started can be ended with it.
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

GRACE = 3.5  # seconds from SIGTERM to SIGKILL: all of a stop is to take less than 5, on a busy machine too
STEADY = 10.0  # seconds after which a process counts as started: its death repeats no earlier one
LONGEST_START = 30.0  # seconds until a new process serves
LONGEST_PAUSE = 10.0  # seconds until a process that keeps dying is started again

_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1
# Waits for the end of a pipe that the supervisor alone can write to, then kills its group: the program's.
_MOURNER = '{ read -r _ < "/dev/fd/$0"; kill -KILL 0; } < /dev/null > /dev/null 2>&1 & exec "$@"'


@dataclass(frozen=True)
class Program:
    """What runs under a name. Each process it gets is given `stdin`, which `ps` does not show.

    One that `ends_last` is what the others need: at a stop it is asked to end once they are gone. `fds` are open file
    descriptors that it inherits, `grace` the seconds that it may take to end. One that prints `ready_line` when it
    serves can be replaced by a new process while the old one still does (`Supervisor.renew`).
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
        mourner = [] if lifeline is None else ["/bin/sh", "-c", _MOURNER, str(lifeline)]
        self.started = time.monotonic()
        self.ready = asyncio.Event()
        self._ready_line = program.ready_line.encode()
        self._print_line = partial(console.line, program.name)
        self._unfinished = b""
        self._popen = subprocess.Popen(  # noqa: S603  (programs of ours, by lists of words)
            [*mourner, *program.command],
            env=program.env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=(*program.fds, *(() if lifeline is None else (lifeline,))),
            # Unsafe beside other threads only, and there are none.
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

    def ask_to_end(self) -> None:
        self._popen.terminate()

    def kill(self) -> None:
        """Kill the process and all of its group."""
        with contextlib.suppress(ProcessLookupError, PermissionError):  # PermissionError: zombies, on macOS
            os.killpg(self._popen.pid, signal.SIGKILL)

    def end(self) -> int:
        """Kill what is left of the group, show the last of what it printed, and return the exit code."""
        self.kill()
        returncode = self._popen.wait()
        while self.show():
            pass
        if self._unfinished:
            self._print_line(self._unfinished)
        self._stdout.close()
        return returncode

    def show(self) -> bool:
        """Print the lines that have arrived; False when nothing had."""
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
    """A program under supervision; without a process while it waits to be started again.

    One that is `on_trial` is to replace another, one that is `retiring` is replaced: neither is started again.
    """

    program: Program
    process: _Process | None
    early_deaths: int = 0
    asked_to_end: bool = False
    on_trial: bool = False
    retiring: bool = False
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class Supervisor:
    """`start` programs, `run` until a signal or `stop` asks for the end; `kill` in a `finally`, for all else.

    A program that ends is started again: at once, or after 1, 2, 4 ... 10 s when it keeps ending early. When
    the supervisor dies, of whatever cause, so do they: the Linux kernel sees to that; elsewhere each is
    `mourned`, by a shell in its process group.
    """

    def __init__(self, name: str = "up", *, mourned: bool = sys.platform != "linux") -> None:
        self._name = name
        self._console = Console()
        self._children: list[_Child] = []
        self._stopping_since: float | None = None
        self._all_ended = asyncio.Event()
        self._renewal: asyncio.Task[None] | None = None
        # The writing end stays open, and in this process alone, until this process is gone.
        self._lifeline = os.pipe()[0] if mourned else None

    def say(self, text: str) -> None:
        """Print a line of the supervisor's own."""
        self._console.line(self._name, text.encode())

    def start(self, program: Program) -> None:
        """Start the program now. From `run` on, its output is shown and its end noticed."""
        self._children.append(_Child(program, _Process(program, self._console, self._lifeline)))

    def run(self, *alongside: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Return when all has ended, after SIGINT, SIGTERM, SIGHUP or `stop`; a second SIGINT kills.

        `alongside` runs in the same loop until then.
        """
        asyncio.run(self._run(alongside))

    def stop(self) -> None:
        """Ask every process to end, and kill what has not after its grace, which is at least GRACE seconds."""
        if self._stopping_since is None:
            self._stopping_since = time.monotonic()
            self.say("stopping")
            grace = max(GRACE, *(child.program.grace for child in self._children))
            asyncio.get_running_loop().call_later(grace, self._kill_all)
            self._ask_to_end()

    def restart(self, name: str) -> None:
        """Ask the program's process to end, and kill it where it has not after its grace. It is started again then."""
        for child in self._children:
            if child.program.name == name and child.process and not self._stopping_since:
                child.process.ask_to_end()
                grace = max(GRACE, child.program.grace)
                asyncio.get_running_loop().call_later(grace, self._kill_what_is_left, child, child.process)

    def renew(self) -> None:
        """Replace the processes of programs with a `ready_line` one by one: the new one serves before the old one ends.

        A new one that ends, or is not ready within LONGEST_START, is given up, and the old ones stay.
        """
        if self._renewal is None or self._renewal.done():
            self._renewal = asyncio.get_running_loop().create_task(self._renew_all())

    def kill(self) -> None:
        """Kill what still runs and show what it had to say. Needs no loop."""
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
        signs = [asyncio.create_task(sign.wait()) for sign in (process.ready, new.ended)]
        await asyncio.wait(signs, timeout=LONGEST_START, return_when=asyncio.FIRST_COMPLETED)
        for sign in signs:
            sign.cancel()
        if new.ended.is_set() or not process.ready.is_set():
            self.say(f"the new {program.name} does not serve: the old one stays")
            process.kill()
            return False
        new.on_trial, old.retiring = False, True
        if old.process is not None:
            old.process.ask_to_end()
            asyncio.get_running_loop().call_later(max(GRACE, program.grace), self._kill, old)
            await old.ended.wait()
        else:
            self._children.remove(old)
        return True

    def _interrupt(self) -> None:
        # Two at once are one key press: some parents pass the signal on that the terminal gave to all.
        if self._stopping_since and time.monotonic() - self._stopping_since > 0.3:
            self._kill_all()
        self.stop()

    def _show(self, process: _Process) -> None:
        if not process.show():  # it closed its output, and may live on
            asyncio.get_running_loop().remove_reader(process.output)

    def _reap(self) -> None:
        for child in tuple(self._children):
            if child.process and child.process.has_ended():
                self._replace(child, child.process)
        if self._stopping_since:
            self._ask_to_end()

    def _replace(self, child: _Child, process: _Process) -> None:
        asyncio.get_running_loop().remove_reader(process.output)
        how = _how_it_ended(process.end())
        child.process = None
        if child.on_trial or child.retiring:
            self._children.remove(child)
            child.ended.set()
        elif not self._stopping_since:
            self._start_later(child, how, early=time.monotonic() - process.started < STEADY)

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
        except OSError as error:  # no memory for another process, say
            self._start_later(child, f"cannot be started: {error}", early=True)
        else:
            asyncio.get_running_loop().add_reader(child.process.output, self._show, child.process)

    def _ask_to_end(self) -> None:
        """Send SIGTERM to those whose turn it is; when none is left, let `run` return."""
        running = [child for child in self._children if child.process]
        for child in [child for child in running if not child.program.ends_last] or running:
            if child.process and not child.asked_to_end:
                child.asked_to_end = True
                child.process.ask_to_end()
        if not running:
            self._all_ended.set()

    def _kill_what_is_left(self, child: _Child, process: _Process) -> None:
        if child.process is process:
            process.kill()

    def _kill_all(self) -> None:
        for child in self._children:
            self._kill(child)

    def _kill(self, child: _Child) -> None:
        if child.process:
            child.process.kill()


def _die_with(parent: int) -> None:
    """In a new process, before it becomes the program: be killed when `parent` ends or has ended (Linux)."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def _how_it_ended(returncode: int) -> str:
    if returncode >= 0:
        return f"exit code {returncode}"
    with contextlib.suppress(ValueError):
        return f"killed by {signal.Signals(-returncode).name}"
    return f"killed by signal {-returncode}"
