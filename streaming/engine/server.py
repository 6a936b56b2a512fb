"""The Daphne server as this project runs it: Daphne's, Autobahn's and Twisted's own classes, extended.

They gain writes that try the socket at once; frames shared by all connections, through an ASGI extension (sinks.py);
back-pressure; permessage-deflate; close reasons; limits on silence and on stalling; a drain. The server runs any ASGI
application.
"""

import asyncio
import faulthandler
import gc
import logging
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

if sys.platform != "win32":
    import uvloop

    # When Daphne is imported, it makes the loop that its reactor runs on.
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())

from daphne.http_protocol import HTTPFactory, WebRequest
from daphne.server import Server, twisted_loop
from twisted.internet import defer, reactor
from twisted.logger import (
    FilteringLogObserver,
    LogLevel,
    LogLevelFilterPredicate,
    STDLibLogObserver,
    globalLogBeginner,
)

from streaming.engine.descriptors import OUT_OF_DESCRIPTORS, DescriptorReserve
from streaming.engine.reasons import RejectReason
from streaming.engine.sinks import FRAMES
from streaming.engine.timers import TimerWheel
from streaming.engine.transport import AcceptThrottle, PricePort, PriceTransport
from streaming.engine.websocket import PriceProtocol, factory_for

logger = logging.getLogger(__name__)

# The timers of Twisted, and so of Daphne and Autobahn, go by the wall clock, which may step: set back by an hour, none
# would fire for an hour, and the watchdog below would take the process for one that stands still.
reactor.seconds = time.monotonic

# A full collection takes half a second at 10,000 connections, and Python would run one each time that their number has
# grown by a quarter: in a storm of connects. Connections leave nothing to the collector
# (tests/process/test_server.py); for all else a full collection now and then is enough.
_COLLECTOR = (5_000, 10, 1_000_000)
_COLLECT_EVERY = 600.0  # seconds
# A problem document, as the API sends them.
_PROBLEM = (
    b'{"type":"about:blank","title":"Content Too Large","status":413,"detail":"This is too long: send less at once."}'
)
_TOO_LONG = (
    b"HTTP/1.1 413 Content Too Large\r\nContent-Type: application/problem+json\r\nContent-Length: %d\r\n"
    b"Connection: close\r\n\r\n%b" % (len(_PROBLEM), _PROBLEM)
)


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


class PriceServer(Server):
    """Daphne with this project's protocol and limits, on a socket that listens already.

    `prepare` is awaited in the event loop before the first connection is accepted, and `ready` is called then.
    `refused` is called for each handshake that is refused before the application has accepted it, and for each silent
    connection that is dropped for want of file descriptors.
    """

    def __init__(
        self,
        application: Any,
        *,
        listener: socket.socket,
        limits: Limits,
        prepare: Callable[[], Awaitable[object]],
        ready: Callable[[], object],
        refused: Callable[[RejectReason], object],
    ) -> None:
        self.limits = limits
        self.refused = refused
        self.draining = False
        self.timers: TimerWheel[PriceTransport] = TimerWheel(limits.timeout / 60)
        self.accept_throttle = AcceptThrottle()
        self.reserve = DescriptorReserve()
        # A timeout is noticed up to two resolutions late: this one is, even so, within the limit.
        self.idle_timeout = limits.timeout - 2 * self.timers.resolution
        self._listener = listener
        self._prepare = prepare
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
        self.http_factory = PriceHTTPFactory(self)
        self.ws_factory = factory_for(self)
        self._port = PricePort._fromListeningDescriptor(
            reactor, self._listener.fileno(), self._listener.family, self.http_factory
        )
        for number in (signal.SIGTERM, signal.SIGINT):
            twisted_loop.add_signal_handler(number, self.stop)
        reactor.addSystemEventTrigger("before", "shutdown", self.kill_all_applications)
        reactor.callWhenRunning(self._start)
        # Objects that exist by now stay for good: spare the collector from visiting them.
        gc.collect()
        gc.freeze()
        gc.set_threshold(*_COLLECTOR)
        reactor.run(installSignalHandlers=False)

    def _start(self) -> None:
        self._watch()
        reactor.callLater(_COLLECT_EVERY, self._collect)
        self._opening = asyncio.ensure_future(self._open())

    async def _open(self) -> None:
        """Accept connections once the application is prepared: until then they wait in the socket's queue."""
        try:
            await self._prepare()
        except Exception:
            logger.exception("a defect of ours before the first connection")
        self._port.startListening()
        self._ready()

    # --- connections and their applications --------------------------------------------------------------------------

    def create_application(self, protocol: Any, scope: dict[str, Any]) -> Any:
        transport = protocol.transport if isinstance(protocol, PriceProtocol) else protocol.channel.transport
        scope["extensions"] = {} if transport.may_stay else {OUT_OF_DESCRIPTORS: {}}
        if isinstance(protocol, PriceProtocol):
            # As offered: Daphne would undo percent-encoding, and an application choose what was never offered.
            scope["subprotocols"] = list(protocol.websocket_protocols)
            scope["extensions"][FRAMES] = protocol.sink
        queue = super().create_application(protocol, scope)
        details = self.connections[protocol]
        details["application_instance"].add_done_callback(partial(self._application_ended, protocol))
        if not isinstance(protocol, PriceProtocol):
            details["transport"] = transport
            transport.waiting_since = None
        return queue

    def protocol_disconnected(self, protocol: Any) -> None:
        details = self.connections.get(protocol)
        if details is None or "disconnected" in details:
            return
        details["disconnected"] = time.monotonic()
        if "transport" in details:
            details["transport"].waiting_since = time.monotonic()
        task = details.get("application_instance")
        if task is None or "ended" in details:
            del self.connections[protocol]
        else:
            # Even if the task is done, keep the details: `_application_ended` follows, and needs them.
            details["timeout"] = task.get_loop().call_later(self.application_close_timeout, task.cancel)

    def _application_ended(self, protocol: Any, task: "asyncio.Task[None]") -> None:
        """Clean up after an application; Daphne would search all connections for ended ones each second."""
        details = self.connections[protocol]
        details["ended"] = True
        if "disconnected" in details:
            details["timeout"].cancel()
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
        # While the loop stands still no client is served, and no code of ours runs. So a thread of the interpreter ends
        # the process then, with a traceback of where it stands, and its supervisor starts it again.
        faulthandler.dump_traceback_later(self.limits.standstill, exit=True)
        now = time.monotonic()
        for transport in self.timers.due(now):
            transport.check(now)
        reactor.callLater(self.timers.resolution, self._watch)

    def _collect(self) -> None:
        gc.collect()
        reactor.callLater(_COLLECT_EVERY, self._collect)

    # --- the end -----------------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """Begin to drain, once."""
        if not self.draining:
            self.draining = True
            super().stop()

    def kill_all_applications(self) -> defer.Deferred[None]:
        """Drain: Daphne calls this when it stops, and waits for the result."""
        return defer.Deferred.fromFuture(asyncio.ensure_future(self._drain()))

    async def _drain(self) -> None:
        """Shut down gracefully: stop accepting, send `restart` and close 1012 to every client, wait for them up to
        `limits.drain` seconds, then cancel the rest.
        """
        self._opening.cancel()
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


