"""A reserve of file descriptors, for health and for the process's own work; the log says when only that is left.

The kernel gives each new descriptor the lowest free number. So a connection with a number near the limit shows that all
below are in use, whatever for. It is taken on a descriptor of the reserve, and has to end soon: by an extension in its
scope the application knows it, answers if it asks how the process is, and otherwise tells it to come again.
"""

import logging
import resource
import sys
from typing import Final, Protocol

logger = logging.getLogger(__name__)

# The name of the ASGI extension in the scope of a connection on the reserve.
OUT_OF_DESCRIPTORS: Final = "swarna.out_of_descriptors"

# Half of them for such connections, half for the process's own work: the database, Redis, files that it reads. A
# process that may open few files keeps a quarter of them.
_KEPT_BACK: Final = 64


class Temporary(Protocol):
    """A connection on a descriptor of the reserve."""

    @property
    def is_being_answered(self) -> bool:
        """Whether a request of it is being answered."""

    def drop(self) -> None:
        """End it at once."""


class DescriptorReserve:
    """Decides which connections may stay, drops the oldest of those that do not end, and logs a shortage once."""

    def __init__(self, files: int | None = None) -> None:
        if files is None:
            files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._files = sys.maxsize if files == resource.RLIM_INFINITY else files
        self._kept = min(_KEPT_BACK, self._files // 4)
        # An ordered set, oldest first.
        self._temporary: dict[Temporary, None] = {}
        self._is_short = self._cannot_accept = False

    def admits(self, connection: Temporary, descriptor: int) -> bool:
        """Whether a new connection may stay. If not, `release` has to be called when it ends."""
        self._cannot_accept = False
        if descriptor < self._files - self._kept:
            if self._is_short and descriptor < self._files - 2 * self._kept:
                self._is_short = False
                logger.warning("there are file descriptors for new connections again")
            return True
        if not self._is_short:
            self._is_short = True
            logger.error(
                "no file descriptor for another connection: this process may open %d files, and keeps %d back for its "
                "own work and for health. Until others end, new connections are told to come again. Raise its limit "
                "(ulimit -n, LimitNOFILE of systemd, ulimits of Docker), or let more processes serve",
                self._files,
                self._kept,
            )
        if len(self._temporary) >= self._kept // 2:
            # One that says nothing, or does not go, before one that is being answered.
            oldest = next((each for each in self._temporary if not each.is_being_answered), next(iter(self._temporary)))
            del self._temporary[oldest]
            oldest.drop()
        self._temporary[connection] = None
        return False

    def release(self, connection: Temporary) -> None:
        """Forget a connection on the reserve that has ended. Harmless for one that was dropped."""
        self._temporary.pop(connection, None)

    def cannot_accept(self, error: OSError) -> None:
        """Log once that the reserve, or the whole machine's, is used up too: connections wait in the kernel."""
        if not self._cannot_accept:
            self._cannot_accept = True
            logger.error("new connections cannot be accepted, and wait: %s", error)
