"""One WebSocket connection: Autobahn's and Daphne's protocol, bound to RFC 6455 and 7692, and its sink of frames."""

import asyncio
import logging
import re
import socket
import time
from typing import Any

from autobahn.exception import PayloadCorruptError, PayloadExceededError
from autobahn.twisted.websocket import ConnectionDeny, WebSocketServerProtocol
from autobahn.websocket.compress import PerMessageDeflateOfferAccept
from daphne.ws_protocol import WebSocketFactory, WebSocketProtocol
from twisted.internet.error import ConnectionLost

from streaming.engine import compression
from streaming.engine.frames import BINARY, Frame, is_close_code
from streaming.engine.reasons import CloseReason, RejectReason
from streaming.engine.sinks import Listener
from streaming.engine.transport import PriceTransport
from streaming.protocol import Close

logger = logging.getLogger(__name__)

# A close frame holds 125 bytes, two of which are the code (RFC 6455, 5.5.1).
_LONGEST_REASON = 123
_PING = b"\x89\x00"
# The answer to it: six bytes, of which the last four are the client's mask.
_PONG = b"\x8a\x80"
# The kernel takes no more bytes than this beyond those that it has sent: updates that a client has not read yet stay
# here, where the newest prices can still replace them. (Bytes under way to a distant client do not count.)
_MOST_UNSENT = 4096
# Seconds that a client has to answer our close frame. Autobahn rounds the end down to a whole second of the clock, so
# that its own 1 would be any time from 0 to 1.
_CLOSING = 2
# The codes that stand for a close frame without a code, and for none at all (RFC 6455, 7.1.5).
_NO_CODE, _ABNORMAL = 1005, 1006
# A client's messages that may wait for the application, and the seconds from one check to the next while more wait.
_MOST_UNANSWERED = 64
_CHECK_AGAIN = 0.05
# Headers of a handshake as RFC 6455 writes them (9.1, 4.3), where Autobahn is content with less.
_VERSION = re.compile("[0-9]|[1-9][0-9]|1[0-9][0-9]|2[0-4][0-9]|25[0-5]")
_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"  # noqa: S105  (a grammar, not a password)
_PARAMETER = rf'[ \t]*;[ \t]*{_TOKEN}(?:[ \t]*=[ \t]*(?:{_TOKEN}|"{_TOKEN}"))?'
_EXTENSION = rf"[ \t]*(?:{_TOKEN}(?:{_PARAMETER})*)?[ \t]*"
_EXTENSIONS = re.compile(rf"{_EXTENSION}(?:,{_EXTENSION})*")


