"""The WebSocket endpoint: one consumer for each client, between the protocol and the hub."""

import logging
import time
from collections.abc import Mapping
from typing import Any

from channels.generic.websocket import AsyncJsonWebsocketConsumer
from django.conf import settings

from infra import addresses, formats
from infra.fixed_window import FixedWindow, FixedWindowCounter
from streaming import protocol
from streaming.admission import Gate, Guest
from streaming.auth import RejectedError
from streaming.engine.reasons import CloseReason
from streaming.engine.sinks import FRAMES, SendSink
from streaming.hub import Hub
from streaming.metrics import Fault, Inbound
from streaming.protocol import ClientError, Close, Command, ErrorCode, Ping, Subscribe, Unsubscribe

logger = logging.getLogger(__name__)


class PriceConsumer(AsyncJsonWebsocketConsumer):
    """Serves subscribe, unsubscribe and ping; all else that it sends comes from the hub."""

    # No channel layer of its own: each would be one more subscription to Redis. The feed has the one that serves all.
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
        """Handle the connection's events one by one.

        Channels' own loop also listens to a channel layer, with two tasks for each connection, and hands each event to
        a thread that closes old database connections. This consumer has neither.
        """
        self.scope = scope
        self.base_send = send
        ready_made = scope.get("extensions", {}).get(FRAMES)
        self.connection = self.hub.connection(ready_made or SendSink(self.send, self.give_up))
        try:
            while (event := await receive())["type"] != "websocket.disconnect":
                if event["type"] == "websocket.connect":
                    await self.connect()
                else:
                    await self.websocket_receive(event)
        finally:
            # However the connection ended: by a defect, too, or because the server did not wait for it.
            close_reason = self.connection.close_reason
            if close_reason is CloseReason.TOO_BIG:
                self.hub.metrics.received(Inbound.TOO_BIG, bytes=0)  # our server does not hand it on
            self.hub.leave(self.connection, close_reason)
            if self.guest is not None:
                self.guest.leave()

    async def connect(self) -> None:
        offered = self.scope.get("subprotocols", [])
        await self.accept(subprotocol=protocol.SUBPROTOCOL if protocol.SUBPROTOCOL in offered else None)
        try:
            self.guest = await self.gate.admit(self.scope, self.end)
        except RejectedError as rejected:
            await self.end(rejected.close)
            return
        self.is_served = self.hub.join(self.connection)
        if not self.is_served:
            await self.end(Close.AT_CAPACITY)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None, **kwargs: Any) -> None:
        """Answer one message. A malformed one does not close the connection."""
        if self.ended:
            return  # sent before the client saw our close
        size = _size(text_data, bytes_data)
        if size > settings.WS_MAX_MESSAGE_BYTES:
            self.hub.metrics.received(Inbound.TOO_BIG, bytes=0)
            await self.end(Close.TOO_BIG)
            return
        try:
            message = _read(text_data)
            self.hub.metrics.received(_kind(message), bytes=size)
            if not self.is_free(message) and not await self.is_within_rate():
                await self.end(Close.RATE_LIMITED)
            elif isinstance(message, ClientError):
                self.connection.answer(protocol.error(message))
            else:
                await self.act_on(message)
        except Exception:
            self.hub.metrics.failed(Fault.MESSAGE)
            logger.exception("a defect of ours, met by the client's message %.200r", text_data)
            await self.end(Close.INTERNAL_ERROR)

    def is_free(self, message: Command | ClientError) -> bool:
        """Return True for a message that does not count: the first subscribe, which a client needs to come back."""
        return isinstance(message, Subscribe) and not self.connection.has_subscribed

    async def is_within_rate(self) -> bool:
        """Count one more message of this connection, and of all connections of its user in all processes."""
        if self.rate.count(time.monotonic()).number > settings.WS_RATE_LIMIT:
            return False
        client = self.guest.client if self.guest else None
        if client is None:
            return True
        return (await self.user_rates.acount(str(client.user))).number <= settings.WS_USER_RATE_LIMIT

    async def act_on(self, command: Command) -> None:
        """Carry out a command and queue its answer."""
        connection = self.connection
        match command:
            case Subscribe(metals, interval_ms, since, id, candles, epoch):
                if since is not None:
                    await self.hub.feed.wait_for_seq(since, epoch)
                connection.subscribe(metals, since, interval_ms, candles, epoch)
                connection.answer(
                    protocol.subscribed(
                        connection.metals, connection.interval_ms, id, connection.candles, self.hub.log.epoch
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

    async def end(self, close: Close) -> None:
        """Close with a code and a reason, from which the client knows how to go on."""
        self.ended = True
        # Connections that were never served may be any number, which metrics count.
        level = logging.INFO if self.is_served else logging.DEBUG
        logger.log(level, "closing the connection of %s: %s %s", _peer(self.scope), close.code, close.reason)
        self.hub.leave(self.connection, CloseReason.__members__.get(close.name, CloseReason.CLIENT))
        try:
            await self.close(close.code, close.reason)
        except Exception as error:
            # Stock Daphne sends 1000 and 3000 to 4999 only, and raises nothing more special for the others.
            logger.warning("the server does not send %s, so 1000 is sent: %s", close.code, error)
            await self.close(1000)


def _peer(scope: Mapping[str, Any]) -> str:
    client = scope.get("client")
    return addresses.authority(*client) if client else "an unknown address"


def _read(text: str | None) -> Command | ClientError:
    """The command in a message, or the error to answer with."""
    if text is None:
        return ClientError(ErrorCode.BINARY_NOT_SUPPORTED, "Send JSON as a text message, not as a binary one.")
    try:
        return protocol.parse(text)
    except ClientError as problem:
        return problem


def _kind(message: Command | ClientError) -> Inbound:
    return Inbound.INVALID if isinstance(message, ClientError) else Inbound(type(message).__name__.lower())


def _size(text: str | None, data: bytes | None) -> int:
    """Bytes of a message. A text with more characters than the limit has bytes is too long, and not encoded."""
    if text is None:
        return len(data or b"")
    return len(text) if len(text) > settings.WS_MAX_MESSAGE_BYTES else len(text.encode())
