"""The Daphne server as this project runs it: Daphne's, Autobahn's and Twisted's own classes, extended where they stop.

What is added: writes that try the socket at once; frames that all connections share, through an ASGI extension
(streaming/outlets.py); back-pressure; permessage-deflate; close reasons; limits on silence and on stalling; a drain.
Any ASGI application can be served by it.
"""

import asyncio
import gc
import logging
import random
import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

if sys.platform != "win32":
    import uvloop

    # Daphne makes the loop that its reactor runs on when it is imported.
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())

from autobahn.twisted.websocket import ConnectionDeny, WebSocketServerProtocol
from autobahn.websocket.compress import PerMessageDeflateOfferAccept
from daphne.http_protocol import HTTPFactory
from daphne.server import Server, twisted_loop
from daphne.ws_protocol import WebSocketFactory, WebSocketProtocol
from twisted.internet import defer, reactor, tcp
from twisted.logger import (
    FilteringLogObserver,
    LogLevel,
    LogLevelFilterPredicate,
    STDLibLogObserver,
    globalLogBeginner,
)

from streaming import compression
from streaming.deadlines import Deadlines
from streaming.frames import BINARY, Frame
from streaming.metrics import Ending
from streaming.outlets import FRAMES, Listener
from streaming.protocol import Close

logger = logging.getLogger(__name__)

# A close frame holds 125 bytes, two of which are the code (RFC 6455, 5.5.1).
_LONGEST_REASON = 123
_PING = b"\x89\x00"
# The answer to it: six bytes, of which the last four are a mask of the client's choice.
_PONG = b"\x8a\x80"
# The kernel takes no more of us than this beyond what it has sent: what a client has not read yet is to stay ours,
# where the newest price can still replace it. (What is under way to a distant client does not count.)
_MOST_UNSENT = 4096
# Connections taken in one go: those that are connected already have their turn between two goes, also in a storm.
_MOST_ACCEPTS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one connection may cost. `timeout` (seconds): how long a client may be silent or stalled, a request
    incomplete, and a handshake unanswered. `drain` (seconds): how long the end of the process may take."""

    max_message_bytes: int
    compression_threshold: int
    timeout: float
    drain: float


class PriceTransport(tcp.Server):
    """A TCP connection that gives its data to the kernel at once and keeps only what that does not take.

    Twisted's own `write` waits for the reactor to find the socket writable: three system calls instead of one.
    """

    # When the kernel began not to take what was written; None while there is nothing of ours to be sent.
    blocked_since: float | None = None
    # Since when a complete request is waited for; None while one is being answered.
    waiting_since: float | None = None

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.waiting_since = now = time.monotonic()
        server: PriceServer = self.server.factory.server
        # Clients that come all at once are not to be asked for signs of life all at once ever after.
        server.deadlines.set(self, now + server.patience * random.uniform(0.2, 0.5))  # noqa: S311

    def write(self, data: bytes) -> None:
        if self.blocked_since is None and self.connected:
            try:
                sent = self.socket.send(data)
            except OSError:
                sent = 0  # nothing more is taken now; if ever, the reactor finds out
            if sent == len(data):
                return
            data = data[sent:]
            self.blocked_since = time.monotonic()
            if isinstance(self.protocol, PriceProtocol):
                self.protocol.blocked()
        super().write(data)

    def writeSequence(self, iovec: Any) -> None:
        self.write(b"".join(iovec))

    def stopWriting(self) -> None:
        """Twisted calls this when its buffer is empty, and at the connection's end."""
        super().stopWriting()
        if self.blocked_since is not None:
            self.blocked_since = None
            if self.connected and isinstance(self.protocol, PriceProtocol):
                self.protocol.drained()

    def look(self, now: float) -> None:
        """End the connection if it has used its patience up, and say when to look at it again."""
        server: PriceServer = self.server.factory.server
        patience = server.patience
        if self.blocked_since is not None:
            # Of silence there is nothing to say: what does not take our answers is not read from.
            again = self.blocked_since + patience
            if now >= again:
                self.give_up(Ending.STALLED)
                return
        elif isinstance(self.protocol, PriceProtocol):
            silent = now - self.protocol.heard_at
            if silent >= patience:
                self.give_up(Ending.SILENT)
                return
            if silent >= patience / 2:
                self.protocol.ping()
            again = self.protocol.heard_at + (patience if silent >= patience / 2 else patience / 2)
        else:
            again = (self.waiting_since or now) + patience
            if now >= again:
                self.give_up("without a complete request")
                return
        server.deadlines.set(self, again)

    def give_up(self, why: str) -> None:
        """End the connection without a farewell, which would not be heard."""
        logger.info("dropping the connection of %s: %s for too long", self.client[0], why)
        if isinstance(self.protocol, PriceProtocol):
            self.protocol.dropped = why
        self.abortConnection()

    def connectionLost(self, reason: Any) -> None:
        self.server.factory.server.deadlines.discard(self)
        super().connectionLost(reason)

    __hash__ = object.__hash__


