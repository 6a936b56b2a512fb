"""HTTP beside the stream: Daphne's requests and Twisted's HTTP/1.1, on connections of ours.

A request to become a WebSocket goes back to the door, whenever it comes; and so does the socket of a client that is
answered with an event stream.
"""

import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from tempfile import SpooledTemporaryFile
from typing import Any, Final

from daphne.http_protocol import WebRequest
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IPushProducer, ITransport
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel
from zope.interface import implementer

from infra.asgi import Message
from streaming.engine import handshake
from streaming.engine.asgi import Run, Runs
from streaming.engine.events import EventConnection
from streaming.engine.handshake import Head, RefusedError
from streaming.engine.tcp import Sockets, TcpConnection

# Chunks of a body that may be this small, in bytes. Each costs as much time as a kilobyte does otherwise: of nothing
# but such, a few hundred connections would send enough in one turn of the event loop to stop it for ten seconds.
_SMALL_CHUNK: Final = 512
_MOST_SMALL_CHUNKS: Final = 1024
# Bytes of a body in memory. One that is longer is in a file, by which a connection takes two descriptors.
_MOST_IN_MEMORY: Final = 64 * 1024


class HttpServer:
    """The requests of all connections: to Twisted a factory, to Daphne a server.

    `upgrade` is called with a connection, the head of a request to become a WebSocket, and what came after it.
    """

    proxy_forwarded_address_header = None
    root_path = ""
    request_buffer_size = 8192
    server_name = "daphne"

    def __init__(self, sockets: Sockets, runs: Runs, upgrade: Callable[[TcpConnection, Head, bytes], None]) -> None:
        self.server = self
        self.max_body_bytes = sockets.limits.max_body_bytes
        self.upgrade = upgrade
        self._runs = runs

    def channel(self) -> "Channel":
        """A new connection's channel."""
        channel = Channel()
        channel.factory = self
        # Twisted would parse forms in the event loop, where prices would wait for it, and no code uses the result.
        channel.requestFactory = partial(Request, parsePOSTFormSubmission=False)
        channel.timeOut = None  # the connection's are enough
        return channel

    def protocol_connected(self, request: "Request") -> None:
        """A request has begun."""

    def create_application(self, request: "Request", scope: dict[str, Any]) -> "Exchange":
        """Answer a complete request with the application."""
        request.connection = connection = request.channel.transport
        connection.waiting_since = None
        connection.weigh(1)
        return Exchange(request, connection, scope, self._runs)

    def protocol_disconnected(self, request: "Request") -> None:
        """A request has been answered, or its connection is over."""
        if request.connection is not None:
            request.connection.waiting_since = time.monotonic()
            request.connection.weigh(0)
            request.connection = None

    def log(self, *_: object) -> None:
        """Keep no access log, neither Twisted's nor Daphne's."""

    log_action = log


class Exchange:
    """A request and its answer: the queue that Daphne puts a request's events into, and the owner of their run."""

    def __init__(self, request: "Request", connection: "HttpConnection", scope: dict[str, Any], runs: Runs) -> None:
        self._request: Request | None = request  # until its answer is complete
        self._has_begun = False
        self._connection = connection
        self._run = Run(runs.loop, self)
        scope["asgi"] = handshake.ASGI
        scope["extensions"] = connection.extensions(self.take_over)
        runs.start(self._run, scope, self.send)

    def put_nowait(self, event: Message) -> None:
        """Take an event of the request."""
        if event["type"] == "http.disconnect":
            self._request = None
            self._run.disconnect(event)
        else:
            self._run.add(event)

    async def send(self, message: Message) -> None:
        """ASGI's `send`. Returns when the kernel has taken all written bytes, or the connection is lost."""
        if self._request is not None:
            self._request.handle_reply(message)
            self._has_begun = True
            self._connection.flush()
            await self._connection.until_drained()

    def take_over(self, headers: Sequence[tuple[bytes, bytes]], beginning: bytes) -> EventConnection | None:
        """Answer 200 with these headers and a body that begins so, and go on with events.

        The application calls this, by the extension in its scope, in place of `send`. None if the client has gone.
        """
        request, self._request = self._request, None
        if request is None:
            return None
        head = [b"HTTP/1.1 200 OK", *(b"%b: %b" % header for header in headers), b"", beginning]
        request.forget_channel()
        return EventConnection(self._connection, self._run, b"\r\n".join(head))

    def taken(self) -> None:
        """A request is complete, so no more of it is to be read."""

    def ended(self, error: BaseException | None) -> None:
        request, self._request = self._request, None
        if request is not None and self._has_begun:
            self._connection.abort()  # else half an answer would look like a whole one, or be waited for
        elif request is not None:
            request.handle_exception(error)


