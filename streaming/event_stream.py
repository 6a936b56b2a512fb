"""GET stream/: the stream as Server-Sent Events, before Django. A client is a connection of the hub, as by WebSocket.

A request that is not plain goes on to Django, which refuses it: another method, a mistake in the query, a strange Host.
"""

import logging
from functools import lru_cache, partial
from typing import Any, Final, NamedTuple

from infra.asgi import Application, Send
from streaming import protocol, sse
from streaming.admission import FULL, Gate
from streaming.api import StreamQuerySerializer
from streaming.auth import ENDED
from streaming.connection import Connection
from streaming.engine.reasons import CloseReason
from streaming.engine.sinks import FRAMES
from streaming.http_rules import ALWAYS, Answer, Rules, headers_of, parameters, until_gone
from streaming.hub import Hub
from streaming.metrics import Fault, Transport
from streaming.protocol import EVERY_METAL, Close
from streaming.send_sinks import EventSink

logger = logging.getLogger(__name__)

PATH: Final = "/api/v1/stream/"
# Milliseconds of silence after which a client is sent a heartbeat: proxies give up answers that are silent for long.
_HEARTBEAT_MS: Final = 15_000
_HEADERS: Final = [
    (b"content-type", sse.MEDIA_TYPE),
    # A proxy is to pass on each event at once, as it is.
    (b"cache-control", b"no-store, no-transform"),
    (b"x-accel-buffering", b"no"),
]


class _Subscription(NamedTuple):
    """A client's wishes, as a WebSocket client has them in `subscribe`; `position` is an epoch and a `seq`."""

    metals: frozenset[str]
    candles: frozenset[str] | None
    interval_ms: int | None
    position: tuple[str, int] | None


class EventStream:
    """The ASGI application `http`, with plain requests for the stream answered before they reach it."""

    def __init__(self, http: Application, hub: Hub, gate: Gate, rules: Rules) -> None:
        self._http = http
        self._hub = hub
        self._gate = gate
        self._rules = rules

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        headers = headers_of(scope) if scope["path"] == PATH else {}
        subscription = self._subscription(scope, headers) if headers else None
        if subscription is None:
            await self._http(scope, receive, send)
            return
        sink = EventSink(send, self._failed)
        connection = self._hub.connection(sink, Transport.SSE)
        origin = headers.get(b"origin")
        guest = await self._rules.admit(self._gate, scope, partial(self._end, connection))
        if isinstance(guest, Answer):
            await self._rules.send(send, scope, guest, origin)
            return
        try:
            await self._subscribe(connection, subscription)
            if sink.is_over:  # its credential has become invalid meanwhile
                await self._rules.send(send, scope, self._rules.refusal(Close.UNAUTHORIZED, ENDED), origin)
                return
            if not self._hub.join(connection):
                await self._rules.send(send, scope, self._rules.refusal(Close.AT_CAPACITY, FULL), origin)
                return
            if scope["method"] == "HEAD":
                await self._rules.send(send, scope, Answer(200, _HEADERS), origin)
                return
            await self._begin(scope, send, sink, connection, origin)
            self._hub.set_heartbeat(connection, _HEARTBEAT_MS)
            await until_gone(receive)
        finally:
            self._hub.leave(connection, connection.close_reason)
            guest.leave()

    def _subscription(self, scope: Any, headers: dict[bytes, bytes]) -> _Subscription | None:
        """The subscription that a request makes; None for one that Django is to refuse."""
        if not self._rules.is_plain(scope, headers):
            return None
        subscription = _parse_query(scope["query_string"])
        if subscription is not None and (event_id := headers.get(b"last-event-id")) is not None:
            return subscription._replace(position=sse.position(event_id.decode(errors="replace")))
        return subscription

    async def _subscribe(self, connection: Connection, subscription: _Subscription) -> None:
        metals, candles, interval_ms, position = subscription
        epoch, since = position or (None, None)
        if since is not None:
            await self._hub.feed.wait_for_seq(since, epoch)
        connection.subscribe(metals, since, interval_ms, candles, epoch)

    async def _begin(
        self, scope: Any, send: Send, sink: EventSink, connection: Connection, origin: bytes | None
    ) -> None:
        """Send the head of the answer, whose end is the connection's, and let the events begin.

        On our own server they have a sink of its own, which writes shared bytes at once (streaming/engine/events.py).
        """
        closes = [(b"connection", b"close")] if scope["http_version"].startswith("1") else []
        headers = [*_HEADERS, *closes, *ALWAYS, *self._rules.for_origin(origin)]
        if take_over := scope.get("extensions", {}).get(FRAMES):
            if (own := take_over(headers, sse.BEGINNING)) is not None:
                connection.move_to(own)
            return
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": sse.BEGINNING, "more_body": True})
        sink.begin()

    async def _end(self, connection: Connection, close: Close, detail: str) -> None:
        """End a stream whose client may have it no longer, with an error that says why."""
        logger.info("ending an event stream: %s", close.reason)
        connection.write(protocol.last_error(close, detail, None))
        self._hub.leave(connection, CloseReason[close.name])

    async def _failed(self) -> None:
        """Count an event that could not be sent."""
        self._hub.metrics.failed(Fault.SEND)


@lru_cache(256)
def _parse_query(query_string: bytes) -> _Subscription | None:
    given = parameters(query_string, StreamQuerySerializer)
    if given is None:
        return None
    return _Subscription(
        given.get("metals", EVERY_METAL), given.get("candles"), given.get("interval"), given.get("lastEventId")
    )
