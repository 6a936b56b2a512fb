"""Server-Sent Events on a hub whose database is the test's: a credential that ends, whenever it does."""

import asyncio
import json
from collections.abc import Collection, Mapping

import pytest

from accounts import tokens
from infra.redaction import TOKEN_PREFIX
from streaming import event_stream, feed
from streaming.admission import Gate
from streaming.auth import Authenticator, Credential
from streaming.event_stream import PATH, EventStream
from streaming.limits import ConnectionLimiter
from tests.support.asgi import AsgiRequest, not_for_django, rules_of
from tests.support.event_source import EventParser
from tests.support.hub import World, rarely, world
from tests.support.quotes import quote

__all__ = ["rarely", "world"]  # fixtures

TOKEN = f"{TOKEN_PREFIX}{'0a1b2c3d' * 8}"


class Members:
    """A web process's streams for those alone who are somebody, and the one token that is good."""

    def __init__(self, world: World) -> None:
        self.hub = world.hub
        self.is_good = True
        auth = Authenticator(look_up=self.look_up, required=True, recheck=0.02)
        self.limiter = ConnectionLimiter(1)
        gate = Gate(auth, self.limiter, self.hub.metrics)
        self.application = EventStream(not_for_django, self.hub, gate, rules_of(self.hub))

    async def look_up(self, credentials: Collection[Credential]) -> Mapping[Credential, int]:
        good = Credential("token", tokens.digest(TOKEN) or "")
        return {credential: 7 for credential in credentials if self.is_good and credential == good}

    async def until_served(self) -> None:
        """Wait until there is one client."""
        async with asyncio.timeout(8):
            while len(self.hub.connections) != 1:
                await asyncio.sleep(0.001)

    def ask(self, query: str = "", token: str = TOKEN) -> AsgiRequest:
        return AsgiRequest(self.application, PATH, query, {"Authorization": f"Bearer {token}"})


@pytest.fixture
async def members(rarely: World) -> Members:
    rarely.write(quote(price="100"))
    await rarely.hub.first_reading(within=8)
    return Members(rarely)


async def test_after_a_silence_there_is_a_heartbeat_which_is_no_position(
    members: Members, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert event_stream._HEARTBEAT_MS == 15_000
    monkeypatch.setattr(event_stream, "_HEARTBEAT_MS", 1)
    stream = members.ask()
    async with asyncio.timeout(8):
        while b"event: heartbeat" not in stream.body:
            await asyncio.sleep(0.01)
    update, _, heartbeat, *_ = EventParser().feed(stream.body)
    assert (heartbeat.type, heartbeat.message["seq"]) == ("heartbeat", update.message["seq"])
    assert heartbeat.last_event_id == update.last_event_id
    stream.gone.set()
    await stream.task


async def test_a_stream_whose_credential_ends_says_so_and_ends(members: Members) -> None:
    stream = members.ask()
    await members.until_served()
    members.is_good = False
    status, _, body = await stream.answer()
    events = list(EventParser().feed(body))
    assert (status, [event.type for event in events]) == (200, ["priceUpdate", "status", "error"])
    assert events[-1].message["code"] == "unauthorized"
    assert (len(members.hub.connections), members.limiter.counts) == (0, {})


async def test_a_credential_that_ends_before_the_stream_begins_gets_no_price(
    members: Members, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While this process looks for the publication that the client has seen in another."""
    monkeypatch.setattr(feed, "_READ_TIMEOUT", 0.3)
    world.hangs = True
    stream = members.ask("lastEventId=first:99")
    async with asyncio.timeout(8):
        while not world.hung:
            await asyncio.sleep(0.001)
    members.is_good = False
    status, headers, body = await stream.answer()
    assert (status, headers[b"www-authenticate"], json.loads(body)["status"]) == (401, b"Bearer", 401)
    assert (len(members.hub.connections), members.limiter.counts) == (0, {})


async def test_a_refused_client_leaves_nothing_behind(members: Members) -> None:
    status, _, _ = await members.ask(token="swarna_none").answer()
    assert status == 401
    first = members.ask()
    await members.until_served()
    assert (await members.ask().answer())[0] == 503
    first.gone.set()
    await first.task
    assert (len(members.hub.connections), members.limiter.counts) == (0, {})


async def test_while_the_process_ends_nobody_is_served_any_more(members: Members) -> None:
    stream = members.ask()
    await members.until_served()
    members.hub.drain()
    status, _, body = await stream.answer()
    assert (status, [event.type for event in EventParser().feed(body)][-1]) == (200, "restart")
    status, headers, _ = await members.ask().answer()
    assert (status, int(headers[b"retry-after"]) >= 1) == (503, True)
    assert len(members.hub.connections) == 0
