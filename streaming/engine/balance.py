"""The choice of the process that takes the next connection, of several behind one listening socket.

Each shows the others its load and a sign of life, in a few bytes of memory that all share, and takes a connection only
while it is among the emptiest. Until then the connection stays in the kernel's queue, where a process that gets stuck
or dies cannot take it along, as it would a connection that had been handed to it.
"""

import fcntl
import logging
import mmap
import os
import struct
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

logger = logging.getLogger(__name__)

# By how much a process may be ahead of the emptiest: this share of the emptiest one's load, or this number. With less,
# processes wait for each other in a storm; with more, a hundred connections each would be uneven.
_SHARE: Final = 0.05
_LEAST: Final = 8
# Seconds to wait for a process that should take a connection, and shows no sign of life: a broadcast to thousands of
# clients may take as long.
TIMEOUT: Final = 0.1

# Old and new processes of a rolling replacement, of two versions perhaps, read each other's: this stays as it is.
_PLACE: Final = struct.Struct("ddd")


class Place(NamedTuple):
    """A process's load and sign of life, shown to others. A free place, all zeros, reads as a full process."""

    load: float  # connections that are being served
    most: float  # the load at which it is full; 0 while it takes no connection
    seen_at: float  # its last sign of life: seconds of the monotonic clock, which is one for the whole machine

    @property
    def is_full(self) -> bool:
        return self.load >= self.most

    def should_leave_it_to(self, other: "Place") -> bool:
        """Return True if the other process, if it lives, should rather take the next connection."""
        if other.is_full:
            return False
        return self.is_full or self.load > other.load + max(_LEAST, _SHARE * other.load)


class Turns:
    """Decides, for one process, whether it is its turn. Sans-I/O.

    It waits for others that should rather take a connection, but not for one that showed no sign of life for as long
    as TIMEOUT: that one is ignored until it shows one. So a connection waits for it twice as long at most (it may have
    got stuck right after a sign of life), and later ones not at all.
    """

    def __init__(self) -> None:
        self._waiting_since: float | None = None
        self._alive_since = 0.0  # others without a sign of life since then are ignored

    def is_ours(self, own: Place, others: Iterable[Place], now: float) -> bool:
        """Return True if this process should take the connection that is waiting."""
        if self._waiting_since is not None and now >= self._waiting_since + TIMEOUT:
            self._alive_since, self._waiting_since = self._waiting_since, now
        if any(own.should_leave_it_to(other) and other.seen_at >= self._alive_since for other in others):
            if self._waiting_since is None:
                self._waiting_since = now
            return False
        self._waiting_since = None
        return True

    def nobody_waits(self) -> None:
        """Take note that another process has taken the connection."""
        self._waiting_since = None


class Balance:
    """The place of this process in the memory that all share, and its view of the others'."""

    def __init__(self, descriptor: int, number: int, most: int) -> None:
        # Closing any other descriptor of the file would give up the place.
        self._memory = mmap.mmap(descriptor, 0)
        self._number = number
        self._most = most
        self._turns = Turns()
        self.nobody_waits = self._turns.nobody_waits

    def show(self, load: int, *, has_room: bool) -> None:
        """Show the others that this process lives, its load, and whether it has room for more at all."""
        own = load, self._most if has_room else 0, time.monotonic()
        _PLACE.pack_into(self._memory, self._number * _PLACE.size, *own)

    def is_our_turn(self) -> bool:
        """Return True if this process should take the connection that is waiting, by what all have shown."""
        shown = places(self._memory)
        return self._turns.is_ours(shown[self._number], shown, time.monotonic())


def shared_memory(processes: int) -> int:
    """A descriptor of memory for so many processes to inherit, with a second place for each one's replacement."""
    descriptor, path = tempfile.mkstemp()
    Path(path).unlink()
    os.write(descriptor, bytes(2 * processes * _PLACE.size))
    return descriptor


def places(memory: bytes | mmap.mmap) -> list[Place]:
    """The places of all processes."""
    return [Place._make(place) for place in _PLACE.iter_unpack(memory)]


def join(descriptor: int, most: int) -> Balance | None:
    """Take a place, which the kernel frees when this process ends; `most` is the load at which the process is full.

    None, which is logged, if no place is free: then the process takes connections without regard to others.
    """
    for number in range(os.fstat(descriptor).st_size // _PLACE.size):
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, _PLACE.size, number * _PLACE.size)
        except OSError:
            continue  # another process has it
        return Balance(descriptor, number, most)
    logger.warning("connections are not spread evenly: there are more processes behind this socket than were started")
    return None
