"""Many sockets on one event loop: a nested set of the kernel's, or the loop's own readers and writers.

A loop keeps some hundred bytes for each socket that it watches, and calls back for each event by itself. So on Linux
sockets are in an epoll set of ours, which the loop watches as if it were one socket.
"""

import asyncio
import logging
import select
import time
from typing import Final, Protocol

logger = logging.getLogger(__name__)

READ: Final = 1
WRITE: Final = 2
# Seconds after which the sockets that are left wait for the loop's next turn, in a set of the kernel's: clients that
# flood the process with tiny frames make each take long, and others' prices must not wait for all of them.
LONGEST_TURN: Final = 0.01


class Watched(Protocol):
    """The owner of a socket, called when the socket is ready."""

    def read_ready(self) -> None:
        """There is something to read, or the connection is over."""

    def write_ready(self) -> None:
        """The kernel takes bytes again."""

    def fail(self) -> None:
        """End the connection: it has met a defect of ours."""


class Polling(Protocol):
    """Sockets that are watched, at most `most` of which are served in one turn of the loop."""

    def watch(self, descriptor: int, owner: Watched, interest: int) -> None:
        """Watch a socket for READ and WRITE, or for neither (0), in place of what it was watched for."""


def polling(loop: asyncio.AbstractEventLoop, most: int, *, nested: bool = hasattr(select, "epoll")) -> Polling:
    """A set of sockets on this loop."""
    return _Nested(loop, most) if nested else _Flat(loop, most)


class _Nested:
    def __init__(self, loop: asyncio.AbstractEventLoop, most: int) -> None:
        self._loop = loop
        self._most = most
        self._set = select.epoll()
        self._owners: dict[int, Watched] = {}
        self._left: list[tuple[int, int]] = []  # ready sockets and their events, which the last turn had no time for
        loop.add_reader(self._set.fileno(), self._serve)

    def watch(self, descriptor: int, owner: Watched, interest: int) -> None:
        events = (select.EPOLLIN if interest & READ else 0) | (select.EPOLLOUT if interest & WRITE else 0)
        if not events:
            # Not only its events: the kernel would report a connection that is over again and again.
            if self._owners.pop(descriptor, None) is not None:
                self._set.unregister(descriptor)
        elif descriptor in self._owners:
            self._owners[descriptor] = owner
            self._set.modify(descriptor, events)
        else:
            self._set.register(descriptor, events)  # or the kernel's limit is reached, and it is not watched
            self._owners[descriptor] = owner

    def _serve(self) -> None:
        owners, ends_at = self._owners, time.monotonic() + LONGEST_TURN
        owner: Watched | None
        # Those that are left come first: the kernel would report the others again before them.
        ready, self._left = self._left or self._set.poll(0, self._most), []
        for place, (descriptor, events) in enumerate(ready):
            if place and time.monotonic() > ends_at:
                self._left = ready[place:]
                break
            try:
                if events & ~select.EPOLLOUT and (owner := owners.get(descriptor)):
                    owner.read_ready()
                if events & select.EPOLLOUT and (owner := owners.get(descriptor)):
                    owner.write_ready()
            except Exception:
                _failed(owner)


class _Flat:
    def __init__(self, loop: asyncio.AbstractEventLoop, most: int) -> None:
        self._loop = loop
        self._most = self._left = most

    def watch(self, descriptor: int, owner: Watched, interest: int) -> None:
        if interest & READ:
            self._loop.add_reader(descriptor, self._serve, owner, READ)
        else:
            self._loop.remove_reader(descriptor)
        if interest & WRITE:
            self._loop.add_writer(descriptor, self._serve, owner, WRITE)
        else:
            self._loop.remove_writer(descriptor)

    def _serve(self, owner: Watched, ready: int) -> None:
        if self._left == self._most:
            self._loop.call_soon(self._turn)
        if not self._left:
            return  # the loop calls again
        self._left -= 1
        try:
            if ready == READ:
                owner.read_ready()
            else:
                owner.write_ready()
        except Exception:
            _failed(owner)

    def _turn(self) -> None:
        self._left = self._most


def _failed(owner: Watched | None) -> None:
    """Log the exception, and end its connection: others must not suffer from it."""
    logger.exception("a defect of ours in serving a connection")
    if owner is not None:
        owner.fail()
