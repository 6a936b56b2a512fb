"""The Daphne server as this project runs it: Daphne's, Autobahn's and Twisted's own classes, extended where they stop.

What is added: writes that try the socket at once; frames that all connections share, through an ASGI extension
(sinks.py); back-pressure; permessage-deflate; close reasons; limits on silence and on stalling; a drain.
Any ASGI application can be served by it.
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

    # Daphne makes the loop that its reactor runs on when it is imported.
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

# Twisted's timers, and with it Daphne's and Autobahn's, are due by the wall clock, which may step: put back by an hour,
# none of them would come for an hour, and the watchdog below would take the process for one that stands still.
reactor.seconds = time.monotonic

# A look at everything takes half a second at 10,000 connections, and Python would take one at each quarter that they
# grow by: in a storm. Connections leave nothing to the collector (tests/process/test_server.py); what else does not
# die young is looked for now and then.
_COLLECTOR = (5_000, 10, 1_000_000)
_COLLECT_EVERY = 600.0  # seconds
# In the shape that the API says everything in.
_PROBLEM = (
    b'{"type":"about:blank","title":"Content Too Large","status":413,"detail":"This is too long: send less at once."}'
)
_TOO_LONG = (
    b"HTTP/1.1 413 Content Too Large\r\nContent-Type: application/problem+json\r\nContent-Length: %d\r\n"
    b"Connection: close\r\n\r\n%b" % (len(_PROBLEM), _PROBLEM)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one connection may cost. `max_body_bytes`: of an HTTP request. `timeout` (seconds): how long a client may be
    silent or stalled, a request incomplete, and a handshake unanswered. `drain` (seconds): how long the end of the
    process may take. `standstill` (seconds): after how long an event loop that does not turn ends its process."""

    max_message_bytes: int
    max_body_bytes: int
    compression_threshold: int
    timeout: float
    drain: float
    standstill: float


class PriceServer(Server):
    """Daphne with this project's protocol and limits, on a socket that listens already.

    `prepare` is awaited in the event loop before the first connection is taken, and `ready` called then; `refused` for
    each handshake that is turned away before the application has accepted it, and each connection without a word yet
    that is dropped for want of file descriptors.
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
        # A deadline is noticed up to two grains late: with so much patience, still within the time-out.
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
        # What is there by now stays: the collector need not look at it again.
        gc.collect()
        gc.freeze()
        gc.set_threshold(*_COLLECTOR)
        reactor.run(installSignalHandlers=False)

    def _start(self) -> None:
        self._watch()
        reactor.callLater(_COLLECT_EVERY, self._collect)
        self._opening = asyncio.ensure_future(self._open())

    async def _open(self) -> None:
        """Take connections, once the application is prepared: till then they wait in the socket's queue."""
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
            # One that is done by now is not ended yet: `_application_ended` is on its way, and looks for these details.
            details["timeout"] = task.get_loop().call_later(self.application_close_timeout, task.cancel)

    def _application_ended(self, protocol: Any, task: "asyncio.Task[None]") -> None:
        """Daphne looks for these once a second among all connections."""
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
        # While the loop stands nobody is served, and nothing of ours could tell. So a thread of the interpreter's own
        # ends the process then, with a traceback of where it stands, and whoever started it starts it again.
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
        """Begin to end; to be told so twice is nothing more."""
        if not self.draining:
            self.draining = True
            super().stop()

    def kill_all_applications(self) -> defer.Deferred[None]:
        """Daphne calls this when it is to end, and waits for what it returns."""
        return defer.Deferred.fromFuture(asyncio.ensure_future(self._drain()))

    async def _drain(self) -> None:
        """Take nobody in any more, tell everybody, and let them go by themselves for as long as there is time."""
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
    """An HTTP request, which may ask to become a WebSocket connection."""

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
        """Refuse a body of so many bytes if that is too much: Daphne would hold all of it in memory.

        Who goes on sending is heard no more, but not reset before it can read this; its time is that of any request.
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
        if not self.transport.may_stay:  # its descriptor is for whoever asks next
            self.channel.persistent = False
            self.responseHeaders.setRawHeaders(b"Connection", [b"close"])
        headers = self.requestHeaders
        if headers.hasHeader(b"Transfer-Encoding"):
            # It has come in chunks, and all of it is here: by its length Django and DRF know that there is a body.
            headers.removeHeader(b"Transfer-Encoding")
            headers.setRawHeaders(b"Content-Length", [b"%d" % self._body_bytes])
        # By it Daphne lets whoever asks say under which path the application is, for its links to lead anywhere.
        headers.removeHeader(b"Daphne-Root-Path")
        # Daphne writes the request anew for Autobahn, as HTTP/1.1 and with one Host.
        upgrades = b",".join(headers.getRawHeaders(b"Upgrade", [])).lower().split(b",")
        # To anything else, as to HTTP/2, nobody is bound to upgrade (RFC 9110, 7.8): it is a request like others.
        if b"websocket" in map(bytes.strip, upgrades):
            headers.setRawHeaders(b"Upgrade", [b"websocket"])  # of several, the one that Daphne knows
            if self.clientproto != b"HTTP/1.1" or len(headers.getRawHeaders(b"Host", [])) > 1 or self.content.read(1):
                self.server.refused(RejectReason.HANDSHAKE)
                words = "A WebSocket handshake is HTTP/1.1, with one Host and without a body"
                logger.debug("WebSocket handshake of %s refused: 400 %r", self.transport.peer, words)
                self.basic_error(400, b"Bad Request", words)
                return None
        transport = self.transport
        done = super().process()
        if self.transport is None:
            # It became a WebSocket connection. What came with its handshake would stay with the channel.
            if early := self.channel.clearLineBuffer():
                transport.protocol.dataReceived(early)
            # The channel and this request would hold each other until the collector comes, which at thousands of
            # connections costs everybody a pause.
            self.channel.requests.clear()
            self.channel = None
        return done

    def handle_reply(self, message: dict[str, Any]) -> None:
        if self.method == b"HEAD" and "body" in message:
            # Of a body in several parts Daphne would write all but the first, as if they were the next answer.
            message = message | {"body": b""}
        super().handle_reply(message)


class PriceHTTPFactory(HTTPFactory):
    """Makes our requests."""

    def buildProtocol(self, addr: Any) -> Any:
        protocol = super().buildProtocol(addr)
        # Twisted would parse forms in the event loop, where prices would wait for it, and nobody asks for the result.
        protocol.requestFactory = partial(PriceRequest, parsePOSTFormSubmission=False)
        return protocol
