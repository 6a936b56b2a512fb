"""The WebSocket endpoint: one consumer for each client, between the protocol and the hub."""

import logging
import math
import time
from collections.abc import Mapping
from typing import Any

from channels.generic.websocket import AsyncJsonWebsocketConsumer
from django.conf import settings

from infra import addresses, formats
from infra.fixed_window import FixedWindow, FixedWindowCounter
from streaming import protocol
from streaming.admission import FULL, Gate, Guest
from streaming.auth import RejectedError
from streaming.engine.reasons import CloseReason
from streaming.engine.sinks import FRAMES
from streaming.hub import Hub
from streaming.metrics import Fault, Inbound
from streaming.protocol import ClientError, Close, Command, ErrorCode, Ping, Subscribe, Unsubscribe
from streaming.send_sinks import SendSink

logger = logging.getLogger(__name__)

# The code of closes that an error comes before, and the code for a connection that ended without a close frame.
_POLICY = Close.UNAUTHORIZED.code
_ABNORMAL = 1006
_NO_TEXT = ClientError(ErrorCode.BINARY_NOT_SUPPORTED, "Send JSON as a text message, not as a binary one.")


class PriceConsumer(AsyncJsonWebsocketConsumer):
    """Serves one client by WebSocket: answers its messages; prices come from the hub, through `self.connection`.

    The hooks are Channels' own: `connect`, `decode_json`, `receive_json`, `disconnect` and `close`. The base's channel
    is not there (`channel_name`, groups, handlers of a layer's messages): each would be one more subscription to Redis
    and one more queue, where the feed has one for all clients of the process. Nor is `send_json` used: a message for
    many clients is encoded once.
    """

    channel_layer_alias = None

    def __init__(self, *, hub: Hub, gate: Gate, user_rates: FixedWindowCounter) -> None:
        super().__init__()
        self.hub = hub
        self.gate = gate
        self.user_rates = user_rates
        self.guest: Guest | None = None
        self.rate = FixedWindow(settings.WS_RATE_WINDOW.total_seconds())
        self.is_served = False
        self.ended = False

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Handle the connection's events one by one, and call `disconnect` however it ends.

        The base's own `__call__` waits for each event in a task of its own, and before each handler closes old database
        connections in a thread; a connection that ends by a defect, or because the server does not wait for it, gets no
        `disconnect`. For a connect with its first prices it takes 290 µs of CPU and 14.9 KB, without the thread 91 µs
        and 9.8 KB; this takes 41 µs and 6.9 KB (docs/decisions/an-engine-of-our-own.md).
        """
        self.scope = scope
        self.base_send = send
        ready_made = scope.get("extensions", {}).get(FRAMES)
        self.connection = self.hub.connection(ready_made or SendSink(self.send, self.give_up))
        code = _ABNORMAL
        try:
            while (event := await receive())["type"] != "websocket.disconnect":
                if event["type"] == "websocket.connect":
                    await self.websocket_connect(event)
                else:
                    await self.websocket_receive(event)
            code = event.get("code", code)
        finally:
            await self.disconnect(code)

    async def connect(self) -> None:
        offered = self.scope.get("subprotocols", [])
        await self.accept(subprotocol=protocol.SUBPROTOCOL if protocol.SUBPROTOCOL in offered else None)
        try:
            self.guest = await self.gate.admit(self.scope, self.end)
            self.is_served = self.hub.join(self.connection)
            if not self.is_served:
                raise RejectedError(Close.AT_CAPACITY, FULL)
        except RejectedError as rejected:
            after_ms = self.hub.spread_ms() if rejected.close is Close.AT_CAPACITY else None
            await self.end(rejected.close, rejected.detail, after_ms)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None, **kwargs: Any) -> None:
        """Take one message, which is text of so many bytes at most. A malformed one does not close the connection."""
        if self.ended:
            return  # sent before the client saw our close
        size = _size(text_data, bytes_data)
        if size > settings.WS_MAX_MESSAGE_BYTES:
            self.hub.metrics.received(Inbound.TOO_BIG, bytes=0)
            await self.end(Close.TOO_BIG)
            return
        try:
            message = _NO_TEXT if text_data is None else await self.decode_json(text_data)
            self.hub.metrics.received(_kind(message), bytes=size)
            await self.receive_json(message)
        except Exception:
            self.hub.metrics.failed(Fault.MESSAGE)
            logger.exception("a defect of ours, met by the client's message %.200r", text_data)
            await self.end(Close.INTERNAL_ERROR)

    @classmethod
    async def decode_json(cls, text_data: str) -> Command | ClientError:
        """Return the command in a message, or the error to answer with."""
        try:
            return protocol.parse(text_data)
        except ClientError as problem:
            return problem

    async def receive_json(self, content: Command | ClientError, **kwargs: Any) -> None:
        """Count a message, and carry it out or answer with the error in it."""
        if not self.is_free(content) and (excess := await self.excess()):
            limit, seconds = excess
            detail = f"{limit} are allowed. Send fewer, and come back in {seconds:.0f} s."
            await self.end(Close.RATE_LIMITED, detail, math.ceil(seconds * 1000))
        elif isinstance(content, ClientError):
            self.connection.answer(protocol.error(content))
        else:
            await self.act_on(content)

    def is_free(self, message: Command | ClientError) -> bool:
        """Return True for a message that does not count: the first subscribe, which a client needs to come back."""
        return isinstance(message, Subscribe) and not self.connection.has_subscribed

    async def excess(self) -> tuple[str, float] | None:
        """Count one more message of this connection, and of all connections of its user in all processes.

        Returns the limit that it exceeds, in words, and the seconds until messages are allowed again; None within both.
        """
        count, limit, where = self.rate.count(time.monotonic()), settings.WS_RATE_LIMIT, "one connection"
        identity = self.guest.identity if self.guest else None
        if count.number <= limit and identity is not None:
            count, limit = await self.user_rates.acount(str(identity.user)), settings.WS_USER_RATE_LIMIT
            where = "all connections of a user together"
        if count.number <= limit:
            return None
        return f"{limit} messages in {self.rate.seconds:g} s on {where}", count.seconds_left

    async def act_on(self, command: Command) -> None:
        """Carry out a command and queue its answer."""
        connection = self.connection
        match command:
            case Subscribe(metals, interval_ms, since, id, candles, epoch, heartbeat_ms):
                if since is not None:
                    await self.hub.feed.wait_for_seq(since, epoch)
                connection.subscribe(metals, since, interval_ms, candles, epoch)
                if heartbeat_ms is not None:
                    self.hub.set_heartbeat(connection, heartbeat_ms)
                connection.answer(
                    protocol.subscribed(
                        connection.metals,
                        connection.interval_ms,
                        id,
                        connection.candles,
                        self.hub.log.epoch,
                        connection.heartbeat_ms,
                    )
                )
            case Unsubscribe(metals, id):
                connection.unsubscribe(metals)
                connection.answer(protocol.unsubscribed(connection.metals, connection.interval_ms, id))
            case Ping(id):
                connection.answer(protocol.pong(id, formats.time(self.hub.now())))

    async def give_up(self) -> None:
        """Close the connection after a defect in sending to it."""
        self.hub.metrics.failed(Fault.SEND)
        await self.end(Close.INTERNAL_ERROR)

    async def end(self, why: Close, detail: str = "", after_ms: int | None = None) -> None:
        """Close with a code and a reason, from which the client knows how to go on.

        A close with 1008 follows an error that tells a program the same: `detail` says what to do, and `after_ms` when
        to come back; None: never as it is.
        """
        self.ended = True
        # Connections that were never served may be any number, which metrics count.
        level = logging.INFO if self.is_served else logging.DEBUG
        logger.log(level, "closing the connection of %s: %s %s", _peer(self.scope), why.code, why.reason)
        self.hub.leave(self.connection, CloseReason.__members__.get(why.name, CloseReason.CLIENT))
        try:
            if why.code == _POLICY:
                await self.send(protocol.last_error(why, detail, after_ms).decode())
            await self.close(why.code, why.reason)
        except OSError as error:
            logger.debug("a client left before it was told why: %s", error)  # as some servers say it

    async def close(self, code: int | bool | None = None, reason: str | None = None) -> None:
        """Close the connection; with 1000 where the server cannot send the code."""
        try:
            await super().close(code, reason)
        except OSError:
            raise
        except Exception as error:
            # Stock Daphne sends 1000 and 3000 to 4999 only, and raises nothing more special for the others.
            logger.warning("the server does not send %s, so 1000 is sent: %s", code, error)
            await super().close(1000)

    async def disconnect(self, code: int) -> None:
        """Forget the client, wherever it was counted or watched."""
        close_reason = self.connection.close_reason
        if close_reason is CloseReason.TOO_BIG:
            self.hub.metrics.received(Inbound.TOO_BIG, bytes=0)  # our server does not hand it on
        self.hub.leave(self.connection, close_reason)
        if self.guest is not None:
            self.guest.leave()
            self.guest = None  # it refers to this consumer: the two would wait for the collector


def _peer(scope: Mapping[str, Any]) -> str:
    client = scope.get("client")
    return addresses.authority(*client) if client else "an unknown address"


def _kind(message: Command | ClientError) -> Inbound:
    return Inbound.INVALID if isinstance(message, ClientError) else Inbound(type(message).__name__.lower())


def _size(text: str | None, data: bytes | None) -> int:
    """Bytes of a message. A text with more characters than the limit has bytes is too long, and not encoded."""
    if text is None:
        return len(data or b"")
    return len(text) if len(text) > settings.WS_MAX_MESSAGE_BYTES else len(text.encode())