class PriceProtocol(WebSocketProtocol):
    """One WebSocket connection."""

    # Autobahn copies its factory's options to every connection, and formats them for a log that is discarded: a fifth
    # of a handshake. Here they are attributes of a class: see `factory_for`.
    CONFIG_ATTRS = ()

    server: Any = None
    sink: "FrameSink"
    _perMessageCompress: Any
    websocket_extensions: list[compression.Offer]
    heard_at = 0.0
    _inflation: "_Inflation | None" = None
    _taken: "asyncio.Future[None] | None" = None
    _is_waiting = False
    _was_open = False

    # --- from and to the client --------------------------------------------------------------------------------------

    def connectionMade(self) -> None:
        # Twisted's HTTP channel, which made the upgrade, would stay with the connection as its producer.
        self.transport.unregisterProducer()
        self.transport.upgraded = self
        if hasattr(socket, "TCP_NOTSENT_LOWAT"):
            self.transport.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _MOST_UNSENT)
        self.sink = FrameSink(self.transport, self.factory.server_class.limits.compression_threshold)
        super().connectionMade()
        self.heard_at = time.monotonic()

    def onConnect(self, request: Any) -> Any:
        if self.factory.server_class.draining:
            raise ConnectionDeny(503, "This process is ending")
        if not all(text.isascii() for text in (request.path, *request.protocols)):
            raise ConnectionDeny(400, "Non-ASCII characters in the path or in Sec-WebSocket-Protocol")
        if not _VERSION.fullmatch(request.headers["sec-websocket-version"]):
            raise ConnectionDeny(400, "Sec-WebSocket-Version is not a number as RFC 6455 writes it")
        if not _EXTENSIONS.fullmatch(request.headers.get("sec-websocket-extensions", "x")):
            raise ConnectionDeny(400, "Sec-WebSocket-Extensions is not a list of extensions")
        # Autobahn fails a handshake with an offer that it cannot parse, where the RFC wants it declined.
        offer = compression.acceptable(self.websocket_extensions)
        self.websocket_extensions = [offer] if offer else []
        return super().onConnect(request)

    def failHandshake(self, reason: str, code: int = 400, responseHeaders: Any = None) -> None:
        """Count and log each refused handshake: by Autobahn, by `onConnect` or by the application."""
        server = self.factory.server_class
        server.refused(RejectReason.RESTART if server.draining else RejectReason.HANDSHAKE)
        self._debug("WebSocket handshake of %s refused: %d %r", code, reason)
        super().failHandshake(reason, code, responseHeaders)

    def onOpenHandshakeTimeout(self) -> None:
        # Or the transport drops it as silent, whichever timer is first: see `connectionLost`.
        if self.state == self.STATE_CONNECTING:
            self.factory.server_class.refused(RejectReason.HANDSHAKE)
        super().onOpenHandshakeTimeout()

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        super().onMessage(payload, isBinary)
        if self.application_queue.qsize() > _MOST_UNANSWERED and not self._is_waiting:
            self._is_waiting = True
            self._wait_for_the_application()

    def _wait_for_the_application(self) -> None:
        """Pause reading until the application has taken its messages: it may be waiting for a database.

        Go on after our close frame too: closing with unread data would reset the connection, and lose the frame.
        """
        if self.state == self.STATE_CLOSED:
            return
        if self.application_queue.qsize() > _MOST_UNANSWERED:
            self.transport.stopReading()
            asyncio.get_running_loop().call_later(_CHECK_AGAIN, self._wait_for_the_application)
        else:
            self._is_waiting = False
            if self.sink.writable:
                self.transport.startReading()

    def dataReceived(self, data: bytes) -> None:
        self.heard_at = time.monotonic()
        if self.failedByMe:
            return  # discard all data of a client that has broken the protocol (RFC 6455, 7.1.7)
        if self.state == self.STATE_CONNECTING and len(self.data) > self.factory.server_class.limits.max_message_bytes:
            self.failHandshake("Wait for the answer to the handshake before you send more")
            return
        if len(data) == 6 and data.startswith(_PONG) and self.state == self.STATE_OPEN and self.is_between_frames:
            return  # at 10,000 connections these are most of the input, and Autobahn is slow
        super().dataReceived(data)

    def ping(self) -> None:
        if self.state == self.STATE_OPEN and self.sink.writable:
            self.transport.write(_PING)

    def sendCloseFrame(self, code: int | None = None, reasonUtf8: bytes | None = None, isReply: bool = False) -> None:
        if code == Close.TOO_BIG.code and self.failedByMe:
            reasonUtf8 = Close.TOO_BIG.reason.encode()  # Autobahn's own is a sentence with the numbers
        super().sendCloseFrame(code, reasonUtf8, isReply)
        self.sink.is_open = False
        if self.failedByMe:
            self.sink.dropped = CloseReason.TOO_BIG if code == Close.TOO_BIG.code else CloseReason.PROTOCOL
            self._debug_error((reasonUtf8 or b"").decode(), code, self.sink.dropped)
            # The client may go on sending, and closing with unread data would reset the connection, and lose the frame.
            # So close this side only; the client has until the closing handshake's timeout.
            self.transport.loseWriteConnection()

    def dropConnection(self, abort: bool = False) -> None:
        """Close cleanly once the client has answered our close frame: Autobahn would reset the connection."""
        super().dropConnection(abort and not self.wasClean)

    def onMessageFrameBegin(self, length: int) -> None:
        """Reject a message over the limit before it is read, by the lengths of its frames so far.

        Autobahn's own limit would add compressed and inflated bytes.
        """
        super().onMessageFrameBegin(length)
        inflating = self._inflation is not None and self._inflation.is_inflating
        most = self.server.limits.max_message_bytes
        # Empty fragments take memory too.
        if (not inflating and self.message_data_total_length > most) or len(self.message_data) > most:
            self.failedByMe = True
            self.sendCloseFrame(Close.TOO_BIG.code)

    def onOpen(self) -> None:
        if self._perMessageCompress is not None:
            self.sink.window_bits = self._perMessageCompress.server_max_window_bits
            # Autobahn's inflater would keep 40 KB for the next message, and accept a message that was broken off.
            self._perMessageCompress = self._inflation = _Inflation(self.server.limits.max_message_bytes)
        self.sink.is_open = self._was_open = True
        self._debug("WebSocket connection of %s: opened")
        super().onOpen()

    def onClose(self, wasClean: bool, code: int, reason: str) -> None:
        if self._was_open:
            self._debug("WebSocket connection of %s: closed %s, code=%s reason=%r", *self._how_it_closed())
        if self.server is not None:  # else the handshake failed before there was an application
            super().onClose(wasClean, code, reason)
        self._release()

    def connectionLost(self, reason: Any) -> None:
        if self.state == self.STATE_CONNECTING and self.sink.dropped:
            self.factory.server_class.refused(RejectReason.HANDSHAKE)
        self.sink.is_open = False
        if self._was_open and reason.check(ConnectionLost) and not self.sink.dropped:
            self._debug_error(reason.getErrorMessage(), _ABNORMAL, reason.type.__name__)
        super().connectionLost(reason)
        self.is_closed = None  # its result is this object: a cycle that only the collector would find

    # --- log lines of LOG_LEVEL=DEBUG --------------------------------------------------------------------------------

    def _debug(self, message: str, *values: object) -> None:
        """Log a message, whose first value is the peer. At levels above DEBUG this costs next to nothing."""
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug(message, self.transport.peer, *values)

    def _how_it_closed(self) -> tuple[str, int, str]:
        """The side that closed, the code and the reason."""
        if self.closedByMe:
            return "by the server", self.localCloseCode, (self.localCloseReason or b"").decode()
        if self.wasClean:
            return "by the client", self.remoteCloseCode or _NO_CODE, self.remoteCloseReason or ""
        return "without a close frame", _ABNORMAL, str(self.sink.dropped)

    def _debug_error(self, message: str, code: int | None, kind: str) -> None:
        self._debug("WebSocket connection error of %s: error=%r code=%s type=%s", message, code, kind)

    @property
    def is_between_frames(self) -> bool:
        return not self.data and self.current_frame is None

    # --- back-pressure ------------------------------------------------------------------------------------------------

    def blocked(self) -> None:
        self.sink.writable = False
        self.transport.stopReading()  # a client that does not take our answers must not cause more

    def drained(self) -> None:
        self.sink.writable = True
        self.heard_at = time.monotonic()
        if self.state == self.STATE_OPEN:
            if not self._is_waiting:
                self.transport.startReading()
            if self.sink.listener is not None:
                self.sink.listener.flush()
        self._release()

    # --- from and to the application ---------------------------------------------------------------------------------

    def handle_reply(self, message: dict[str, Any]) -> None:
        """Send what Daphne and Autobahn would not: empty messages, a reason for a close, and codes such as 1008."""
        if message["type"] == "websocket.send" and self.state != self.STATE_CONNECTING:
            match message.get("text"), message.get("bytes"):
                case str(text), None:
                    self.sink.write(Frame(text.encode()))
                case None, bytes(data):
                    self.sink.write(Frame(data, BINARY))
                case _:
                    raise ValueError("A websocket.send event has either text or bytes")
        elif message["type"] == "websocket.accept" and message.get("subprotocol") not in (
            None,
            *self.websocket_protocols,
        ):
            logger.error("the application chose a subprotocol that was not offered: %s", message["subprotocol"])
            super().handle_reply({**message, "subprotocol": None})
        elif message["type"] == "websocket.close" and self.state != self.STATE_CONNECTING:
            self.end(message.get("code") or 1000, message.get("reason") or "")
        else:
            super().handle_reply(message)

    async def taken(self) -> None:
        """Wait until the kernel has taken all written bytes, or the connection is lost: back-pressure."""
        if self.state == self.STATE_OPEN and not self.sink.writable:
            if self._taken is None:
                self._taken = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._taken)

    def end(self, code: int, reason: str) -> None:
        """Send a close frame, with as much of the reason as fits."""
        if self.state == self.STATE_OPEN:
            if not is_close_code(code):
                logger.error("the application closes with %s, which is no code for a close frame: 1011 is sent", code)
                code, reason = Close.INTERNAL_ERROR.code, Close.INTERNAL_ERROR.reason
            cut = reason.encode()[:_LONGEST_REASON].decode(errors="ignore")
            self.sendCloseFrame(code=code, reasonUtf8=cut.encode(), isReply=False)

    def restart(self) -> None:
        """Let the application write its last message, and close with 1012."""
        if self.sink.listener is not None:
            self.sink.listener.restart()
        self.end(Close.RESTART.code, Close.RESTART.reason)

    def _release(self) -> None:
        if self._taken is not None:
            self._taken.set_result(None)
            self._taken = None


