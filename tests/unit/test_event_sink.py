"""The sink of Server-Sent Events on ASGI's `send`."""

import asyncio
from typing import Any

import pytest

from streaming import protocol
from streaming.engine.frames import Frame
from streaming.engine.reasons import CloseReason
from streaming.send_sinks import EventSink

FIRST, SECOND, LAST = (Frame(protocol.restart(number)) for number in range(3))


class Client:
    """A server's side of a client, with all that it took; `free` is cleared while it takes nothing."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []
        self.ends = 0
        self.free = asyncio.Event()
        self.free.set()
        self.failure: Exception | None = None
        self.failures = 0
        self.flushes = 0
        self.sink = EventSink(self.send, self.failed)
        self.sink.listener = self

    async def send(self, message: dict[str, Any]) -> None:
        await self.free.wait()
        if self.failure is not None:
            raise self.failure
        assert not self.ends, "nothing may follow the end"
        self.taken.append(message["body"])
        self.ends += not message["more_body"]

    async def failed(self) -> None:
        self.failures += 1

    def flush(self) -> None:
        self.flushes += 1

    def restart(self) -> None:
        pytest.fail("no server calls this")

    async def settled(self) -> None:
        for _ in range(10):
            await asyncio.sleep(0)


@pytest.fixture
async def client() -> Client:
    return Client()


async def test_it_takes_nothing_before_it_begins_and_then_asks_for_the_newest(client: Client) -> None:
    await client.settled()
    assert (client.sink.writable, client.flushes) == (False, 0)
    client.sink.begin()
    await client.settled()
    assert (client.sink.writable, client.flushes, client.taken) == (True, 1, [])


async def test_it_is_not_writable_while_a_slow_client_has_an_event_to_take(client: Client) -> None:
    client.sink.begin()
    await client.settled()
    client.free.clear()
    assert client.sink.write(FIRST) == len(FIRST.event)
    await client.settled()
    assert (client.sink.writable, client.taken) == (False, [])
    client.free.set()
    await client.settled()
    assert (client.sink.writable, client.taken, client.flushes) == (True, [FIRST.event], 2)


async def test_it_ends_after_what_was_written_and_once(client: Client) -> None:
    client.sink.begin()
    client.free.clear()
    client.sink.write(FIRST)
    client.sink.write(LAST)
    client.sink.stop()
    client.free.set()
    await client.settled()
    client.sink.stop()
    await client.settled()
    assert (client.taken, client.ends, client.flushes) == ([FIRST.event, LAST.event, b""], 1, 0)
    assert client.failures == 0


async def test_what_was_written_before_it_begins_follows_the_head(client: Client) -> None:
    client.sink.write(LAST)
    client.sink.stop()
    await client.settled()
    assert client.taken == []
    client.sink.begin()
    await client.settled()
    assert (client.taken, client.ends) == ([LAST.event, b""], 1)


async def test_a_client_that_left_is_no_fault(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    client.failure = ConnectionResetError("gone")
    client.sink.begin()
    client.sink.write(FIRST)
    await client.settled()
    assert (client.failures, client.sink.dropped, caplog.text) == (0, "", "")


async def test_a_defect_in_sending_is_counted_and_told(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    client.failure = RuntimeError("a defect")
    client.sink.begin()
    client.sink.write(FIRST)
    await client.settled()
    assert (client.failures, client.sink.dropped) == (1, CloseReason.INTERNAL_ERROR)
    assert "a message could not be sent" in caplog.text