class PriceRequest(WebRequest):
    """An HTTP request, which may become a WebSocket connection."""

    channel: Any
    _is_too_long = False
    _body_bytes = 0

    def gotLength(self, length: int | None) -> None:
        super().gotLength(length)
        self._limit_to(length or 0)

    def handleContentChunk(self, data: bytes) -> None:
        self._body_bytes += len(data)
        self._limit_to(self._body_bytes)
        if not self._is_too_long:
            super().handleContentChunk(data)

    def _limit_to(self, body_bytes: int) -> None:
        """Answer 413 if so many bytes are too many: Daphne would keep all of them in memory.

        What the client still sends is discarded, but the connection is not reset before it can read the answer.
        """
        if body_bytes > self.server.limits.max_body_bytes and not self._is_too_long:
            self._is_too_long = True
            self.requestHeaders.removeHeader(b"Expect")  # which Twisted would answer with 100 Continue
            self.channel.write(_TOO_LONG)
            self.channel.transport.loseWriteConnection()

    def process(self) -> Any:
        if self._is_too_long:
            self.channel.loseConnection()
            return None
        if not self.transport.may_stay:  # its descriptor is for the next connection
            self.channel.persistent = False
            self.responseHeaders.setRawHeaders(b"Connection", [b"close"])
        headers = self.requestHeaders
        if headers.hasHeader(b"Transfer-Encoding"):
            # The body came in chunks, and is complete: by its length Django and DRF know that there is one.
            headers.removeHeader(b"Transfer-Encoding")
            headers.setRawHeaders(b"Content-Length", [b"%d" % self._body_bytes])
        # With it Daphne would let a client choose the path that the application's links begin with.
        headers.removeHeader(b"Daphne-Root-Path")
        # Daphne writes the request anew for Autobahn, as HTTP/1.1 and with one Host.
        upgrades = b",".join(headers.getRawHeaders(b"Upgrade", [])).lower().split(b",")
        # Any other upgrade, such as to HTTP/2, may be ignored (RFC 9110, 7.8): it is a request like others.
        if b"websocket" in map(bytes.strip, upgrades):
            headers.setRawHeaders(b"Upgrade", [b"websocket"])  # of several, the one that Daphne knows
            if self.clientproto != b"HTTP/1.1" or len(headers.getRawHeaders(b"Host", [])) > 1 or self.content.read(1):
                self.server.refused(RejectReason.HANDSHAKE)
                detail = "A WebSocket handshake is HTTP/1.1, with one Host and without a body"
                logger.debug("WebSocket handshake of %s refused: 400 %r", self.transport.peer, detail)
                self.basic_error(400, b"Bad Request", detail)
                return None
        transport = self.transport
        done = super().process()
        if self.transport is None:
            # It became a WebSocket connection. Data that came with its handshake would stay with the channel.
            if early := self.channel.clearLineBuffer():
                transport.protocol.dataReceived(early)
            # The channel and this request would keep each other alive until the collector runs, which at thousands of
            # connections is a pause for all.
            self.channel.requests.clear()
            self.channel = None
        return done

    def handle_reply(self, message: dict[str, Any]) -> None:
        if self.method == b"HEAD" and "body" in message:
            # Daphne would write all parts of a body but the first, as if they were the next answer.
            message = message | {"body": b""}
        super().handle_reply(message)


class PriceHTTPFactory(HTTPFactory):
    """Makes connections whose requests are `PriceRequest`s."""

    def buildProtocol(self, addr: Any) -> Any:
        protocol = super().buildProtocol(addr)
        # Twisted would parse forms in the event loop, where prices would wait for it, and no code uses the result.
        protocol.requestFactory = partial(PriceRequest, parsePOSTFormSubmission=False)
        return protocol
