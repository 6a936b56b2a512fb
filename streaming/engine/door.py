"""The door: it accepts connections, and finds out by the first request of each what it is to become.

A WebSocket handshake becomes a WebSocket. Anything else goes to HTTP, with the bytes that were read.
"""

import logging
import select
import socket
import time

from streaming.engine.asgi import Runs
from streaming.engine.balance import Balance
from streaming.engine.handshake import Head, RefusedError, may_be_handshake, parse_handshake, parse_head
from streaming.engine.http import HttpConnection, HttpServer
from streaming.engine.polling import Polling
from streaming.engine.tcp import MOST_A_TURN, Sockets, TcpConnection
from streaming.engine.websocket import WebSocket

logger = logging.getLogger(__name__)

# Connections that are accepted in one turn of the event loop: far more than are read, as a burst that overflows the
# kernel's queue has to try again after one second, and after three.
_MOST_ACCEPTED = 8 * MOST_A_TURN
# Seconds without accepting, after a connection could not be accepted.
_PAUSE = 0.5
# Seconds for which a connection is left to a process that should rather take it, before another look.
_ASIDE = 0.002


class Door:
    """The listening socket of a process. It is shut until `open`, and connections wait in the socket's queue.

    With a `balance`, other processes accept from the socket too, and share in connections evenly.
    """

    def __init__(self, listener: socket.socket, sockets: Sockets, runs: Runs, balance: Balance | None = None) -> None:
        self._listener = listener
        self._balance = balance
        self._waiting = select.poll()
        self._waiting.register(listener, select.POLLIN)
        self._sockets = sockets
        self._runs = runs
        self._http = HttpServer(sockets, runs, self.upgrade)
        self._is_open = False
        listener.setblocking(False)
        # Accepted sockets inherit it: what is written is complete, and is to leave at once.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def open(self) -> None:
        self._is_open = True
        self._sockets.loop.add_reader(self._listener.fileno(), self._accept)
        self.show()

    def shut(self) -> None:
        self._is_open = False
        self._sockets.loop.remove_reader(self._listener.fileno())
        self.show()

    def show(self) -> None:
        """Show other processes that this one lives, and how much room it has."""
        if self._balance is not None:
            has_room = self._is_open and self._sockets.reserve.leaves_room(len(self._sockets.timers))
            self._balance.show(self._sockets.load, has_room=has_room)

    def _is_our_turn(self) -> bool:
        self.show()
        return self._balance is None or self._balance.is_our_turn()

    def _accept(self) -> None:
        for number in range(_MOST_ACCEPTED):
            if not self._is_our_turn():
                self._rest(_ASIDE)
                return
            try:
                accepted, address = self._listener.accept()
            except (BlockingIOError, InterruptedError):
                return
            except (ConnectionAbortedError, PermissionError):
                continue  # it has gone, or a firewall rejects it
            except OSError as error:
                self._sockets.reserve.cannot_accept(error)
                self._rest(_PAUSE)
                return
            accepted.setblocking(False)
            try:
                newcomer = Newcomer(self, self._sockets, accepted, address[:2])
                if number < MOST_A_TURN:
                    newcomer.read_ready()  # its request has come with it, in most cases
            except Exception:
                # The outermost boundary: the next one is to be accepted all the same.
                logger.exception("a defect of ours in taking a connection")
                self._sockets.end(accepted)

    def _rest(self, seconds: float) -> None:
        """Look away: connections that wait would call `_accept` again and again."""
        self._sockets.loop.remove_reader(self._listener.fileno())
        self._sockets.loop.call_later(seconds, self._go_on)

    def _go_on(self) -> None:
        if self._is_open:
            if self._balance is not None and not self._waiting.poll(0):
                self._balance.nobody_waits()
            self.open()

    def let_in(self, newcomer: "Newcomer", data: bytes) -> None:
        """Make a newcomer a WebSocket or an HTTP connection, once its bytes say which."""
        if may_be_handshake(data):
            try:
                head = parse_head(data)
            except RefusedError as error:
                newcomer.refuse_handshake(error)
                return
            if head is None:
                return
            if head.asks_for_websocket:
                self.upgrade(newcomer, head, data[head.length :])
                return
        HttpConnection(newcomer, self._http).received(data)

    def upgrade(self, before: TcpConnection, head: Head, early: bytes) -> None:
        """Let a connection become a WebSocket, or refuse it."""
        try:
            if self._sockets.draining:
                raise RefusedError(503, "This process is ending")
            handshake = parse_handshake(head)
        except RefusedError as error:
            before.refuse_handshake(error)
            return
        WebSocket(before, handshake, early, self._runs)


class Newcomer(TcpConnection):
    """A connection whose first request has yet to come."""

    __slots__ = ("_door", "_head")

    def __init__(self, door: Door, sockets: Sockets, connection: socket.socket, client: tuple[str, int]) -> None:
        super().__init__(sockets, connection, client)
        self._door = door
        self._head = b""
        self.waiting_since = time.monotonic()

    @property
    def polled_by(self) -> Polling:
        return self.sockets.newcomers

    def received(self, data: bytes) -> None:
        self._head += data
        self._door.let_in(self, self._head)
