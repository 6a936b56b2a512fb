"""The streaming engine, by a plain client of a real web process: slow, silent, greedy and returning clients."""

import asyncio
import contextlib
import itertools
import json
import signal
import socket
import time
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest
from websockets.asyncio.client import connect as aconnect
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.conftest import Server
from tests.product import wait_until

HANDSHAKE = (
    "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


@pytest.fixture(scope="module")
def engine(run_server: Callable[..., Server]) -> Server:
    """A web process that sends each tick by itself, and is impatient."""
    return run_server(WS_RATE_LIMIT="1000", WS_BATCH_INTERVAL="0", WS_TIMEOUT="1500", LOG_LEVEL="INFO")


def update(client: ClientConnection) -> dict[str, Any]:
    """The next priceUpdate."""
    while (message := json.loads(client.recv(timeout=10)))["type"] != "priceUpdate":
        pass
    return dict(message)


def tell(client: ClientConnection, **message: Any) -> dict[str, Any]:
    """Send a message; its answer."""
    client.send(json.dumps(message | {"id": "asked"}))
    while (answer := json.loads(client.recv(timeout=10))).get("id") != "asked":
        pass
    return dict(answer)


def silent(server: Server, receive_buffer: int | None = None) -> socket.socket:
    """A client that has shaken hands and says nothing more."""
    peer = socket.socket()
    if receive_buffer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    peer.connect(("127.0.0.1", server.port))
    peer.sendall(HANDSHAKE.encode())
    assert b" 101 " in peer.recv(100)
    return peer


def test_an_interval_merges_what_comes_within_it(engine: Server) -> None:
    engine.publish(gold="100")
    with connect(engine.ws_url) as client:
        assert tell(client, type="subscribe", metals=["gold"], interval=700)["interval"] == 700
        began = time.monotonic()
        assert update(client)["snapshot"] is True
        engine.publish(gold="102")
        engine.publish(gold="105")
        merged = update(client)
        assert time.monotonic() - began >= 0.6
        assert merged["data"]["gold"]["price"] == 105
        assert [change["newPrice"] for change in merged["changes"]] == [102, 105]
        assert tell(client, type="subscribe", metals=["gold"], interval=0)["interval"] is None


def test_who_comes_back_gets_what_was_missed_in_one_update(engine: Server) -> None:
    engine.publish(gold="200")
    with connect(engine.ws_url) as client:
        seen = update(client)["seq"]
    engine.publish(gold="210")
    engine.publish(gold="220")
    with connect(engine.ws_url) as client:
        tell(client, type="subscribe", metals=["gold"], since=seen)
        missed = update(client)
        assert (missed["snapshot"], missed["data"]["gold"]["price"]) == (False, 220)
        assert [change["newPrice"] for change in missed["changes"]] == [210, 220]


def test_a_long_message_is_compressed_for_whom_can_inflate_it(engine: Server) -> None:
    engine.publish(gold="13221.3912", silver="160.4411", platinum="4900.8812", palladium="4300.7712")
    with connect(engine.ws_url) as client, connect(engine.ws_url, compression=None) as plain:
        assert client.response is not None
        assert plain.response is not None
        assert "server_no_context_takeover" in client.response.headers["Sec-WebSocket-Extensions"]
        assert "Sec-WebSocket-Extensions" not in plain.response.headers
        assert update(client)["data"] == update(plain)["data"]


def test_a_client_that_says_nothing_at_all_is_dropped(engine: Server) -> None:
    with silent(engine) as peer, connect(engine.ws_url) as neighbour:
        peer.settimeout(10)
        began = time.monotonic()
        with contextlib.suppress(ConnectionResetError):
            while peer.recv(65536):  # a snapshot and a ping; not answered
                pass
        assert time.monotonic() - began < 2.5
        assert tell(neighbour, type="ping")["type"] == "pong"
    wait_until(lambda: "silent for too long" in engine.output, "the reason in the log")


def test_a_client_that_takes_nothing_is_dropped_and_others_notice_nothing(engine: Server) -> None:
    with silent(engine, receive_buffer=4096), connect(engine.ws_url) as neighbour:
        update(neighbour)
        deadline = time.monotonic() + 15
        for price in itertools.count(1000):
            engine.publish(gold=str(price), silver=str(price), platinum=str(price), palladium=str(price))
            assert update(neighbour)["data"]["gold"]["price"] == price
            if "stalled for too long" in engine.output:
                break
            assert time.monotonic() < deadline


def test_the_metrics_tell_of_connections_and_messages(engine: Server) -> None:
    def metrics() -> str:
        with urllib.request.urlopen(f"{engine.http_url}/metrics") as response:
            return str(response.read().decode())

    with connect(engine.ws_url) as client:
        tell(client, type="ping")
        engine.publish(gold="321")
        update(client)
        text = metrics()
        assert 'swarna_messages_received_total{type="ping"}' in text
        assert "swarna_fan_out_duration_seconds_count" in text
        open_now = [line for line in text.splitlines() if line.startswith("swarna_connections{")]
        assert float(open_now[0].split()[-1]) >= 1


async def test_a_rolling_restart_loses_no_move_for_clients_that_resume(run_server: Callable[..., Server]) -> None:
    server = run_server(
        command=["manage.py", "serve", "--processes", "2"],
        WS_BATCH_INTERVAL="0",
        WS_RESTART_SPREAD="200",
        WS_RATE_LIMIT="1000",
    )
    published: list[float] = []

    async def move() -> None:
        """A tick, fifty of them a second: up or down by a tenth, to a price that was not yet."""
        price = round((100 if len(published) % 2 else 110) + len(published) / 1000, 3)
        await asyncio.to_thread(server.publish, gold=str(price))
        published.append(price)
        await asyncio.sleep(0.02)

    async def follow(heard: list[float]) -> int:
        """Hear every move until the last one; how often the client was told to come back."""
        seen: int | None = None
        restarts = 0
        while True:
            with contextlib.suppress(ConnectionClosed):
                async with aconnect(server.ws_url) as client:
                    since: dict[str, int] = {} if seen is None else {"since": seen}
                    await client.send(json.dumps({"type": "subscribe", "metals": ["gold"], "id": 1} | since))
                    answered = False
                    async for text in client:
                        message = json.loads(text)
                        answered = answered or message["type"] == "subscribed"
                        restarts += int(message["type"] == "restart")
                        if answered and message["type"] == "priceUpdate":
                            assert not (seen is not None and message["snapshot"])
                            heard += [change["newPrice"] for change in message["changes"]]
                            seen = message["seq"]
                            if message["data"]["gold"]["price"] == LAST:
                                return restarts

    await move()
    async with asyncio.timeout(40):
        heard: list[list[float]] = [[] for _ in range(6)]
        followers = [asyncio.create_task(follow(each)) for each in heard]
        server.signal(signal.SIGUSR1)
        while server.output.count("listening on") < 4 or "replacing web 2" not in server.output:
            await move()
        for _ in range(5):
            await move()
        await asyncio.to_thread(server.publish, gold=str(LAST))
        restarts = await asyncio.gather(*followers)
    assert sum(restarts) >= len(followers)
    for each in heard:
        # Each began somewhere; from there on it heard all, in order and once.
        assert each == [*published, LAST][-len(each) :]
        assert len(each) > 50


LAST = 7


def test_a_process_that_is_told_to_end_tells_each_client_when_to_come_back(run_server: Callable[..., Server]) -> None:
    server = run_server(WS_RESTART_SPREAD="5000")
    server.publish(gold="100")
    delays = []
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connect(server.ws_url)) for _ in range(5)]
        for client in clients:
            update(client)
        server.signal(signal.SIGTERM)
        for client in clients:
            while (message := json.loads(client.recv(timeout=10)))["type"] != "restart":
                pass
            delays.append(message["afterMs"])
            with pytest.raises(ConnectionClosed):
                client.recv(timeout=10)
            assert (client.close_code, client.close_reason) == (1012, "Service restart")
    assert len(set(delays)) > 1
    assert all(0 <= delay <= 5000 for delay in delays)
    assert server.wait() == 0
    assert "Traceback" not in server.output


def test_a_process_that_is_told_to_end_twice_ends_once(run_server: Callable[..., Server]) -> None:
    server = run_server(WS_DRAIN_TIMEOUT="2000")
    with silent(server):  # answers no close frame, and so makes the process wait for a second at least
        server.signal(signal.SIGTERM)
        time.sleep(0.2)
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
    assert "Traceback" not in server.output


def test_a_lone_process_that_is_asked_to_be_replaced_stays(run_server: Callable[..., Server]) -> None:
    server = run_server()
    server.publish(gold="100")
    with connect(server.ws_url) as client:
        update(client)
        server.signal(signal.SIGUSR1)
        assert tell(client, type="ping")["type"] == "pong"
    wait_until(lambda: "this process stays" in server.output, "it to say so")
