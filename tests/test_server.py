"""What streaming/server.py does for everybody when many come at once."""

import asyncio
from collections.abc import Callable
from typing import Any

from websockets.sync.client import connect

from streaming.transport import Turnstile
from tests.echo_fixtures import EchoServer


class Newcomer:
    """A connection at the turnstile."""

    connected = True
    is_admitted = False
    reads = True

    def stopReading(self) -> None:  # noqa: N802  (Twisted's name)
        self.reads = False

    def startReading(self) -> None:  # noqa: N802
        self.reads = True


async def test_so_many_are_let_in_a_turn_in_the_order_they_came() -> None:
    turnstile = Turnstile(most=2)
    newcomers: list[Any] = [Newcomer() for _ in range(7)]
    assert [turnstile.admits(each) for each in newcomers] == [True, True, *[False] * 5]
    assert [each.reads for each in newcomers] == [True, True, *[False] * 5]
    newcomers[3].connected = False  # it has gone meanwhile
    await asyncio.sleep(0)
    assert [each.is_admitted for each in newcomers[2:]] == [True, False, True, False, False]
    await asyncio.sleep(0)
    assert all(each.is_admitted for each in newcomers[5:])
    await asyncio.sleep(0)
    assert turnstile.admits(Newcomer())  # type: ignore[arg-type]


def test_a_connection_that_has_ended_leaves_nothing_to_the_collector(
    run_echo_server: Callable[..., EchoServer],
) -> None:
    server = run_echo_server()

    def uncollected() -> int:
        with connect(server.ws_url + "garbage", compression=None) as client:
            return int(client.recv(timeout=10))

    uncollected()
    for number in range(40):
        with connect(server.ws_url, compression=None if number % 2 else "deflate") as client:
            client.send("x" * 2000)
            client.recv()
    # One object in a cycle a connection would make 40, and a connection has a hundred.
    assert uncollected() < 20
