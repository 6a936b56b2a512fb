"""The consumer as Channels runs it: with Channels' own communicator, which is a server without a socket."""

import asyncio
import contextlib
import datetime as dt
import json
from collections.abc import Collection
from typing import Any, ClassVar

import pytest
from channels.testing import WebsocketCommunicator

from infra.fixed_window import FixedWindowCounter
from streaming import protocol
from streaming.admission import Gate
from streaming.auth import Authenticator, Credential, Holders
from streaming.consumers import PriceConsumer
from streaming.limits import ConnectionLimiter
from streaming.protocol import Ping
from tests.unit.test_continuity import World


async def nobody(credentials: Collection[Credential]) -> Holders:
    return {}


class Hooked(PriceConsumer):
    """Notes the hooks that are called."""

    called: ClassVar[list[tuple[Any, ...]]]

    async def connect(self) -> None:
        self.called.append(("connect",))
        await super().connect()

    async def receive_json(self, content: Any, **kwargs: Any) -> None:
        self.called.append(("receive_json", content))
        await super().receive_json(content, **kwargs)

    async def close(self, code: Any = None, reason: str | None = None) -> None:
        self.called.append(("close", code))
        await super().close(code, reason)

    async def disconnect(self, code: int) -> None:
        self.called.append(("disconnect", code))
        await super().disconnect(code)


class Shop:
    """A hub with prices, and a limit of one connection for each address."""

    def __init__(self) -> None:
        self.world = World()
        self.limiter = ConnectionLimiter(1)
        self.called: list[tuple[Any, ...]] = []

    def visit(self, kind: type[PriceConsumer] = Hooked) -> WebsocketCommunicator:
        hub = self.world.hub
        gate = Gate(Authenticator(look_up=nobody, required=False, recheck=60), self.limiter, hub.metrics)
        rates = FixedWindowCounter(None, "", dt.timedelta(minutes=1))
        Hooked.called = self.called
        visitor = WebsocketCommunicator(kind.as_asgi(hub=hub, gate=gate, user_rates=rates), "/")
        visitor.scope["client"] = ("192.0.2.1", 4711)
        return visitor


@pytest.fixture
async def shop() -> Any:
    shop = Shop()
    await shop.world.begin()
    shop.world.hub.start()
    yield shop
    await shop.world.hub.stop()


async def greeted(visitor: WebsocketCommunicator) -> None:
    """Connect, and take the snapshot and the status."""
    assert (await visitor.connect())[0]
    assert [(await visitor.receive_json_from())["type"] for _ in range(2)] == ["priceUpdate", "status"]


async def test_the_hooks_of_channels_are_called_with_what_channels_gives_them(shop: Shop) -> None:
    visitor = shop.visit()
    await greeted(visitor)
    await visitor.send_json_to({"type": "ping", "id": 7})
    assert (await visitor.receive_json_from())["id"] == 7
    await visitor.disconnect(1001)
    assert shop.called == [("connect",), ("receive_json", Ping(7)), ("disconnect", 1001)]


async def test_decode_json_returns_the_error_to_answer_with() -> None:
    error = await PriceConsumer.decode_json("{")
    assert isinstance(error, protocol.ClientError)
    assert await PriceConsumer.decode_json('{"type": "ping"}') == Ping(None)


async def test_a_connection_that_ends_is_forgotten(shop: Shop) -> None:
    visitor = shop.visit()
    await greeted(visitor)
    assert (len(shop.world.hub.connections), sum(shop.limiter.counts.values())) == (1, 1)
    await visitor.disconnect()
    assert (len(shop.world.hub.connections), sum(shop.limiter.counts.values())) == (0, 0)


async def test_a_connection_that_its_server_does_not_wait_for_is_forgotten_too(shop: Shop) -> None:
    visitor = shop.visit()
    await greeted(visitor)
    visitor.future.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await visitor.future
    assert (len(shop.world.hub.connections), sum(shop.limiter.counts.values())) == (0, 0)
    assert shop.called[-1] == ("disconnect", 1006)


async def test_one_connection_too_many_of_an_address_is_told_why_and_closed(shop: Shop) -> None:
    first, second = shop.visit(), shop.visit()
    await greeted(first)
    assert (await second.connect())[0]
    error = await second.receive_json_from()
    assert (error["code"], error["retry"]) == ("at_capacity", "later")
    assert await second.receive_output() == {
        "type": "websocket.close",
        "code": 1008,
        "reason": "Server at capacity",
    }
    for visitor in (second, first):
        await visitor.disconnect()
    assert sum(shop.limiter.counts.values()) == 0


async def test_a_defect_is_logged_and_closes_the_connection(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    class Broken(PriceConsumer):
        async def act_on(self, command: Any) -> None:
            raise ZeroDivisionError

    visitor = shop.visit(Broken)
    await greeted(visitor)
    await visitor.send_json_to({"type": "ping"})
    assert (await visitor.receive_output())["code"] == 1011
    await visitor.send_json_to({"type": "ping"})  # sent before the close was seen
    await visitor.disconnect()
    assert caplog.text.count("a defect of ours") == 1


async def test_where_the_server_sends_no_such_code_the_connection_is_closed_with_1000(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    sent: list[dict[str, Any]] = []

    async def picky(message: dict[str, Any]) -> None:
        if message.get("code", 1000) != 1000:
            raise ValueError("invalid close code")
        sent.append(message)

    events = asyncio.Queue[dict[str, Any]]()
    scope = {"type": "websocket", "subprotocols": [], "headers": [], "client": ("192.0.2.1", 1)}
    for event in (
        {"type": "websocket.connect"},
        {"type": "websocket.receive", "text": "x" * 20_000},
        {"type": "websocket.disconnect", "code": 1000},
    ):
        events.put_nowait(event)
    await shop.visit(PriceConsumer).application(scope, events.get, picky)
    assert sent[-1] == {"type": "websocket.close", "code": 1000}
    assert "does not send 1009" in caplog.text


async def test_a_binary_message_is_answered_with_what_to_send(shop: Shop) -> None:
    visitor = shop.visit()
    await greeted(visitor)
    await visitor.send_to(bytes_data=json.dumps({"type": "ping"}).encode())
    assert (await visitor.receive_json_from())["code"] == "binary_not_supported"
    await visitor.disconnect()
