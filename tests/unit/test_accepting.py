"""How many new connections a process takes in at a time."""

import asyncio
from typing import Any

from streaming.engine.transport import AcceptThrottle


class Newcomer:
    """A connection at the accept throttle."""

    connected = True
    is_admitted = False
    reads = True

    def stopReading(self) -> None:  # noqa: N802  (Twisted's name)
        self.reads = False

    def startReading(self) -> None:  # noqa: N802  (likewise)
        self.reads = True


async def test_so_many_are_let_in_a_turn_in_the_order_they_came() -> None:
    accept_throttle = AcceptThrottle(most=2)
    newcomers: list[Any] = [Newcomer() for _ in range(7)]
    assert [accept_throttle.admits(each) for each in newcomers] == [True, True, *[False] * 5]
    assert [each.reads for each in newcomers] == [True, True, *[False] * 5]
    newcomers[3].connected = False  # it has gone meanwhile
    await asyncio.sleep(0)
    assert [each.is_admitted for each in newcomers[2:]] == [True, False, True, False, False]
    await asyncio.sleep(0)
    assert all(each.is_admitted for each in newcomers[5:])
    await asyncio.sleep(0)
    assert accept_throttle.admits(Newcomer())  # type: ignore[arg-type]  # it does what a transport does here