class FrameSink:
    """A connection's `Sink`, which gives frames to the kernel at once.

    From one connection's write to the next the kernel's network code fills the processor's caches: so the data that a
    write needs lie close together here, not in the large dictionaries of the protocol and the transport.
    """

    __slots__ = ("_send", "_threshold", "_transport", "dropped", "is_open", "listener", "window_bits", "writable")

    def __init__(self, transport: PriceTransport, threshold: int) -> None:
        self.writable = True
        self.dropped = ""
        self.listener: Listener | None = None
        # True after the handshake, until the close frame: then messages may be sent.
        self.is_open = False
        # The client's window for compressed messages, as a power of two; 0 without compression.
        self.window_bits = 0
        self._transport = transport
        self._send = transport.socket.send
        self._threshold = threshold

    def write(self, frame: Frame) -> int:
        if not self.is_open:
            return 0
        if self.window_bits and len(frame.payload) >= self._threshold:
            data = frame.deflated(self.window_bits)
        else:
            data = frame.plain
        if not self.writable:
            self._transport.write(data)
            return len(data)
        send, size = self._send, len(data)
        try:
            sent = send(data)
        except OSError:
            sent = 0
        if sent < size:
            self._transport.keep(data[sent:])
        return size

    def stop(self) -> None:
        self.listener = None


