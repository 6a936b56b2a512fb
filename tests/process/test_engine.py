"""The streaming engine, by a plain client of a real web process: slow, silent, greedy and returning clients."""

import asyncio
import contextlib
import itertools
import json
import signal
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest
from websockets.asyncio.client import connect as aconnect
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.support.product import wait_until
from tests.support.raw_websocket import CLOSE, KEY, TEXT, Peer, frame, request
from tests.support.scrape import by_label, metrics, rejections
from tests.support.server import Server
from tests.support.stream_client import exchange, receive

LAST = 7  # a price that ends a stream of them


@pytest.fixture(scope="module")
def engine(run_server: Callable[..., Server]) -> Server:
    """A web process that sends each publication by itself, and is impatient."""
    return run_server(WS_RATE_LIMIT="1000", WS_BATCH_INTERVAL="0", WS_TIMEOUT="1500", LOG_LEVEL="INFO")


def test_an_interval_merges_what_comes_within_it(engine: Server) -> None:
    engine.publish(gold="100")
    with connect(engine.ws_url) as client:
        assert exchange(client, type="subscribe", metals=["gold"], interval=700)["interval"] == 700
        began = time.monotonic()
        assert receive(client, "priceUpdate")["snapshot"] is True
        engine.publish(gold="102")
        engine.publish(gold="105")
        merged = receive(client, "priceUpdate")
        assert time.monotonic() - began >= 0.6
        assert merged["data"]["gold"]["price"] == 105
        assert [change["newPrice"] for change in merged["changes"]] == [102, 105]
        assert exchange(client, type="subscribe", metals=["gold"], interval=0)["interval"] is None


def test_who_comes_back_gets_what_was_missed_in_one_update(engine: Server) -> None:
    engine.publish(gold="200")
    with connect(engine.ws_url) as client:
        seen = receive(client, "priceUpdate")["seq"]
    engine.publish(gold="210")
    engine.publish(gold="220")
    with connect(engine.ws_url) as client:
        exchange(client, type="subscribe", metals=["gold"], since=seen)
        missed = receive(client, "priceUpdate")
        assert (missed["snapshot"], missed["data"]["gold"]["price"]) == (False, 220)
        assert [change["newPrice"] for change in missed["changes"]] == [210, 220]


def test_a_long_message_is_compressed_for_whom_can_inflate_it(engine: Server) -> None:
    engine.publish(gold="13221.3912", silver="160.4411", platinum="4900.8812", palladium="4300.7712")
    with connect(engine.ws_url) as client, connect(engine.ws_url, compression=None) as plain:
        assert client.response is not None
        assert plain.response is not None
        assert "server_no_context_takeover" in client.response.headers["Sec-WebSocket-Extensions"]
        assert "Sec-WebSocket-Extensions" not in plain.response.headers
        assert receive(client, "priceUpdate")["data"] == receive(plain, "priceUpdate")["data"]


def test_a_client_that_says_nothing_at_all_is_dropped(engine: Server) -> None:
    with Peer(engine.port) as peer, connect(engine.ws_url) as neighbour:
        peer.open()
        assert peer.ends_within(10)  # after a snapshot and a ping; by default it would be half a minute
        assert exchange(neighbour, type="ping")["type"] == "pong"
    wait_until(lambda: "silent for too long" in engine.output, "the reason in the log")


def test_a_client_that_takes_nothing_is_dropped_and_others_notice_nothing(engine: Server) -> None:
    with Peer(engine.port, receive_buffer=4096) as peer, connect(engine.ws_url) as neighbour:
        peer.open()
        receive(neighbour, "priceUpdate")
        deadline = time.monotonic() + 15
        for price in itertools.count(1000):
            engine.publish(gold=str(price), silver=str(price), platinum=str(price), palladium=str(price))
            assert receive(neighbour, "priceUpdate")["data"]["gold"]["price"] == price
            if "stalled for too long" in engine.output:
                break
            assert time.monotonic() < deadline


def test_a_client_that_reads_slowly_but_steadily_stays_and_gets_the_newest_price(engine: Server) -> None:
    with Peer(engine.port, receive_buffer=4096) as peer:
        peer.open()
        # Long answers in short order: at its pace, each takes longer than a client may take nothing at all.
        peer.send(frame(TEXT, json.dumps({"type": "ping", "id": "x" * 14_000}).encode()) * 4)
        price = 2000
        began = sipped_at = time.monotonic()
        while (now := time.monotonic()) - began < 7:  # seconds, in which the answers are not through
            peer.sip(int(7000 * (now - sipped_at)) + 1)  # 7 KB a second, however long a publication takes to publish
            sipped_at = now
            price += 1
            engine.publish(gold=str(price))
            time.sleep(0.05)
        pongs, updates = 0, [0.0]
        while updates[-1] != price:  # the snapshot holds whatever an earlier test published, a higher price too
            message = json.loads(peer.receive().payload)
            pongs += message["type"] == "pong"
            updates += [message["data"]["gold"]["price"]] if message["type"] == "priceUpdate" else []
        assert pongs == 4
        assert len(updates) < (price - 2000) / 3  # what it was too slow for came merged


