"""One WebSocket connection: ASGI's `receive` and `send` for an application, and its sink of frames."""

import asyncio
import enum
import logging
import random
import time
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Final

from infra.asgi import Message
from streaming.engine.asgi import Run, Runs
from streaming.engine.frames import BINARY, PING, PLAIN, PONG, Encoding, Frame, close_frame, framed, is_close_code
from streaming.engine.handshake import Handshake, RefusedError, switching_protocols
from streaming.engine.reader import CloseFrame, Ping, Reader, Violation
from streaming.engine.reasons import CloseReason, RejectReason
from streaming.engine.tcp import TcpConnection
from streaming.protocol import Close

logger = logging.getLogger(__name__)

_PING: Final = framed(b"", PING)
# When a silent client is sent a ping, as shares of the timeout: spread, as clients may have come all at once, and early
# enough for one that stands still for a while, as a phone does, to answer.
_PINGED: Final = 0.4, 0.6
_TO_CLOSE: Final = 2.0  # seconds that a client has to answer our close frame
# A client's messages that may wait for the application.
_MOST_UNANSWERED: Final = 64
# Bytes that an application may send in one turn of the loop before they are given to the kernel.
_MOST_AT_ONCE: Final = 65536
# A close frame holds 125 bytes, two of which are the code (RFC 6455, 5.5.1).
_LONGEST_REASON: Final = 123
# Close codes; the last two stand for a close frame without a code, and for none at all (RFC 6455, 7.1.5).
_NORMAL, _NO_CODE, _ABNORMAL = 1000, 1005, 1006

_encoding = lru_cache(Encoding)  # one object for all connections with the same window


class State(enum.Enum):
    """The state of a connection."""

    CONNECTING = enum.auto()  # the application has yet to accept it
    OPEN = enum.auto()
    CLOSING = enum.auto()  # our close frame is to be answered
    DEAF = enum.auto()  # all that comes is discarded: the client has closed, or broken the protocol