class Request(WebRequest):
    """An HTTP request, which may be one to become a WebSocket."""

    channel: Any
    connection: "HttpConnection | None" = None  # while it is being answered
    _body_bytes = 0
    _is_chunked = False
    _small_chunks = 0

    # --- its length --------------------------------------------------------------------------------------------------

    def gotLength(self, length: int | None) -> None:
        self._is_chunked = length is None
        self._limit_to(length or 0)
        if length is None or length > _MOST_IN_MEMORY:
            # Twisted would open a file at once, though the body may never come.
            self.content = SpooledTemporaryFile(_MOST_IN_MEMORY)  # noqa: SIM115  (it is closed with the request)
        else:
            super().gotLength(length)

    def handleContentChunk(self, data: bytes) -> None:
        self._body_bytes += len(data)
        self._limit_to(self._body_bytes)
        if self._is_chunked and len(data) < _SMALL_CHUNK:
            self._small_chunks += 1
            if self._small_chunks > _MOST_SMALL_CHUNKS:
                most = f"{_MOST_SMALL_CHUNKS} chunks of less than {_SMALL_CHUNK} bytes"
                raise RefusedError(413, f"Send {most} at most, or the body in one piece with its length")
        try:
            super().handleContentChunk(data)
            reserve = self.channel.transport.sockets.reserve
            has_room = self._body_bytes <= _MOST_IN_MEMORY or reserve.is_spare(self.content.fileno())
        except OSError:  # no descriptor at all, or a full disk
            has_room = False
        if not has_room:
            self.content.close()
            raise RefusedError(503, "This process has no room for a long body now: come again later", b"Retry-After: 5")

    def _limit_to(self, body_bytes: int) -> None:
        """Raise RefusedError if so many bytes are too many: Daphne would keep all of them in memory."""
        if body_bytes > self.server.max_body_bytes:
            raise RefusedError(413, "This is too long: send less at once.")

    # --- from the client to the application --------------------------------------------------------------------------

    def requestReceived(self, command: bytes, target: bytes, version: bytes) -> None:
        if target != b"*":
            try:
                host, path, query = handshake.split_target(target)
            except RefusedError as error:
                self.channel.refuse(error)
                return
            if host is not None:
                self.requestHeaders.setRawHeaders(b"Host", [host])
            target = path + (b"?" + query if query else b"")
        super().requestReceived(command, target, version)

    def process(self) -> Any:
        headers = self.requestHeaders
        pairs = [(name.lower(), value) for name, values in headers.getAllRawHeaders() for value in values]
        head = Head(self.method, self.uri, self.clientproto, pairs, 0)
        try:
            handshake.check(
                head.version, headers.getRawHeaders(b"Host", []), headers.getRawHeaders(b"Transfer-Encoding", [])
            )
        except RefusedError as error:
            self.channel.refuse(error)
            return None
        if head.asks_for_websocket:
            connection, early = self.channel.transport, self.channel.clearLineBuffer()
            self.forget_channel()
            self.server.upgrade(connection, head, early)
            return None
        # Any other upgrade, such as to HTTP/2, may be ignored (RFC 9110, 7.8): it is a request like others.
        if not self.channel.transport.may_stay:  # its descriptor is for the next connection
            self.channel.persistent = False
            self.responseHeaders.setRawHeaders(b"Connection", [b"close"])
        if headers.hasHeader(b"Transfer-Encoding"):
            # The body came in chunks, and is complete: by its length Django and DRF know that there is one.
            headers.removeHeader(b"Transfer-Encoding")
            headers.setRawHeaders(b"Content-Length", [b"%d" % self._body_bytes])
        # With it Daphne would let a client choose the path that the application's links begin with.
        headers.removeHeader(b"Daphne-Root-Path")
        return super().process()

    def forget_channel(self) -> None:
        """Forget the channel, which its connection is about to leave.

        Else channel and request would keep each other alive until the collector runs, which at thousands of connections
        is a pause for all.
        """
        self.channel.requests.clear()
        self.channel = self.connection = self.application_queue = None

    # --- from the application to the client --------------------------------------------------------------------------

    def handle_reply(self, message: Message) -> None:
        if self.method == b"HEAD" and "body" in message:
            # Daphne would write all parts of a body but the first, as if they were the next answer.
            message = {**message, "body": b""}
        super().handle_reply(message)


