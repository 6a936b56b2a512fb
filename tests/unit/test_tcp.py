"""Connections in the engine, with real sockets on a real loop, where something goes wrong at a bad moment."""

import asyncio
import errno
import select
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from streaming.engine.asgi import Runs
from streaming.engine.door import Door
from streaming.engine.polling import READ, polling
from streaming.engine.tcp import MOST_A_TURN, Limits, Sockets, TcpConnection
from tests.support.raw_websocket import request

LIMITS = Limits(
    max_message_bytes=1000,
    max_body_bytes=1000,
    compression_threshold=0,
    timeout=30,
    drain=1,
    standstill=30,
)
LONG = bytes(range(256)) * 16_384  # more than both kernels' buffers take


class Ear(TcpConnection):
    """A connection that keeps what it is sent."""

    def __init__(self, sockets: Sockets, end: socket.socket) -> None:
        super().__init__(sockets, end, ("127.0.0.1", 1))
        self.heard = b""

    def received(self, data: bytes) -> None:
        self.heard += data


@pytest.fixture
def pair() -> Iterator[Callable[[], tuple[Ear, socket.socket]]]:
    """Connect; the client's end is a socket that does not block."""
    with ExitStack() as ends, socket.create_server(("127.0.0.1", 0)) as listener:

        def connect() -> tuple[Ear, socket.socket]:
            client = ends.enter_context(socket.create_connection(listener.getsockname()))
            end, _ = listener.accept()
            ends.enter_context(end)
            for each in (client, end):
                each.setblocking(False)
            return Ear(Sockets(asyncio.get_running_loop(), LIMITS, refused=print), end), client

        yield connect


async def all_of(client: socket.socket) -> bytes:
    """All that the client is sent, to the end."""
    received = b""
    async with asyncio.timeout(8):
        while data := await asyncio.get_running_loop().sock_recv(client, 1 << 20):
            received += data
    return received


async def test_a_frame_that_went_out_in_part_is_completed_before_the_last_one(
    pair: Callable[[], tuple[Ear, socket.socket]],
) -> None:
    """A cohort writes past what is put; that may be a close frame, and it leaves only at the end of the turn."""
    connection, client = pair()
    send = connection.direct
    assert send is not None
    connection.put(b"the end")
    connection.close()
    sent = send(LONG)
    assert 0 < sent < len(LONG)
    connection.keep(LONG, sent)
    assert await all_of(client) == LONG + b"the end"


async def test_a_frame_that_meets_a_closed_connection_leaves_nothing_behind(
    pair: Callable[[], tuple[Ear, socket.socket]],
) -> None:
    connection, _ = pair()
    connection.abort()
    connection.keep(b"a frame", 0)
    assert (len(connection.sockets.timers), connection.writable) == (0, True)


@pytest.mark.parametrize("halves", [1, 2], ids=["as it is accepted", "once its head is whole"])
async def test_a_connection_that_meets_a_defect_as_it_comes_leaves_nothing_behind(
    caplog: pytest.LogCaptureFixture, halves: int
) -> None:
    def broken(*_: Any) -> Any:
        raise TypeError("an application of another kind")

    loop = asyncio.get_running_loop()
    sockets = Sockets(loop, LIMITS, refused=print)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        door = Door(listener, sockets, Runs(loop, broken))
        for _ in range(2):  # the second has the descriptor of the first
            with socket.create_connection(listener.getsockname()) as client:
                head = request()
                client.sendall(head[: len(head) // halves])
                client.setblocking(False)
                door.open()
                async with asyncio.timeout(8):
                    while len(sockets.timers) < halves - 1:
                        await asyncio.sleep(0)
                client.sendall(head[len(head) // halves :])
                with pytest.raises(ConnectionResetError):
                    await all_of(client)
                door.shut()
            assert (len(sockets.timers), sockets.load) == (0, 0)
    assert [str(record.exc_info[1]) for record in caplog.records if record.exc_info] == [
        "an application of another kind"
    ] * 2


async def test_a_burst_is_accepted_in_one_turn_and_read_little_by_little() -> None:
    """The kernel's queue has to be empty soon, and clients that are back already not to wait for all requests."""
    answered: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        answered.append(scope)
        await send({"type": "websocket.accept"})
        await receive()

    loop = asyncio.get_running_loop()
    sockets = Sockets(loop, LIMITS, refused=print)
    with ExitStack() as clients, socket.create_server(("127.0.0.1", 0), backlog=200) as listener:
        for _ in range(100):
            clients.enter_context(socket.create_connection(listener.getsockname())).sendall(request())
        door = Door(listener, sockets, Runs(loop, app))
        door.open()
        async with asyncio.timeout(8):
            while not sockets.timers:
                await asyncio.sleep(0)
            assert len(sockets.timers) == 100
            for _ in range(50):
                before = len(answered)
                await asyncio.sleep(0)
                assert len(answered) - before <= 2 * MOST_A_TURN
            assert len(answered) == 100
        door.shut()
        for connection in sockets.timers:
            connection.abort()


@pytest.mark.skipif(not hasattr(select, "epoll"), reason="the Linux kernel's")
async def test_a_socket_that_the_kernel_has_no_room_to_watch_does_not_spoil_its_descriptor(
    pair: Callable[[], tuple[Ear, socket.socket]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class FullSet:
        def register(self, descriptor: int, events: int) -> None:
            raise OSError(errno.ENOSPC, "as the test wanted")

        def __getattr__(self, name: str) -> Any:
            return getattr(inner, name)

    inner = select.epoll()
    connection, client = pair()
    connection.polled_by.watch(connection.socket.fileno(), connection, 0)
    nested = polling(asyncio.get_running_loop(), 10, nested=True)
    monkeypatch.setattr(nested, "_set", FullSet())
    with pytest.raises(OSError, match="as the test wanted"):
        nested.watch(connection.socket.fileno(), connection, READ)
    monkeypatch.undo()
    nested.watch(connection.socket.fileno(), connection, READ)
    client.send(b"hello")
    async with asyncio.timeout(8):
        while not connection.heard:
            await asyncio.sleep(0)
    assert connection.heard == b"hello"