class PricePort(tcp.Port):
    """The listening port, which makes connections of our kind."""

    transport = PriceTransport

    @property
    def numberAccepts(self) -> int:
        """How many connections Twisted takes in one go; it would adapt this to a storm."""
        return _MOST_ACCEPTS

    @numberAccepts.setter
    def numberAccepts(self, number: int) -> None:
        pass


class PriceProtocol(WebSocketProtocol):
    """One WebSocket connection, and its application's `Outlet`."""

    # Autobahn copies its factory's options to every connection, and prints them for a log that nobody keeps: a fifth of
    # a handshake. Here they are attributes of a class: see `PriceServer._websocket_factory`.
    CONFIG_ATTRS = ()

    server: Any = None
    websocket_extensions: list[compression.Offer]
    listener: Listener | None = None
    clear = True
    dropped = ""
    # The client's window for compressed messages, as a power of two; 0 where there is no compression.
    window_bits = 0
    heard_at = 0.0
    _taken: "asyncio.Future[None] | None" = None

    # --- from and to the client --------------------------------------------------------------------------------------

    def connectionMade(self) -> None:
        # Twisted's HTTP channel, which made the upgrade, would stay with the connection as its producer.
        self.transport.unregisterProducer()
        if hasattr(socket, "TCP_NOTSENT_LOWAT"):
            self.transport.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _MOST_UNSENT)
        super().connectionMade()
        self.heard_at = time.monotonic()

    def onConnect(self, request: Any) -> Any:
        if self.factory.server_class.draining:
            raise ConnectionDeny(503, "This process is ending")
        if not all(text.isascii() for text in (request.path, *request.protocols)):
            raise ConnectionDeny(400, "Non-ASCII characters in the path or in Sec-WebSocket-Protocol")
        # Autobahn fails a handshake with an offer that it cannot parse, where the RFC wants it declined.
        offer = compression.acceptable(self.websocket_extensions)
        self.websocket_extensions = [offer] if offer else []
        return super().onConnect(request)

    def dataReceived(self, data: bytes) -> None:
        self.heard_at = time.monotonic()
        if self.failedByMe:
            return  # whatever a client says that has broken the protocol (RFC 6455, 7.1.7)
        if len(data) == 6 and data.startswith(_PONG) and self.state == self.STATE_OPEN and self.is_between_frames:
            return  # at 10,000 connections most of what comes in, and Autobahn takes its time
        super().dataReceived(data)

    def ping(self) -> None:
        if self.state == self.STATE_OPEN and self.clear:
            self.transport.write(_PING)

    def sendCloseFrame(self, code: int | None = None, reasonUtf8: bytes | None = None, isReply: bool = False) -> None:
        if code == Close.TOO_BIG.code:
            reasonUtf8 = Close.TOO_BIG.reason.encode()  # Autobahn's own words would be a sentence with the numbers
        super().sendCloseFrame(code, reasonUtf8, isReply)
        if self.failedByMe:
            self.dropped = Ending.TOO_BIG if code == Close.TOO_BIG.code else Ending.PROTOCOL
            # It may go on sending, and a connection that is closed on unread data is reset, our words lost. So this
            # side ends, and the other has until the closing handshake's time-out.
            self.transport.loseWriteConnection()

    def dropConnection(self, abort: bool = False) -> None:
        """Autobahn resets the connection when a client has answered our close frame, as if something were wrong."""
        super().dropConnection(abort and not self.wasClean)

    def onMessageEnd(self) -> None:
        super().onMessageEnd()
        if self.window_bits:
            # 40 KB that the next message has no use for: we asked for `client_no_context_takeover`.
            self._perMessageCompress._decompressor = None

    def onOpen(self) -> None:
        if self._perMessageCompress is not None:
            self.window_bits = self._perMessageCompress.server_max_window_bits
        super().onOpen()

    def onClose(self, wasClean: bool, code: int, reason: str) -> None:
        if self.server is not None:  # else the handshake failed before there was an application
            super().onClose(wasClean, code, reason)
        self._release()

    @property
    def is_between_frames(self) -> bool:
        return not self.data and self.current_frame is None

    # --- the outlet --------------------------------------------------------------------------------------------------

    def write(self, frame: Frame) -> int:
        if self.state != self.STATE_OPEN:
            return 0
        if self.window_bits and len(frame.payload) >= self.server.limits.compression_threshold:
            data = frame.deflated(self.window_bits)
        else:
            data = frame.plain
        self.transport.write(data)
        return len(data)

    def stop(self) -> None:
        self.listener = None

    def blocked(self) -> None:
        """The kernel takes no more for now."""
        self.clear = False
        self.transport.stopReading()  # who does not take our answers is not to ask for more

    def drained(self) -> None:
        """All that was written has left."""
        self.clear = True
        self.heard_at = time.monotonic()
        if self.state == self.STATE_OPEN:
            self.transport.startReading()
            if self.listener is not None:
                self.listener.wake()
        self._release()

    # --- from and to the application ---------------------------------------------------------------------------------

    def handle_reply(self, message: dict[str, Any]) -> None:
        """Daphne drops empty messages and the reason of a close; Autobahn's `sendClose` refuses 1008 and its like."""
        if message["type"] == "websocket.send" and self.state != self.STATE_CONNECTING:
            match message.get("text"), message.get("bytes"):
                case str(text), None:
                    self.write(Frame(text.encode()))
                case None, bytes(data):
                    self.write(Frame(data, BINARY))
                case _:
                    raise ValueError("A websocket.send event has either text or bytes")
        elif message["type"] == "websocket.close" and self.state != self.STATE_CONNECTING:
            self.end(message.get("code") or 1000, message.get("reason") or "")
        else:
            super().handle_reply(message)

    async def taken(self) -> None:
        """Wait until the kernel has taken all that was written, or the connection is lost: back-pressure."""
        if self.state == self.STATE_OPEN and not self.clear:
            if self._taken is None:
                self._taken = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._taken)

    def end(self, code: int, reason: str) -> None:
        """Send a close frame, with as much of the reason as it holds."""
        if self.state == self.STATE_OPEN:
            cut = reason.encode()[:_LONGEST_REASON].decode(errors="ignore")
            self.sendCloseFrame(code=code, reasonUtf8=cut.encode(), isReply=False)

    def restart(self) -> None:
        """Say that the process ends: in the application's words first."""
        if self.listener is not None:
            self.listener.restart()
        self.end(Close.RESTART.code, Close.RESTART.reason)

    def _release(self) -> None:
        if self._taken is not None:
            self._taken.set_result(None)
            self._taken = None