def test_the_metrics_tell_of_connections_and_messages(engine: Server) -> None:
    with connect(engine.ws_url) as client:
        exchange(client, type="ping")
        before = metrics(engine)
        assert sum(by_label(engine, "swarna_connections").values()) >= 1
        exchange(client, type="ping")
        engine.publish(gold="321")
        receive(client, "priceUpdate")
        after = metrics(engine)
    for name in ('swarna_messages_received_total{type="ping"}', "swarna_fan_out_duration_seconds_count"):
        assert after[name] > before.get(name, 0), name


@pytest.mark.parametrize(
    "handshake",
    [
        pytest.param(request(path="/elsewhere"), id="at another path"),
        pytest.param(request(without="Sec-WebSocket-Key"), id="without a key"),
        pytest.param(request(version="HTTP/1.0"), id="of another HTTP"),
    ],
)
def test_a_handshake_that_is_turned_away_is_counted_once(engine: Server, handshake: bytes) -> None:
    before = rejections(engine).get("handshake", 0)
    with Peer(engine.port) as peer:
        assert peer.shake(handshake).status in (400, 403)
    assert rejections(engine) == {"handshake": before + 1}


def test_who_asks_a_process_that_ends_is_turned_away_and_counted(
    run_server: Callable[..., Server], tmp_path: Path
) -> None:
    ending, other = (run_server(METRICS_DIR=str(tmp_path)) for _ in range(2))
    kept = HTTPConnection("127.0.0.1", ending.port, timeout=10)  # the port itself takes nobody in any more
    kept.request("GET", "/healthz")
    kept.getresponse().read()
    with Peer(ending.port) as lingering:
        lingering.open()
        ending.signal(signal.SIGTERM)
        while lingering.receive().opcode != CLOSE:
            pass  # and does not answer it: the process waits
        upgrade = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
        kept.request("GET", "/", headers=upgrade | {"Sec-WebSocket-Key": KEY})
        assert kept.getresponse().status == 503
    kept.close()
    assert rejections(other) == {"restart": 1}


async def test_a_rolling_restart_loses_no_move_for_clients_that_resume(run_server: Callable[..., Server]) -> None:
    server = run_server(
        command=["manage.py", "serve", "--processes", "2"],
        WS_BATCH_INTERVAL="0",
        WS_RESTART_SPREAD="200",
        WS_RATE_LIMIT="1000",
    )
    published: list[float] = []

    async def move() -> None:
        """A publication, fifty of them a second: up or down by a tenth, to a price that was not yet."""
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
            assert "the old one stays" not in server.output, server.output
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


def test_a_process_that_is_told_to_end_tells_each_client_when_to_come_back(run_server: Callable[..., Server]) -> None:
    server = run_server(WS_RESTART_SPREAD="5000")
    server.publish(gold="100")
    delays = []
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connect(server.ws_url)) for _ in range(5)]
        for client in clients:
            receive(client, "priceUpdate")
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
    with Peer(server.port) as peer:  # answers no close frame, and so makes the process wait for a second at least
        peer.open()
        server.signal(signal.SIGTERM)
        while peer.receive().opcode != CLOSE:
            pass
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
    assert "Traceback" not in server.output


def test_a_lone_process_that_is_asked_to_be_replaced_stays(server: Server) -> None:
    server.publish(gold="100")
    with connect(server.ws_url) as client:
        receive(client, "priceUpdate")
        server.signal(signal.SIGUSR1)
        assert exchange(client, type="ping")["type"] == "pong"
    wait_until(lambda: "this process stays" in server.output, "it to say so")


def test_what_comes_within_the_batch_interval_is_merged_at_its_end(run_server: Callable[..., Server]) -> None:
    server = run_server(WS_BATCH_INTERVAL="2000")
    server.publish(gold="13000")
    with connect(server.ws_url) as client:
        receive(client, "status")
        server.publish(gold="13200")  # at once: nothing was sent to anybody lately
        first = receive(client, "priceUpdate")
        server.publish(gold="13400")
        server.publish(gold="13600")
        merged = receive(client, "priceUpdate")
    assert (first["data"]["gold"]["price"], merged["data"]["gold"]["price"]) == (13200, 13600)
    assert merged["seq"] == first["seq"] + 2
    assert [move["newPrice"] for move in merged["changes"]] == [13400, 13600]


