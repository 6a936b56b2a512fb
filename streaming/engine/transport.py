"""TCP for this project's server: Twisted's own classes, which write at once and notice clients that do not read."""

import asyncio
import logging
import random
import socket
import struct
import sys
import time
from collections import deque
from typing import Any, Protocol

from twisted.internet import tcp

from infra import addresses
from streaming.engine.reasons import CloseReason, RejectReason
from streaming.engine.sinks import Sink

logger = logging.getLogger(__name__)

# New connections that are accepted, and whose first request is read, in one turn of the event loop: a few milliseconds.
# After an outage thousands come at once, and prices for those that are back must not wait for all of them.
_MOST_A_TURN = 16
# Seconds without accepting, after a connection could not be accepted.
_PAUSE = 0.5
# How often a stalled connection is checked until its timeout.
_CHECKS = 10
# Of Linux's tcp_info: bytes that the peer's machine has acknowledged, and bytes that ours has not sent yet.
_TCP_INFO = struct.Struct("=120xQ16xI")


class Upgraded(Protocol):
    """A WebSocket connection, as its transport calls it."""

    heard_at: float  # when something last came, seconds of the monotonic clock
    sink: Sink

    def blocked(self) -> None:
        """The kernel takes no more bytes for now."""

    def drained(self) -> None:
        """All written bytes have left."""

    def ping(self) -> None:
        """Request a sign of life."""


class AcceptThrottle:
    """Limits new connections to `most` in a turn of the event loop, in the order of their arrival."""

    def __init__(self, most: int = _MOST_A_TURN) -> None:
        self._most = self._left = most
        self._waiting: deque[PriceTransport] = deque()
        self._is_turning = False

    def admits(self, transport: "PriceTransport") -> bool:
        """Return True if the connection may be read from now; else it is paused until its turn."""
        if not self._is_turning:
            self._is_turning = True
            asyncio.get_running_loop().call_soon(self._turn)
        if self._left:
            self._left -= 1
            return True
        transport.stopReading()
        self._waiting.append(transport)
        return False

    def _turn(self) -> None:
        self._left = self._most
        while self._left and self._waiting:
            transport = self._waiting.popleft()
            if transport.connected:
                self._left -= 1
                transport.is_admitted = True
                transport.startReading()
        self._is_turning = self._left < self._most
        if self._is_turning:
            asyncio.get_running_loop().call_soon(self._turn)