class WebSocket(TcpConnection):
    """One WebSocket connection, on the socket of a connection that has left it, and a `Sink` (sinks.py)."""

    __slots__ = (
        "_closed",
        "_closing",
        "_early",
        "_handshake",
        "_heard_at",
        "_reader",
        "_run",
        "_state",
        "encoding",
    )

    def __init__(self, before: TcpConnection, handshake: Handshake, early: bytes, runs: Runs) -> None:
        super().__init__(*before.leave())
        self.limit_unsent()
        self._state = State.CONNECTING
        self._heard_at = time.monotonic()
        self._handshake: Handshake | None = handshake  # until the application has accepted it
        self._early = early
        self._reader: Reader | None = None
        self.encoding = PLAIN
        self._closing: asyncio.TimerHandle | None = None
        self._closed: tuple[str, int, str] | None = None  # the side that closed, its code and its reason
        server = self.socket.getsockname()[:2]
        scope = handshake.scope | {"client": self.client, "server": server, "extensions": self.extensions(self)}
        self._run = Run(runs.loop, self)
        self._run.add({"type": "websocket.connect"})
        runs.start(self._run, scope, self.send)

    # --- from the client ---------------------------------------------------------------------------------------------

    def received(self, data: bytes) -> None:
        self._heard_at = time.monotonic()
        if self._state is State.CONNECTING:
            self._early += data
            if len(self._early) > self.sockets.limits.max_message_bytes:
                self._refuse(400, "Wait for the answer to the handshake before you send more")
        elif self._state is not State.DEAF:
            self._read(data)

    def _read(self, data: bytes) -> None:
        assert self._reader is not None
        for event in self._reader.take(data):
            match event:
                case str(text):
                    self._deliver({"type": "websocket.receive", "text": text})
                case bytes(content):
                    self._deliver({"type": "websocket.receive", "bytes": content})
                case Ping(payload):
                    if self._state is State.OPEN:
                        self.put(framed(payload, PONG))
                case CloseFrame(code, reason):
                    self._close_by_client(code, reason)
                case Violation(code, reason):
                    self._close_for_violation(code, reason)

    def _deliver(self, event: Message) -> None:
        if self._state is State.OPEN:
            self._run.add(event)
            if len(self._run.events) > _MOST_UNANSWERED and not self.is_paused:
                self.pause()

    def taken(self) -> None:
        """Read again, once the application has taken its messages and the client our answers.

        After our close frame without regard to the application: closing with unread data would reset the connection,
        and lose the frame.
        """
        is_busy = self._state is State.OPEN and len(self._run.events) > _MOST_UNANSWERED
        if self.is_paused and self.writable and not is_busy:
            self.resume()

    def _close_by_client(self, code: int | None, reason: str) -> None:
        if self._state is State.OPEN:
            self._closed = "by the client", _NO_CODE if code is None else code, reason
            self.put(close_frame(code, reason))
        self._state = State.DEAF
        self.close()

    def _close_for_violation(self, code: int, reason: str) -> None:
        """Name the violation in a close frame, and discard all else that comes (RFC 6455, 7.1.7)."""
        if self._state is State.OPEN:
            self.dropped = CloseReason.TOO_BIG if code == Close.TOO_BIG.code else CloseReason.PROTOCOL
            self._debug_error(reason, code, self.dropped)
            self._send_close(code, reason)
        self._state = State.DEAF
        # The client may go on sending, and closing with unread data would reset the connection, and lose the frame. So
        # close this side only; the client has until the closing handshake's timeout.
        self.close_write()

    # --- from and to the application ---------------------------------------------------------------------------------

    async def send(self, message: Message) -> None:
        """ASGI's `send`. Returns when the kernel has taken all written bytes, or the connection is lost."""
        kind = message["type"]
        if kind == "websocket.send":
            self._send(message)
        elif kind == "websocket.accept":
            self._accept(message.get("subprotocol"), message.get("headers", ()))
        elif kind == "websocket.close":
            self.close_with(message.get("code") or _NORMAL, message.get("reason") or "")
        else:
            raise ValueError(f"A WebSocket has no {kind!r}")
        if len(self._unsent) > _MOST_AT_ONCE:
            self.flush()  # else an application that never pauses would fill the memory
        if self._state is not State.OPEN:
            await asyncio.sleep(0)  # an application that goes on sending to a lost client must not keep others waiting
        elif not self.writable:
            await self.until_drained()

    def _send(self, message: Message) -> None:
        if self._state is State.CONNECTING:
            raise ValueError("Accept the connection before you send")
        match message.get("text"), message.get("bytes"):
            case str(text), None:
                self.write(Frame(text.encode()))
            case None, bytes(data):
                self.write(Frame(data, BINARY))
            case _:
                raise ValueError("A websocket.send event has either text or bytes")

    def _accept(self, subprotocol: str | None, headers: Iterable[tuple[bytes, bytes]]) -> None:
        if self.is_closed or self._state is not State.CONNECTING or self._handshake is None:
            return
        handshake, self._handshake = self._handshake, None
        if subprotocol is not None and subprotocol not in handshake.scope["subprotocols"]:
            logger.error("the application chose a subprotocol that was not offered: %s", subprotocol)
            subprotocol = None
        self.put(switching_protocols(handshake, subprotocol, headers))
        if handshake.window_bits:
            self.encoding = _encoding(handshake.window_bits, self.sockets.limits.compression_threshold)
        self._reader = Reader(self.sockets.limits.max_message_bytes, inflates=handshake.window_bits > 0)
        self._state = State.OPEN
        self._debug("WebSocket connection of %s: opened")
        early, self._early = self._early, b""
        if early:
            self._read(early)

    def write(self, frame: Frame) -> int:
        """Send a message to an open connection. Returns its size on the wire, in bytes."""
        if self._state is not State.OPEN:
            return 0
        data = self.encoding.of(frame)
        self.put(data)
        return len(data)

    @property
    def direct(self) -> Callable[[bytes], int] | None:
        return super().direct if self._state is State.OPEN else None

    def stop(self) -> None:
        self.listener = None

    def close_with(self, code: int, reason: str) -> None:
        """Send a close frame, with as much of the reason as fits; refuse a connection that was not accepted."""
        if self._state is State.CONNECTING:
            self._refuse(403, "Access denied")
        elif self._state is State.OPEN:
            if not is_close_code(code):
                logger.error("the application closes with %s, which is no code for a close frame: 1011 is sent", code)
                code, reason = Close.INTERNAL_ERROR.value
            self._send_close(code, reason.encode()[:_LONGEST_REASON].decode(errors="ignore"))
            self._state = State.CLOSING
            self.taken()

    def restart(self) -> None:
        """Let the application write its last message, and close with 1012."""
        if self._state is State.OPEN:
            super().restart()
            self.close_with(*Close.RESTART.value)

    def _send_close(self, code: int, reason: str) -> None:
        self._closed = "by the server", code, reason
        self.put(close_frame(code, reason))
        self._closing = self.sockets.loop.call_later(_TO_CLOSE, self.abort)

    def _refuse(self, status: int, detail: str) -> None:
        self._state = State.DEAF
        self.refuse_handshake(RefusedError(status, detail))

    def ended(self, error: BaseException | None) -> None:
        """The application has ended: so does a connection that it did not close."""
        if self._state is State.CONNECTING and not self.is_closed:
            self._refuse(500, "Internal server error")
        elif self._state is State.OPEN and not self.is_closed:
            self.close_with(Close.INTERNAL_ERROR.code if error else _NORMAL, "")

    # --- the connection's own events ---------------------------------------------------------------------------------

    def blocked(self) -> None:
        self.pause()  # a client that does not take our answers must not cause more

    def drained(self) -> None:
        self._heard_at = time.monotonic()
        self.taken()
        super().drained()

    def check_silence(self, now: float, *, is_taking: bool) -> float | None:
        timeout = self.sockets.timeout
        if is_taking:
            self._heard_at = now  # a ping would still be here, behind data that it takes slowly
        silent = now - self._heard_at
        if silent >= timeout:
            self.give_up(CloseReason.SILENT)
            return None
        if silent < timeout * _PINGED[0]:
            return self._heard_at + timeout * random.uniform(*_PINGED)  # noqa: S311  (no secret)
        if self._state is State.OPEN:
            self.put(_PING)
        return self._heard_at + timeout

    def lost(self, error: OSError | None) -> None:
        if self._state is State.CONNECTING:
            if self.dropped:
                self.sockets.refused(RejectReason.HANDSHAKE)
        elif self._handshake is None:
            if error is not None and not self.dropped:
                self._debug_error(str(error), _ABNORMAL, type(error).__name__)
            how = self._closed or ("without a close frame", _ABNORMAL, self.dropped)
            self._debug("WebSocket connection of %s: closed %s, code=%d reason=%r", *how)
        self._state = State.DEAF
        if self._closing is not None:
            self._closing.cancel()
            self._closing = None
        code = self._closed[1] if self._closed else _ABNORMAL
        self._run.disconnect({"type": "websocket.disconnect", "code": code})

    # --- log lines of LOG_LEVEL=DEBUG --------------------------------------------------------------------------------

    def _debug(self, message: str, *values: object) -> None:
        """Log a message, whose first value is the peer. At levels above DEBUG this costs next to nothing."""
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug(message, self.peer, *values)

    def _debug_error(self, message: str, code: int, kind: str) -> None:
        self._debug("WebSocket connection error of %s: error=%r code=%d type=%s", message, code, kind)
