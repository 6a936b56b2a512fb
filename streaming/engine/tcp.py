"""A TCP connection of this process: writes, back-pressure, and the limits on silence and on stalling.

All that is written in one turn of the event loop leaves by one system call at its end. What the kernel does not take
stays here, and the connection is not writable until it does.
"""

import asyncio
import contextlib
import logging
import socket
import struct
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Final

from infra import addresses
from streaming.engine.descriptors import OUT_OF_DESCRIPTORS, DescriptorReserve
from streaming.engine.handshake import RefusedError
from streaming.engine.polling import READ, WRITE, Polling, polling
from streaming.engine.reasons import CloseReason, RejectReason
from streaming.engine.sinks import FRAMES, Listener
from streaming.engine.timers import TimerWheel

logger = logging.getLogger(__name__)

# New connections whose request is read in one turn of the event loop: a few milliseconds. After an outage thousands
# come at once, and prices for those that are back must not wait for all of them.
MOST_A_TURN: Final = 16
# Connections that are served in one turn otherwise.
_MOST_SERVED = 256
# To a stream's client the kernel takes no more bytes than this beyond those that it has sent: updates that the client
# has not read yet stay here, where the newest prices can still replace them. (Bytes under way to a distant client do
# not count.)
_MOST_UNSENT = 4096
# Checks of a stalled connection until its timeout.
_CHECKS = 10
# Of Linux's tcp_info: bytes that the peer's machine has acknowledged, and bytes that ours has not sent yet.
_TCP_INFO = struct.Struct("=120xQ16xI")
_RESET = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits on each connection and on the process.

    `max_body_bytes` is of an HTTP request. All times are in seconds: `timeout` is how long a client may be silent or
    stalled, a request incomplete, and a handshake unanswered; `drain`, how long the process may take to end;
    `standstill`, how long the event loop may stand still before the process is killed.
    """

    max_message_bytes: int
    max_body_bytes: int
    compression_threshold: int
    timeout: float
    drain: float
    standstill: float


class Sockets:
    """All that the connections of one process share; `refused` and `polling` are those of `serve`."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        limits: Limits,
        refused: Callable[[RejectReason], object],
        polling: Callable[[asyncio.AbstractEventLoop, int], Polling] = polling,
    ) -> None:
        self.loop = loop
        self.limits = limits
        self.refused = refused
        self.newcomers = polling(loop, MOST_A_TURN)
        self.served = polling(loop, _MOST_SERVED)
        self.reserve = DescriptorReserve()
        self.load = 0  # connections that are being served: all but those of HTTP between two requests
        self.draining = False
        self.timers: TimerWheel[TcpConnection] = TimerWheel(limits.timeout / 60)
        # A timeout is noticed up to two resolutions late: this one is, even so, within the limit.
        self.timeout = limits.timeout - 2 * self.timers.resolution
        self._written: list[TcpConnection] = []

    def flush_soon(self, connection: "TcpConnection") -> None:
        """Flush this connection at the end of the loop's turn."""
        if not self._written:
            self.loop.call_soon(self._flush)
        self._written.append(connection)

    def check(self) -> None:
        """End the connections whose timeout is over."""
        now = time.monotonic()
        self._each(self.timers.due(now), lambda connection: connection.check(now))

    def _flush(self) -> None:
        written, self._written = self._written, []
        self._each(written, TcpConnection.flush)

    def _each(self, connections: list["TcpConnection"], act: Callable[["TcpConnection"], None]) -> None:
        for connection in connections:
            try:
                act(connection)
            except Exception:
                logger.exception("a defect of ours in serving a connection")
                connection.abort()  # others must not suffer from it

    def end(self, socket: socket.socket) -> None:
        """End the connection on a socket, whichever object has it by now."""
        for connection in self.timers:
            if connection.socket is socket:
                connection.abort()
        socket.close()


