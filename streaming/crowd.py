"""What a process does that has hardly any file descriptor left: it keeps some back, and says so.

The kernel gives each new descriptor the lowest free number. So a connection with a number near the limit tells that all
below are in use, whatever for. It is taken on a descriptor that was kept back: the application is told by an extension
in its scope, and answers only whoever asks how the process is; all others are to come again. So it ends soon.
"""

import logging
import resource
import sys
from typing import Final, Protocol

logger = logging.getLogger(__name__)

# The name of the ASGI extension: a scope that has it is of a connection that is not to be kept.
CROWDED: Final = "swarna.crowded"

# Half of them for such connections, half for the process's own work: the database, Redis, files that it reads. Where it
# may open few, a quarter of all.
_KEPT_BACK = 64


class Extra(Protocol):
    """A connection on a descriptor that was kept back."""

    @property
    def is_in_hand(self) -> bool:
        """Whether it is being answered."""

    def drop(self) -> None:
        """End it at once."""


class Crowd:
    """Says which connections are not to be kept, drops those that do not go, and logs a shortage once."""

    def __init__(self, files: int | None = None) -> None:
        if files is None:
            files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.files = sys.maxsize if files == resource.RLIM_INFINITY else files
        self._kept = min(_KEPT_BACK, self.files // 4)
        # An ordered set of the connections that are on descriptors kept back, oldest first.
        self._extras: dict[Extra, None] = {}
        self._is_short = self._cannot_accept = False

    def takes(self, connection: Extra, descriptor: int) -> bool:
        """Whether a new connection may stay. If not, `left` has to be called at its end."""
        self._cannot_accept = False
        if descriptor < self.files - self._kept:
            if self._is_short and descriptor < self.files - 2 * self._kept:
                self._is_short = False
                logger.warning("there are file descriptors for new connections again")
            return True
        if not self._is_short:
            self._is_short = True
            logger.error(
                "no file descriptor for another connection: this process may open %d files, and keeps %d back for its "
                "own work and for health. Until others end, new connections are told to come again. Raise its limit "
                "(ulimit -n, LimitNOFILE of systemd, ulimits of Docker), or let more processes serve",
                self.files,
                self._kept,
            )
        if len(self._extras) >= self._kept // 2:
            # Who says nothing, or does not go, before who is being answered.
            oldest = next((each for each in self._extras if not each.is_in_hand), next(iter(self._extras)))
            del self._extras[oldest]
            oldest.drop()
        self._extras[connection] = None
        return False

    def left(self, connection: Extra) -> None:
        """A connection that could not stay has ended. Harmless for one that was dropped."""
        self._extras.pop(connection, None)

    def cannot_accept(self, error: OSError) -> None:
        """What was kept back is used up too, or the whole machine's: connections wait in the kernel."""
        if not self._cannot_accept:
            self._cannot_accept = True
            logger.error("new connections cannot be accepted, and wait: %s", error)
