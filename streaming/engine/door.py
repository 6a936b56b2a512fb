"""The door: it accepts connections, reads the head of each one's first request, and opens the right room.

A WebSocket handshake becomes a WebSocket. Anything else goes to HTTP, with the bytes that were read.
"""

import logging
import socket
import time

from streaming.engine import handshake
from streaming.engine.asgi import Runs
from streaming.engine.handshake import Head, RefusedError
from streaming.engine.http import HttpConnection, HttpSide
from streaming.engine.polling import Polling
from streaming.engine.reasons import RejectReason
from streaming.engine.transport import MOST_A_TURN, Sockets, Transport
from streaming.engine.websocket import WebSocket

logger = logging.getLogger(__name__)

# Seconds without accepting, after a connection could not be accepted.
_PAUSE = 0.5


class Door:
    """The listening socket of a process. It is shut until `open`, and connections wait in the socket's queue."""

    def __init__(self, listener: socket.socket, sockets: Sockets, runs: Runs) -> None:
        self._listener = listener
        self._sockets = sockets
        self._runs = runs
        self._http = HttpSide(sockets, runs, self.upgrade)
        self._is_open = False
        listener.setblocking(False)
        # Accepted sockets inherit it: what is written is complete, and is to leave at once.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def open(self) -> None:
        self._is_open = True
        self._sockets.loop.add_reader(self._listener.fileno(), self._accept)

    def shut(self) -> None:
        self._is_open = False
        self._sockets.loop.remove_reader(self._listener.fileno())

    def _accept(self) -> None:
        for _ in range(MOST_A_TURN):
            try:
                connection, address = self._listener.accept()
            except (BlockingIOError, InterruptedError):
                return
            except (ConnectionAbortedError, PermissionError):
                continue  # it has gone, or a firewall rejects it
            except OSError as error:
                self._sockets.reserve.cannot_accept(error)
                # Waiting connections would call this again and again.
                self._sockets.loop.remove_reader(self._listener.fileno())
                self._sockets.loop.call_later(_PAUSE, self._go_on)
                return
            connection.setblocking(False)
            try:
                Newcomer(self, self._sockets, connection, address[:2]).read_ready()
            except Exception:
                # The outermost boundary: the next one is to be accepted all the same.
                logger.exception("a defect of ours in taking a connection")
                connection.close()

    def _go_on(self) -> None:
        if self._is_open:
            self.open()

    def greet(self, newcomer: "Newcomer", data: bytes) -> None:
        """Open the right room for a connection, if its bytes so far tell which one that is."""
        if handshake.may_be_handshake(data):
            try:
                head = handshake.parse_head(data)
            except RefusedError as error:
                self.refuse(newcomer, error)
                return
            if head is None:
                return
            if head.asks_for_websocket:
                self.upgrade(newcomer, head, data[head.length :])
                return
        HttpConnection(newcomer, self._http).received(data)

    def upgrade(self, before: Transport, head: Head, early: bytes) -> None:
        """Let a connection become a WebSocket, or refuse it."""
        try:
            if self._sockets.draining:
                raise RefusedError(503, "This process is ending")
            accepted = handshake.accept(head)
        except RefusedError as error:
            self.refuse(before, error)
            return
        WebSocket(before, accepted, early, self._runs)

    def refuse(self, transport: Transport, error: RefusedError) -> None:
        """Answer a handshake with an error, and close."""
        self._sockets.refused(RejectReason.RESTART if self._sockets.draining else RejectReason.HANDSHAKE)
        logger.debug("WebSocket handshake of %s refused: %d %r", transport.peer, error.status, error.detail)
        transport.put(error.answer)
        transport.close()


class Newcomer(Transport):
    """A connection whose first request has yet to come."""

    __slots__ = ("_door", "_head", "_since")

    def __init__(self, door: Door, sockets: Sockets, connection: socket.socket, client: tuple[str, int]) -> None:
        super().__init__(sockets, connection, client)
        self._door = door
        self._head = b""
        self._since = time.monotonic()

    @property
    def polled_by(self) -> Polling:
        return self.sockets.newcomers

    def received(self, data: bytes) -> None:
        self._head += data
        self._door.greet(self, self._head)

    def check_silence(self, now: float, *, is_taking: bool) -> float | None:
        return self.waits_since(self._since, now)