class Channel(HTTPChannel):
    """Twisted's HTTP/1.1 on one connection, with limits on a request's head."""

    # Twisted's own limits answer 400, without a word.
    maxHeaders = totalHeadersSize = sys.maxsize
    MAX_LENGTH = handshake.MOST_HEAD_BYTES
    _head_bytes = _head_lines = 0

    def dataReceived(self, data: bytes) -> None:
        try:
            super().dataReceived(data)
        except RefusedError as error:
            # A body is refused amid it: what the client still sends is discarded, unread by Twisted, but the connection
            # is not reset before it can read the answer.
            self.transport.put(error.answer)
            self.transport.close_write()

    def lineReceived(self, line: bytes) -> None:
        self._head_bytes += len(line) + 2
        self._head_lines += 1
        # The request line and the empty one at the end are lines too.
        if self._head_bytes > handshake.MOST_HEAD_BYTES or self._head_lines > handshake.MOST_HEADERS + 2:
            self.lineLengthExceeded(line)
        else:
            super().lineReceived(line)

    def lineLengthExceeded(self, line: bytes) -> None:
        most, number = handshake.MOST_HEAD_BYTES, handshake.MOST_HEADERS
        self.refuse(RefusedError(431, f"Send {number} headers at most, and less than {most} bytes in all"))

    def allContentReceived(self) -> None:
        self._head_bytes = self._head_lines = 0
        super().allContentReceived()

    def refuse(self, error: RefusedError) -> None:
        """Answer with an error, and close."""
        self.unregisterProducer()
        self.transport.refuse(error)


@implementer(ITransport, IPushProducer)
class HttpConnection(TcpConnection):
    """A connection that speaks HTTP: Twisted's transport."""

    most_read = 65536

    def __init__(self, before: TcpConnection, server: HttpServer) -> None:
        super().__init__(*before.leave())
        self.waiting_since = time.monotonic()
        self.weigh(0)
        self._producer: Any = None
        self._channel: Channel | None = server.channel()
        self._channel.makeConnection(self)

    # --- Twisted's names ---------------------------------------------------------------------------------------------

    write = TcpConnection.put
    loseConnection = stopProducing = TcpConnection.close
    abortConnection = TcpConnection.abort
    pauseProducing = TcpConnection.pause
    resumeProducing = TcpConnection.resume

    def writeSequence(self, data: list[bytes]) -> None:
        self.put(b"".join(data))

    def getPeer(self) -> Any:
        return _address(self.client)

    def getHost(self) -> Any:
        return _address(self.socket.getsockname()[:2])

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        self._producer = producer

    def unregisterProducer(self) -> None:
        self._producer = None

    # --- the connection's own events ---------------------------------------------------------------------------------

    def received(self, data: bytes) -> None:
        if self._channel is not None:
            self._channel.dataReceived(data)

    def blocked(self) -> None:
        if self._producer is not None:
            self._producer.pauseProducing()

    def drained(self) -> None:
        if self._producer is not None:
            self._producer.resumeProducing()

    def lost(self, error: OSError | None) -> None:
        channel, self._channel, self._producer = self._channel, None, None
        if channel is not None:
            channel.connectionLost(Failure(ConnectionDone() if error is None else ConnectionLost(str(error))))

    def leave(self) -> Any:
        self._channel = self._producer = None
        return super().leave()


def _address(pair: tuple[str, int]) -> IPv4Address | IPv6Address:
    return (IPv6Address if ":" in pair[0] else IPv4Address)("TCP", *pair)