class PriceServer(Server):
    """Daphne with this project's protocol and limits, on a socket that listens already.

    `ready` is called in the event loop when the first connection can be taken.
    """

    def __init__(
        self, application: Any, *, listener: socket.socket, limits: Limits, ready: Callable[[], object]
    ) -> None:
        self.limits = limits
        self.draining = False
        self.deadlines: Deadlines[PriceTransport] = Deadlines(limits.timeout / 60)
        # Looks come up to two grains late: with this, what is to be noticed within the time-out is.
        self.patience = limits.timeout - 2 * self.deadlines.grain
        self._listener = listener
        self._ready = ready
        super().__init__(application, endpoints=["a socket that listens"], websocket_handshake_timeout=limits.timeout)

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT, then drain."""
        asyncio.set_event_loop(twisted_loop)
        observer = FilteringLogObserver(
            STDLibLogObserver(__name__), [LogLevelFilterPredicate(defaultLogLevel=LogLevel.critical)]
        )
        globalLogBeginner.beginLoggingTo([observer], redirectStandardIO=False, discardBuffer=True)
        self.connections: dict[Any, dict[str, Any]] = {}
        self.http_factory = HTTPFactory(self)
        self.ws_factory = self._websocket_factory()
        self._port = PricePort._fromListeningDescriptor(
            reactor, self._listener.fileno(), self._listener.family, self.http_factory
        )
        for number in (signal.SIGTERM, signal.SIGINT):
            twisted_loop.add_signal_handler(number, self.stop)
        reactor.addSystemEventTrigger("before", "shutdown", self.kill_all_applications)
        reactor.callWhenRunning(self._start)
        # What is there by now stays: the collector need not look at it again.
        gc.collect()
        gc.freeze()
        reactor.run(installSignalHandlers=False)

    def _start(self) -> None:
        self._port.startListening()
        self._watch()
        self._ready()

    def _websocket_factory(self) -> WebSocketFactory:
        factory = WebSocketFactory(self, server=self.server_name)
        factory.setProtocolOptions(
            # A violation of the protocol is answered with a close frame that names it, not with a dropped connection.
            failByDrop=False,
            allowNullOrigin=True,
            openHandshakeTimeout=self.limits.timeout,
            maxMessagePayloadSize=self.limits.max_message_bytes,
            perMessageCompressionAccept=_Accepted.of_all,
        )
        options = {name: getattr(factory, name) for name in WebSocketServerProtocol.CONFIG_ATTRS}
        factory.protocol = type(PriceProtocol.__name__, (PriceProtocol,), options)
        return factory

    # --- connections and their applications --------------------------------------------------------------------------

    def create_application(self, protocol: Any, scope: dict[str, Any]) -> Any:
        if isinstance(protocol, PriceProtocol):
            # As offered: Daphne would undo percent-encoding, and an application choose what was never offered.
            scope["subprotocols"] = list(protocol.websocket_protocols)
            scope["extensions"] = {FRAMES: protocol}
        queue = super().create_application(protocol, scope)
        details = self.connections[protocol]
        details["application_instance"].add_done_callback(partial(self._application_ended, protocol))
        if not isinstance(protocol, PriceProtocol):
            details["transport"] = protocol.channel.transport
            details["transport"].waiting_since = None
        return queue

    def protocol_disconnected(self, protocol: Any) -> None:
        details = self.connections.get(protocol)
        if details is None or "disconnected" in details:
            return
        details["disconnected"] = time.time()
        if "transport" in details:
            details["transport"].waiting_since = time.monotonic()
        task = details.get("application_instance")
        if task is None or task.done():
            del self.connections[protocol]
        else:
            details["patience"] = task.get_loop().call_later(self.application_close_timeout, task.cancel)

    def _application_ended(self, protocol: Any, task: "asyncio.Task[None]") -> None:
        """Daphne looks for these once a second among all connections."""
        details = self.connections[protocol]
        if "disconnected" in details:
            details["patience"].cancel()
            del self.connections[protocol]
        if not task.cancelled() and (exception := task.exception()):
            logger.error("an exception in the application", exc_info=exception)
            if "disconnected" not in details:
                protocol.handle_exception(exception)

    async def handle_reply(self, protocol: Any, message: dict[str, Any]) -> None:
        await super().handle_reply(protocol, message)
        if isinstance(protocol, PriceProtocol):
            await protocol.taken()

    # --- time --------------------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        now = time.monotonic()
        for transport in self.deadlines.due(now):
            transport.look(now)
        reactor.callLater(self.deadlines.grain, self._watch)

    # --- the end -----------------------------------------------------------------------------------------------------

    def kill_all_applications(self) -> defer.Deferred[None]:
        """Daphne calls this when it is to end, and waits for what it returns."""
        return defer.Deferred.fromFuture(asyncio.ensure_future(self._drain()))

    async def _drain(self) -> None:
        """Take nobody in any more, tell everybody, and let them go by themselves for as long as there is time."""
        self.draining = True
        self._port.stopListening()
        for protocol in tuple(self.connections):
            if isinstance(protocol, PriceProtocol) and protocol.state == protocol.STATE_OPEN:
                protocol.restart()
        tasks = [
            details["application_instance"]
            for details in self.connections.values()
            if details.get("application_instance")
        ]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=self.limits.drain)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late, timeout=1)


class _Accepted(PerMessageDeflateOfferAccept):
    """Our answer to an offer of permessage-deflate: nobody keeps a context."""

    @classmethod
    def of_all(cls, offers: list[Any]) -> "_Accepted":
        return cls(offers[0], request_no_context_takeover=True, no_context_takeover=True)

    def get_extension_string(self) -> str:
        return f"{super().get_extension_string()}; server_no_context_takeover"
