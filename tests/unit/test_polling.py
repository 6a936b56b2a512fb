"""Many sockets on one loop, by the kernel's nested set and by the loop's own readers."""

import asyncio
import contextlib
import select
import socket
from collections.abc import Callable, Iterator

import pytest

from streaming.engine.polling import LONGEST_TURN, READ, WRITE, Polling, polling

KINDS = [True, False] if hasattr(select, "epoll") else [False]


class Owner:
    """The owner of one end of a pair, and what it was told."""

    def __init__(self, ends: contextlib.ExitStack) -> None:
        self.socket, self.other = map(ends.enter_context, socket.socketpair())
        self.socket.setblocking(False)
        self.told: list[str] = []
        self.fails = False

    def read_ready(self) -> None:
        self.told.append(self.socket.recv(100).decode())
        if self.fails:
            raise ValueError("as the test wanted")

    def write_ready(self) -> None:
        self.told.append("may write")

    def fail(self) -> None:
        self.told.append("aborted")


@pytest.fixture
def owner() -> Iterator[Callable[[], Owner]]:
    """Make owners, whose sockets are closed at the end."""
    with contextlib.ExitStack() as ends:
        yield lambda: Owner(ends)


@pytest.fixture(params=KINDS, ids=lambda nested: "nested" if nested else "flat")
def kind(request: pytest.FixtureRequest) -> Callable[[int], Polling]:
    """Make sets of one kind or the other on the running loop."""
    return lambda most: polling(asyncio.get_running_loop(), most, nested=request.param)


async def a_few_turns() -> None:
    """Let the loop look at all sockets that are ready by now."""
    for _ in range(4):
        await asyncio.sleep(0)


async def test_an_owner_is_told_of_what_it_is_watched_for(
    kind: Callable[[int], Polling], owner: Callable[[], Owner]
) -> None:
    sockets, one = kind(10), owner()
    number = one.socket.fileno()
    one.other.send(b"early")
    await a_few_turns()
    assert one.told == []
    sockets.watch(number, one, READ)
    await a_few_turns()
    assert one.told == ["early"]
    sockets.watch(number, one, WRITE)
    one.other.send(b"unread")
    await a_few_turns()
    assert set(one.told[1:]) == {"may write"}
    sockets.watch(number, one, READ)
    await a_few_turns()
    assert one.told[-1] == "unread"
    sockets.watch(number, one, 0)
    told = len(one.told)
    one.other.close()  # which the kernel would tell of, wanted or not
    await a_few_turns()
    assert len(one.told) == told


async def test_an_owner_may_take_the_place_of_another(
    kind: Callable[[int], Polling], owner: Callable[[], Owner]
) -> None:
    sockets, first, second = kind(10), owner(), owner()
    sockets.watch(first.socket.fileno(), first, READ)
    second.socket = first.socket
    sockets.watch(first.socket.fileno(), second, READ)
    first.other.send(b"hello")
    await a_few_turns()
    assert (first.told, second.told) == ([], ["hello"])
    sockets.watch(first.socket.fileno(), second, 0)


async def test_so_many_are_served_in_a_turn_and_none_is_forgotten(
    kind: Callable[[int], Polling], owner: Callable[[], Owner]
) -> None:
    sockets, all_of_them = kind(2), [owner() for _ in range(7)]
    for each in all_of_them:
        sockets.watch(each.socket.fileno(), each, READ)
        each.other.send(b"x")
    served = [0]
    while served[-1] < 7:
        await asyncio.sleep(0)
        served.append(sum(len(each.told) for each in all_of_them))
        assert served[-1] - served[-2] <= 2
        assert len(served) < 50
    for each in all_of_them:
        sockets.watch(each.socket.fileno(), each, 0)


async def test_a_defect_ends_its_connection_and_no_other(
    kind: Callable[[int], Polling], owner: Callable[[], Owner], caplog: pytest.LogCaptureFixture
) -> None:
    sockets, bad, good = kind(10), owner(), owner()
    bad.fails = True
    for each in (bad, good):
        sockets.watch(each.socket.fileno(), each, READ)
        each.other.send(b"x")
    await a_few_turns()
    assert (bad.told, good.told) == (["x", "aborted"], ["x"])
    assert "as the test wanted" in caplog.text
    for each in (bad, good):
        sockets.watch(each.socket.fileno(), each, 0)


@pytest.mark.skipif(not hasattr(select, "epoll"), reason="a set of the kernel's is Linux's")
async def test_sockets_for_which_a_turn_had_no_time_come_first_in_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    order: list[Owner] = []
    monkeypatch.setattr("streaming.engine.polling.time.monotonic", lambda: now)

    class Flood(Owner):
        """The owner of a connection whose client sends more than can be read, each time for a whole turn."""

        def read_ready(self) -> None:
            nonlocal now
            now += LONGEST_TURN * 0.6
            order.append(self)

    with contextlib.ExitStack() as ends:
        sockets, floods = polling(asyncio.get_running_loop(), 10, nested=True), [Flood(ends) for _ in range(5)]
        for each in floods:
            sockets.watch(each.socket.fileno(), each, READ)
            each.other.send(b"x")
        await asyncio.sleep(0)
        while len(order) < 10:
            before = len(order)
            await asyncio.sleep(0)
            assert len(order) - before <= 2
        assert order[:10] == floods * 2
        for each in floods:
            sockets.watch(each.socket.fileno(), each, 0)
