"""A reserve of file descriptors, for health checks and for the process's own work; the log says when only that is left.

The kernel gives each new descriptor the lowest free number. So a connection with a number near the limit shows that all
below are in use, for anything. It has a descriptor of the reserve, and must end soon: an extension in its scope says so
to the application, which answers a health check, and anything else with "come again".
"""

import logging
import resource
import sys
from typing import Final, Protocol

logger = logging.getLogger(__name__)

# The name of the ASGI extension in the scope of a connection on the reserve.
OUT_OF_DESCRIPTORS: Final = "swarna.out_of_descriptors"

# Half of them for such connections, half for the process's own work: the database, Redis, files. A process that may
# open few files keeps a quarter of them.
_KEPT_BACK: Final = 64


class Temporary(Protocol):
    """A connection on a descriptor of the reserve."""

    @property
    def is_being_answered(self) -> bool:
        """True while a request on it is being answered."""

    def drop(self) -> None:
        """Close it at once."""


class DescriptorReserve:
    """Decides which connections may stay, drops the oldest temporary one to make room, and logs a shortage once."""

    def __init__(self, files: int | None = None) -> None:
        if files is None:
            files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._files = sys.maxsize if files == resource.RLIM_INFINITY else files
        self._kept = min(_KEPT_BACK, self._files // 4)
        # An ordered set, oldest first.
        self._temporary: dict[Temporary, None] = {}
        self._short_at: int | None = None  # the number of connections when the shortage began; None outside of one
        self._cannot_accept = False

    def admits(self, connection: Temporary, descriptor: int, others: int) -> bool:
        """Return True if a new connection may stay beside so many others. If not, call `release` when it ends."""
        self._cannot_accept = False
        if self.is_spare(descriptor):
            # One free descriptor is no end of it: that of a database connection comes and goes.
            if self._short_at is not None and others < self._short_at - self._kept:
                self._short_at = None
                logger.warning("there are file descriptors for new connections again")
            return True
        if self._short_at is None:
            self._short_at = others
            logger.error(
                "no file descriptor for another connection: this process may open %d files, and keeps %d back for its "
                "own work and for health. Until others end, new connections are refused. Raise its limit "
                "(ulimit -n, LimitNOFILE of systemd, ulimits of Docker), or let more processes serve",
                self._files,
                self._kept,
            )
        if len(self._temporary) >= self._kept // 2:
            # A silent one, or one that does not end, before one that is being answered.
            oldest = next((each for each in self._temporary if not each.is_being_answered), next(iter(self._temporary)))
            del self._temporary[oldest]
            oldest.drop()
        self._temporary[connection] = None
        return False

    def is_spare(self, descriptor: int) -> bool:
        """Return True if a new descriptor is none of the reserve."""
        return descriptor < self._files - self._kept

    def leaves_room(self, connections: int) -> bool:
        """Return True if a process with so many connections can take another that may stay."""
        return connections < self._files - 2 * self._kept

    def release(self, connection: Temporary) -> None:
        """Forget a temporary connection that has ended. Harmless for one that was dropped."""
        self._temporary.pop(connection, None)

    def cannot_accept(self, error: OSError) -> None:
        """Log once that the reserve is used up too, or all files of the machine: connections wait in the kernel."""
        if not self._cannot_accept:
            self._cannot_accept = True
            logger.error("new connections cannot be accepted, and wait: %s", error)