class PriceTransport(tcp.Server):
    """A TCP connection that gives its data to the kernel at once, and keeps only what the kernel does not take.

    Twisted's own `write` waits for the reactor to find the socket writable: three system calls instead of one.
    """

    # When the client last took some of the bytes that wait here; None while none wait.
    stalled_since: float | None = None
    # How much it had taken by the last check, and when that was.
    _taken = 0
    _checked_at = 0.0
    upgraded: Upgraded | None = None  # the WebSocket connection that this became
    is_admitted = False
    # Since when the server waits for a complete request; None while one is being answered.
    waiting_since: float | None = None
    may_stay = True  # False on a descriptor of the reserve: see descriptors.py

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.waiting_since = now = time.monotonic()
        server = self.server.factory.server
        self.may_stay = server.reserve.admits(self, self.socket.fileno())
        # Spread the pings of clients that came all at once.
        server.timers.set(self, now + server.idle_timeout * random.uniform(0.2, 0.5))  # noqa: S311  (no secret)

    @property
    def peer(self) -> str:
        """The address and the port of the other side, for the log."""
        return addresses.authority(*self.client[:2])

    def write(self, data: bytes) -> None:
        if self.stalled_since is not None or not self.connected:
            super().write(data)
            return
        try:
            sent = self.socket.send(data)
        except OSError:
            sent = 0  # the kernel takes no more now; the reactor finds out whether it ever does
        if sent < len(data):
            self.keep(data[sent:])

    def keep(self, data: bytes) -> None:
        """Keep data that the kernel did not take, until it does."""
        self.stalled_since = self._checked_at = time.monotonic()
        self._taken, _ = self._delivery()
        # From now on it is checked more often.
        server = self.server.factory.server
        server.timers.set(self, self.stalled_since + server.idle_timeout / _CHECKS)
        if self.upgraded:
            self.upgraded.blocked()
        super().write(data)

    def doRead(self) -> Any:
        if not self.is_admitted:
            self.is_admitted = self.server.factory.server.accept_throttle.admits(self)
            if not self.is_admitted:
                return None
        return super().doRead()

    def writeSequence(self, iovec: Any) -> None:
        self.write(b"".join(iovec))

    def stopWriting(self) -> None:
        """Note that all has left: Twisted calls this when its buffer is empty, and at the connection's end."""
        super().stopWriting()
        if self.stalled_since is not None:
            self.stalled_since = None
            if self.connected and self.upgraded:
                self.upgraded.drained()

    def check(self, now: float) -> None:
        """End the connection if its timeout is over; else ping if need be, and set the time of the next check."""
        server = self.server.factory.server
        timeout = server.idle_timeout
        taken, unsent = self._delivery()
        progress = taken != self._taken
        if self.stalled_since is not None:
            # A stalled client is not read from, so its silence is no reason to drop it yet.
            if progress:
                self.stalled_since = self._checked_at  # or at any time since
            if now >= self.stalled_since + timeout:
                self.give_up(CloseReason.STALLED)
                return
            again = min(self.stalled_since + timeout, now + timeout / _CHECKS)
        elif self.upgraded:
            if unsent and progress:
                self.upgraded.heard_at = now  # a ping would still be here, behind data that it takes slowly
            silent = now - self.upgraded.heard_at
            if silent >= timeout:
                self.give_up(CloseReason.SILENT)
                return
            if silent >= timeout / 2:
                self.upgraded.ping()
            again = self.upgraded.heard_at + (timeout if silent >= timeout / 2 else timeout / 2)
        else:
            again = (self.waiting_since or now) + timeout
            if now >= again:
                self.give_up("without a complete request")
                return
        self._taken, self._checked_at = taken, now
        server.timers.set(self, again)

    def _delivery(self) -> tuple[int, int]:
        """The bytes that the client's machine has acknowledged, and those that our kernel has not sent yet.

        Zeros if the kernel does not know: then a client has to take all that waits for it within the timeout.
        """
        if sys.platform != "linux":
            return 0, 0
        taken, unsent = _TCP_INFO.unpack(self.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO.size))
        return taken, unsent

    def give_up(self, reason: str) -> None:
        """Abort the connection: a close frame would not be read."""
        # A browser that keeps an idle connection is not worth a line.
        level = logging.INFO if self.upgraded else logging.DEBUG
        logger.log(level, "dropping the connection of %s: %s for too long", self.client[0], reason)
        if self.upgraded:
            self.upgraded.sink.dropped = reason
        self.abortConnection()

    @property
    def is_being_answered(self) -> bool:
        return not self.upgraded and self.waiting_since is None

    def drop(self) -> None:
        """Abort a connection on the reserve, to make room for the next."""
        if not self.upgraded and not self.is_being_answered:
            self.server.factory.server.refused(RejectReason.DESCRIPTORS)
        self.abortConnection()

    def connectionLost(self, reason: Any) -> None:
        server = self.server.factory.server
        server.timers.discard(self)
        if not self.may_stay:
            server.reserve.release(self)
        super().connectionLost(reason)
        self.upgraded = None


class PricePort(tcp.Port):
    """The listening port, which makes `PriceTransport`s.

    Twisted's own silently closes each new connection when no descriptor is left.
    """

    def doRead(self) -> None:
        for _ in range(_MOST_A_TURN):
            try:
                connection, address = self.socket.accept()
            except BlockingIOError:
                return
            except (ConnectionAbortedError, PermissionError):
                continue  # it has gone, or a firewall rejects it
            except OSError as error:
                self.factory.server.reserve.cannot_accept(error)
                # Waiting connections would call this again and again.
                self.stopReading()
                self.reactor.callLater(_PAUSE, self._go_on)
                return
            try:
                protocol = self.factory.buildProtocol(self._buildAddr(address))
                protocol.makeConnection(PriceTransport(connection, protocol, address, self, 0, self.reactor))
            except Exception:
                # The outermost boundary: from here, Twisted would close the port.
                logger.exception("a defect of ours in taking a connection")
                connection.close()

    def _go_on(self) -> None:
        if self.connected and not self.disconnecting:
            self.startReading()