def factory_for(server: Any) -> WebSocketFactory:
    """The factory for a server's WebSocket connections."""
    factory = WebSocketFactory(server, server=server.server_name)
    factory.setProtocolOptions(
        # A breach of the protocol is answered with a close frame that names it, not with a dropped connection.
        failByDrop=False,
        allowNullOrigin=True,
        openHandshakeTimeout=server.limits.timeout,
        closeHandshakeTimeout=_CLOSING,
        echoCloseCodeReason=True,
        perMessageCompressionAccept=_Accepted.of_all,
    )
    options = {name: getattr(factory, name) for name in WebSocketServerProtocol.CONFIG_ATTRS}
    factory.protocol = type(PriceProtocol.__name__, (PriceProtocol,), options)
    return factory


class _Inflation:
    """The extension that Autobahn uses for a client's messages; frames.py compresses ours."""

    EXTENSION_NAME = compression.EXTENSION

    def __init__(self, most: int) -> None:
        self._most = self._left = most
        self._taken = 0
        self._inflater: compression.Inflater | None = None

    @property
    def is_inflating(self) -> bool:
        return self._inflater is not None

    def start_decompress_message(self) -> None:
        self._inflater, self._left, self._taken = compression.Inflater(), self._most, 0

    def decompress_message_data(self, data: bytes, max_output_len: None) -> bytes:
        assert self._inflater is not None
        self._taken += len(data)
        try:
            if self._taken > 2 * self._most:  # endless empty blocks
                raise compression.TooLargeError
            said = self._inflater.take(data, self._left)
            self._left -= len(said)
            return said
        except compression.TooLargeError as error:
            raise PayloadExceededError from error
        except compression.CorruptError as error:
            raise PayloadCorruptError(str(error)) from error

    def end_decompress_message(self) -> None:
        inflater, self._inflater = self._inflater, None
        assert inflater is not None
        try:
            inflater.end()
        except compression.CorruptError as error:
            raise PayloadCorruptError(str(error)) from error


class _Accepted(PerMessageDeflateOfferAccept):
    """Our answer to an offer of permessage-deflate: neither side keeps a context."""

    @classmethod
    def of_all(cls, offers: list[Any]) -> "_Accepted":
        return cls(offers[0], request_no_context_takeover=True, no_context_takeover=True)

    def get_extension_string(self) -> str:
        return f"{super().get_extension_string()}; server_no_context_takeover"