class TcpConnection:
    """A TCP connection, as the event loop calls it. Its subclasses say what comes in and what becomes of it.

    One that changes its protocol gives its socket to another object, which is made of what it leaves.
    """

    __slots__ = (
        "_checked_at",
        "_drained",
        "_ending",
        "_interest",
        "_taken",
        "_unsent",
        "_weight",
        "client",
        "dropped",
        "is_closed",
        "is_paused",
        "listener",
        "may_stay",
        "socket",
        "sockets",
        "stalled_since",
        "waiting_since",
        "writable",
    )
    # Bytes that are read at a time. Clients of the stream say little, and room for more takes half as long as to read.
    most_read: ClassVar = 4096

    def __init__(
        self, sockets: Sockets, socket: socket.socket, client: tuple[str, int], unsent: bytes | bytearray = b""
    ) -> None:
        self.sockets = sockets
        self.socket = socket
        self.client = client
        # The code that writes to a stream's sink, and the reason for which a stream was ended (sinks.py).
        self.listener: Listener | None = None
        self.dropped = ""
        # Since when a complete request is waited for; None while one is being answered, and for a stream.
        self.waiting_since: float | None = None
        self.is_closed = False
        self.is_paused = False  # True while nothing is to be read
        self.writable = True  # False while bytes wait for the kernel to take them
        # False on a descriptor of the reserve: see descriptors.py.
        self.may_stay = sockets.reserve.admits(self, socket.fileno(), len(sockets.timers))
        self._unsent = unsent
        if unsent:
            sockets.flush_soon(self)
        # The way to shut the socket down once all has left: SHUT_RDWR, SHUT_WR, or None for not at all.
        self._ending: int | None = None
        self._drained: asyncio.Future[None] | None = None  # while somebody waits for it
        # When the client last took some of the bytes that wait here; None while none wait.
        self.stalled_since: float | None = None
        # The number of bytes that it had taken by the last check, and when that was.
        self._taken = 0
        self._checked_at = 0.0
        self._interest = 0
        self._poll()
        self._weight = 0
        self.weigh(1)
        sockets.timers.set(self, time.monotonic() + sockets.timeout / 3)

    # --- for subclasses ----------------------------------------------------------------------------------------------

    @property
    def polled_by(self) -> Polling:
        """The set of sockets that this one belongs to."""
        return self.sockets.served

    @property
    def is_being_answered(self) -> bool:
        """True while a request on it is being answered, or a stream is served."""
        return self.waiting_since is None

    def received(self, data: bytes) -> None:
        """Take what the client sent."""
        raise NotImplementedError

    def lost(self, error: OSError | None) -> None:
        """The connection is over: by the client or by us (None), or by this error."""

    def blocked(self) -> None:
        """The kernel takes no more bytes for now."""

    def drained(self) -> None:
        """All written bytes have left."""
        if self.listener is not None:
            self.listener.flush()

    def check_silence(self, now: float, *, is_taking: bool) -> float | None:
        """Return when to check again, or None if the connection was given up.

        `is_taking` is True if the client has taken bytes since the last check, and others wait for it in the kernel.
        """
        again = (self.waiting_since or now) + self.sockets.timeout
        if now < again:
            return again
        # A browser that keeps an idle connection is not worth a line.
        self.give_up("without a complete request", logging.DEBUG)
        return None

    def restart(self) -> None:
        """The process ends: have the last message written, if there is a listener to write one."""
        if self.listener is not None:
            self.listener.restart()

    def extensions(self, frames: object) -> dict[str, object]:
        """The extensions of the scope in which this connection is served."""
        return {FRAMES: frames} if self.may_stay else {FRAMES: frames, OUT_OF_DESCRIPTORS: {}}

    def limit_unsent(self) -> None:
        """Have the kernel take few bytes beyond those that it has sent."""
        if hasattr(socket, "TCP_NOTSENT_LOWAT"):
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _MOST_UNSENT)

    # --- writing -----------------------------------------------------------------------------------------------------

    def put(self, data: bytes) -> None:
        """Send data at the end of the loop's turn, together with what else is written in it."""
        if self.is_closed or self._ending is not None:
            return
        if not self._unsent:
            self._unsent = data
            self.sockets.flush_soon(self)
            return
        if isinstance(self._unsent, bytes):
            self._unsent = bytearray(self._unsent)
        self._unsent += data

    def flush(self) -> None:
        """Give the kernel as much as it takes."""
        unsent = self._unsent
        if self.is_closed or not unsent:
            return
        try:
            sent = self.socket.send(unsent)
        except OSError:
            sent = 0  # the kernel takes no more now; polling finds out whether it ever does
        if sent < len(unsent):
            self._keep(unsent, sent)
            return
        self._unsent = b""
        if not self.writable:
            self.writable = True
            self.stalled_since = None
            self._poll()
            self._release()
            if self._ending is None:
                self.drained()
        if self._ending is not None and not self._unsent:
            self._shut_down(self._ending)

    write_ready = flush

    async def until_drained(self) -> None:
        """Wait until the kernel has taken all that is written, or the connection is lost."""
        if not self.writable and not self.is_closed:
            if self._drained is None:
                self._drained = self.sockets.loop.create_future()
            await asyncio.shield(self._drained)

    def _release(self) -> None:
        if self._drained is not None:
            self._drained.set_result(None)
            self._drained = None

    @property
    def direct(self) -> Callable[[bytes], int] | None:
        """The socket's `send`, while nothing waits to be sent and more may be; else None."""
        return self.socket.send if not self._unsent and not self.disconnecting else None

    def keep(self, data: bytes, sent: int) -> None:
        """Send the rest of data, of which the socket took the first `sent` bytes."""
        # What it took a part of is completed even before an end: what is to come first would be read as the rest.
        if sent or not self.disconnecting:
            self._keep(data + self._unsent, sent)

    def _keep(self, unsent: bytes | bytearray, sent: int) -> None:
        """Keep data that the kernel did not take, until it does."""
        if isinstance(unsent, bytes):
            self._unsent = bytearray(memoryview(unsent)[sent:])
        else:
            del unsent[:sent]
        if self.writable:
            self.writable = False
            self.stalled_since = self._checked_at = time.monotonic()
            self._taken, _ = self._delivery()
            # From now on it is checked more often.
            self.sockets.timers.set(self, self.stalled_since + self.sockets.timeout / _CHECKS)
            self.blocked()
            self._poll()

    # --- reading -----------------------------------------------------------------------------------------------------

    def read_ready(self) -> None:
        """Read once: polling calls again while there is more."""
        try:
            data = self.socket.recv(self.most_read)
        except BlockingIOError:
            return
        except OSError as error:
            self._lose(error)
            return
        if data and self._ending is None:
            self.received(data)
        elif not data:
            self.flush()
            self._lose(None)

    def pause(self) -> None:
        """Read nothing until `resume`."""
        self.is_paused = True
        self._poll()

    def resume(self) -> None:
        self.is_paused = False
        self._poll()

    def _poll(self) -> None:
        interest = (0 if self.is_paused else READ) | (0 if self.writable else WRITE)
        if interest != self._interest and not self.is_closed:
            self._interest = interest
            self.polled_by.watch(self.socket.fileno(), self, interest)

    # --- time --------------------------------------------------------------------------------------------------------

    def check(self, now: float) -> None:
        """End the connection if its timeout is over; else set the time of the next check."""
        timeout = self.sockets.timeout
        taken, unsent = self._delivery()
        progress = taken != self._taken
        again: float | None
        if self.stalled_since is not None:
            # A stalled client is not read from, so its silence is no reason to drop it yet.
            if progress:
                self.stalled_since = self._checked_at  # or at any time since
            if now >= self.stalled_since + timeout:
                self.give_up(CloseReason.STALLED)
                return
            again = min(self.stalled_since + timeout, now + timeout / _CHECKS)
        else:
            again = self.check_silence(now, is_taking=progress and unsent > 0)
        if again is not None:
            self._taken, self._checked_at = taken, now
            self.sockets.timers.set(self, again)

    def _delivery(self) -> tuple[int, int]:
        """The bytes that the client's machine has acknowledged, and those that our kernel has not sent yet.

        Zeros if the kernel does not know: then a client has to take all that waits for it within the timeout.
        """
        if sys.platform != "linux":
            return 0, 0
        taken, unsent = _TCP_INFO.unpack(self.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO.size))
        return taken, unsent

    def give_up(self, reason: str, level: int = logging.INFO) -> None:
        """Abort the connection: what else there is to say would not be read."""
        self.dropped = str(reason)
        logger.log(level, "dropping the connection of %s: %s for too long", self.client[0], reason)
        self.abort()

    # --- the end -----------------------------------------------------------------------------------------------------

    @property
    def disconnecting(self) -> bool:
        """True once nothing more is read of it."""
        return self.is_closed or self._ending is not None

    @property
    def peer(self) -> str:
        """The address and the port of the other side, for the log."""
        return addresses.authority(*self.client)

    def refuse(self, error: RefusedError) -> None:
        """Answer a request with an error, and close."""
        self.put(error.answer)
        self.close()

    def refuse_handshake(self, error: RefusedError) -> None:
        """Refuse to become a WebSocket; that is counted, and logged at LOG_LEVEL=DEBUG."""
        self.sockets.refused(RejectReason.RESTART if self.sockets.draining else RejectReason.HANDSHAKE)
        logger.debug("WebSocket handshake of %s refused: %d %r", self.peer, error.status, error.detail)
        self.refuse(error)

    def close(self) -> None:
        """Close the connection once all has left."""
        self._end(socket.SHUT_RDWR)

    def close_write(self) -> None:
        """Send nothing more, once all has left, and go on reading."""
        self._end(socket.SHUT_WR)

    def abort(self) -> None:
        """Reset the connection now."""
        if not self.is_closed:
            with contextlib.suppress(OSError):  # macOS, if the client was first
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self._lose(None)

    def fail(self) -> None:
        """Abort the connection after a defect of ours, which may have been in what this one was to become."""
        self.sockets.end(self.socket)

    def drop(self) -> None:
        """Abort a connection on the reserve, to make room for the next."""
        if not self.is_being_answered:
            self.sockets.refused(RejectReason.DESCRIPTORS)
        self.abort()

    def leave(self) -> tuple[Sockets, socket.socket, tuple[str, int], bytes | bytearray]:
        """Leave the socket, and what waits to be sent, to another object, which is made of this."""
        self._forget()
        return self.sockets, self.socket, self.client, self._unsent

    def weigh(self, weight: int) -> None:
        """Count as so much of the process's load."""
        self.sockets.load += weight - self._weight
        self._weight = weight

    def _forget(self) -> None:
        self.is_closed = True
        self._release()
        self.weigh(0)
        if self._interest:
            self.polled_by.watch(self.socket.fileno(), self, 0)
        self.sockets.timers.discard(self)
        if not self.may_stay:
            self.sockets.reserve.release(self)

    def _end(self, how: int) -> None:
        if not self.is_closed:
            self._ending = how
            if not self._unsent:
                self._shut_down(how)

    def _shut_down(self, how: int) -> None:
        with contextlib.suppress(OSError):  # the client was first: polling tells
            self.socket.shutdown(how)
        if how == socket.SHUT_RDWR:
            self._lose(None)

    def _lose(self, error: OSError | None) -> None:
        if not self.is_closed:
            self._forget()
            self.socket.close()
            self._unsent, self._ending = b"", None
            self.lost(error)