def test_a_head_has_no_body_that_the_next_answer_would_be_lost_behind(server: Server) -> None:
    connection = HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.request("HEAD", "/api/schema/")  # longer than what Django hands on at once
    answer = connection.getresponse()
    assert (int(answer.headers["Content-Length"]) > 65536, answer.read()) == (True, b"")
    connection.request("GET", "/healthz")
    assert connection.getresponse().read() == b"ok"
    connection.close()


def test_a_body_that_is_too_long_is_a_problem_too(server: Server) -> None:
    connection = HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.putrequest("PATCH", "/api/v1/config/")
    connection.putheader("Content-Length", "3000000")
    connection.endheaders()
    answer = connection.getresponse()
    assert (answer.status, answer.headers["Content-Type"]) == (413, "application/problem+json")
    assert json.load(answer)["status"] == 413
    connection.close()


def test_a_body_that_comes_in_chunks_is_read_as_one_of_known_length(server: Server) -> None:
    """As from a client that streams what it sends: DRF would take it for empty, and a change of nothing for done."""

    def answer(body: bytes | Iterator[bytes]) -> tuple[int, bytes]:
        with contextlib.closing(HTTPConnection("127.0.0.1", server.port, timeout=5)) as connection:
            connection.request("POST", "/api/v1/auth/token/", body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            return response.status, response.read()

    parts = b'{"username": "nobody", ', b'"colour": "red"}'
    plain = answer(b"".join(parts))
    assert (plain[0], b"colour" in plain[1]) == (400, True)
    assert answer(iter(parts)) == plain


@pytest.mark.parametrize("upgrade", ["h2c", "TLS/1.0, HTTP/2.0", "websockets"])
def test_an_upgrade_to_anything_but_websocket_is_ignored(server: Server, upgrade: str) -> None:
    """RFC 9110, 7.8. Java's HttpClient asks for h2c with every request, and `curl --http2` too."""

    def answer(method: str, path: str, **headers: str) -> tuple[int, bytes]:
        with contextlib.closing(HTTPConnection("127.0.0.1", server.port, timeout=5)) as connection:
            connection.request(method, path, b'{"username": "nobody"}', {"Content-Type": "application/json", **headers})
            response = connection.getresponse()
            return response.status, response.read()

    asked = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": upgrade, "HTTP2-Settings": "AAMAAABkAARAAAAAAAIAAAAA"}
    before = rejections(server)
    for method, path, status in (("POST", "/api/v1/auth/token/", 400), ("PATCH", "/api/v1/config/", 401)):
        plain = answer(method, path)
        assert (plain[0], answer(method, path, **asked)) == (status, plain)
    assert b"This field is required" in answer("POST", "/api/v1/auth/token/", **asked)[1]
    assert rejections(server) == before
    with Peer(server.port) as peer:
        assert peer.shake(f"GET /healthz HTTP/1.0\r\nUpgrade: {upgrade}\r\n\r\n".encode()).status == 200


# --- headers by which a client would say more than it may ----------------------------------------------------------

# What some server or framework reads of them: where the application is, who asks from where, what for and by which way.
TRUSTED_ELSEWHERE = [
    *("Daphne-Root-Path", "daphne-root-path", "Daphne_Root_Path", "Script-Name", "X-Script-Name", "X-Forwarded-Prefix"),
    *("X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Proto", "X-Forwarded-For", "X-Real-IP", "Forwarded"),
    *("X-Original-URL", "X-Rewrite-URL", "X-HTTP-Method-Override", "Remote-User", "X-Remote-User", "Proxy"),
]
STRANGE = ["/x", "//evil.example", "https", "\xff", "%ff", "POST"]


@pytest.mark.parametrize("name", TRUSTED_ELSEWHERE)
def test_a_header_says_nothing_of_where_the_application_is_or_who_asks(engine: Server, name: str) -> None:
    def answer(**headers: str) -> tuple[int, str | None, bytes]:
        with contextlib.closing(HTTPConnection("127.0.0.1", engine.port, timeout=5)) as connection:
            connection.request("GET", "/admin/prices/", headers=headers)
            response = connection.getresponse()
            return response.status, response.getheader("Location"), response.read()

    plain = answer()
    assert plain[:2] == (302, "/admin/login/?next=/admin/prices/")
    for value in STRANGE:
        assert answer(**{name: value}) == plain, value
        with Peer(engine.port) as peer:
            assert peer.open(**{name: value}).status == 101, value
    assert "Traceback" not in engine.output
