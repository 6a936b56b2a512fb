"""Cohorts: clients that want the same and have seen the same.

One update is built for a cohort, and one loop hands its bytes to each member's socket: nothing else is touched for each
client. A member that is slow, is answered, or changes what it wants steps out; it is written to by itself until it is
in step again (connection.py).
"""

from collections.abc import Callable, Iterator
from itertools import chain
from time import monotonic
from typing import Any, Generic, Protocol, TypeVar

from prices.domain.positions import Position
from streaming.engine.frames import Encoding, Frame
from streaming.metrics import Traffic
from streaming.publication_log import PublicationLog


class Member(Protocol):
    """A client, which may be in step."""

    def step_in(self, cohorts: "Cohorts[Any]") -> bool:
        """Become a member of its cohort, if it is in step."""

    def fall_behind(self, data: bytes, sent: int) -> None:
        """Step out: the client's socket took only the first `sent` bytes of the data."""


M = TypeVar("M", bound=Member)


class Cohort(Generic[M]):
    """Members who all have seen everything up to `since`, and `status`; nothing waits for them."""

    def __init__(
        self, metals: frozenset[str], candles: frozenset[str], encoding: Encoding, apart: dict[M, None]
    ) -> None:
        self.apart = apart  # for members that step out
        self._metals = metals
        self._candles = candles
        self._encoding = encoding
        # Each with its socket's `send`. In the order of their arrival they also lie in memory, which makes it quicker.
        self.members: dict[M, Callable[[bytes], int]] = {}
        self.since: int | None = None
        self.status: Frame | None = None
        self.renew = False  # True if it needs the state even without a new quote
        # The number of times that it was sent to, and the last time by the monotonic clock; the number of the one that
        # had the newest update, and that one's position.
        self.sendings = 0
        self.sent_at = 0.0
        self.newest_update = 0
        self.sent_position: Position | None = None

    def wants(self, metals: frozenset[str]) -> bool:
        """Return True if it wants one of these metals."""
        return not self._metals.isdisjoint(metals)

    def push(self, log: PublicationLog, traffic: Traffic) -> None:
        """Send all that is new since the last time to each member."""
        messages = 0
        data = b""
        if update := log.update(self._metals, self.since, self._candles, renew=self.renew):
            data = self._encoding.of(update.frame)
            messages = 1
            self.newest_update = self.sendings + 1
            self.sent_position = update.position
        if log.status is not None and log.status is not self.status:
            data += self._encoding.of(log.status)
            messages += 1
        self.since, self.status, self.renew = log.seq, log.status, False
        if messages:
            self.sendings += 1
            self.sent_at = monotonic()
            traffic.messages += messages * len(self.members)
            traffic.bytes += len(data) * len(self.members)
            self._send(data)

    def _send(self, data: bytes) -> None:
        size = len(data)
        behind = []
        for member, send in self.members.items():
            try:
                sent = send(data)
            except OSError:
                sent = 0  # the kernel takes no more now, or the client has gone
            if sent != size:
                behind.append((member, sent))
        for member, sent in behind:
            member.fall_behind(data, sent)


class Cohorts(Generic[M]):
    """All clients of a process: the members of cohorts, and those `apart`, which are not in step."""

    def __init__(self, log: PublicationLog, traffic: Traffic) -> None:
        self._log = log
        self._traffic = traffic
        self._cohorts: dict[tuple[frozenset[str], frozenset[str], Encoding], Cohort[M]] = {}
        self.apart: dict[M, None] = {}
        # The `seq` that all members have seen: all up to the last `push`.
        self.since: int | None = None
        self.status: Frame | None = None

    def __len__(self) -> int:
        return len(self.apart) + sum(len(cohort.members) for cohort in self._cohorts.values())

    def __iter__(self) -> Iterator[M]:
        return chain(tuple(self.apart), *(tuple(cohort.members) for cohort in self._cohorts.values()))

    def cohort(self, metals: frozenset[str], candles: frozenset[str], encoding: Encoding) -> Cohort[M]:
        """The cohort of clients with these wishes."""
        key = (metals, candles, encoding)
        cohort = self._cohorts.get(key)
        if cohort is None:
            cohort = self._cohorts[key] = Cohort(*key, self.apart)
            cohort.since, cohort.status = self.since, self.status
        return cohort

    def gather(self) -> list[M]:
        """Have the clients apart step in, and return those that do not."""
        still_apart = []
        for client in tuple(self.apart):
            if client.step_in(self):
                del self.apart[client]
            else:
                still_apart.append(client)
        return still_apart

    def push(self) -> None:
        """Send all that is new since the last time to the members of all cohorts."""
        for key, cohort in tuple(self._cohorts.items()):
            if cohort.members:
                cohort.push(self._log, self._traffic)
            else:
                del self._cohorts[key]
        self.since, self.status = self._log.seq, self._log.status

    def renew(self, metals: frozenset[str]) -> None:
        """Have the next `push` send the state to members that want one of these metals, even without a new quote."""
        for cohort in self._cohorts.values():
            if cohort.wants(metals):
                cohort.renew = True
