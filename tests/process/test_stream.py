"""The stream, as a plain `websockets` client meets it, from a real web process."""

import contextlib
import datetime as dt
import itertools
import json
import signal
import socket
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import partial

import pytest
import requests
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from prices.models import Premium
from prices.publishing import ingest
from tests.support.raw_websocket import request
from tests.support.server import Server
from tests.support.stream_client import end_of, exchange, receive, rejection


def read_until(peer: socket.socket, words: bytes) -> None:
    """Read a raw connection until these words have come."""
    received = b""
    while words not in received:
        more = peer.recv(65536)
        assert more, received
        received += more


@pytest.fixture(scope="module", autouse=True)
def prices(server: Server) -> None:
    server.publish(gold="13000", silver="165.5", platinum="4900", palladium="4300")


@pytest.fixture(scope="module")
def another(run_server: Callable[..., Server]) -> Server:
    """A web process beside the first, with the limits that a deployment begins with."""
    return run_server()


@pytest.fixture
def client(server: Server) -> Iterator[ClientConnection]:
    """A client that has had its snapshot and its status."""
    with connect(server.ws_url) as connection:
        receive(connection, "status")
        yield connection


@pytest.mark.parametrize("path", ["", "ws/prices/"])
def test_a_new_client_gets_a_snapshot_of_all_metals_and_then_the_status(server: Server, path: str) -> None:
    server.publish(silver="165.5")
    with connect(server.ws_url + path) as client:
        snapshot, status = receive(client), receive(client)
    assert (snapshot["type"], snapshot["snapshot"]) == ("priceUpdate", True)
    assert list(snapshot["data"]) == ["gold", "silver", "platinum", "palladium"]
    assert snapshot["data"]["silver"]["price"] == 165.5
    assert (snapshot["currency"], snapshot["unit"]) == ("INR", "gram")
    assert (status["type"], status["feed"], status["source"]) == ("status", "live", "gold_api_com")


def test_any_other_path_is_refused(server: Server) -> None:
    with pytest.raises(InvalidStatus) as caught, connect(server.ws_url + "elsewhere/"):
        pass
    assert caught.value.response.status_code == 403


def test_the_subprotocol_is_chosen_when_it_is_offered_and_none_otherwise(server: Server) -> None:
    offered = [Subprotocol("other"), Subprotocol("swarnaai-v1")]
    with connect(server.ws_url, subprotocols=offered) as client:
        assert client.subprotocol == "swarnaai-v1"
    with connect(server.ws_url) as client:
        assert client.subprotocol is None
    with connect(server.ws_url, subprotocols=[Subprotocol("other")]) as client:
        assert client.subprotocol is None
        assert receive(client)["type"] == "priceUpdate"


def test_a_new_price_goes_out_with_its_significant_move(server: Server, client: ClientConnection) -> None:
    before = server.publish(gold="13000.5")
    publication = server.publish(gold="13221.39")
    assert before is not None
    assert publication is not None
    while (update := receive(client, "priceUpdate"))["seq"] < publication.seq:
        pass
    assert update["snapshot"] is False
    assert update["data"]["gold"]["price"] == 13221.39
    assert update["data"].keys() == {"gold", "silver", "platinum", "palladium"}
    assert update["changes"] == [
        {"metal": "gold", "oldPrice": 13000.5, "newPrice": 13221.39, "changePercent": 1.7, "direction": "up"}
    ]


@pytest.fixture
def premiums(server: Server, client: ClientConnection) -> Iterator[dt.datetime]:
    """Gold at 13,000 with 6 % from now on, and with 15 % from tomorrow on; when that is."""
    if publication := server.publish(gold="13000"):
        while receive(client, "priceUpdate")["seq"] < publication.seq:
            pass  # on a busy machine its move would come together with the premium
    tomorrow = dt.datetime.now(dt.UTC) + dt.timedelta(days=1)
    for multiplier, begins in (("1.06", tomorrow - dt.timedelta(days=1)), ("1.15", tomorrow)):
        new = Premium(metal_id="gold", multiplier=Decimal(multiplier), effective_from=begins)
        server.do(new.save)
    yield tomorrow
    server.do(Premium.objects.all().delete)


def test_a_premium_goes_out_at_its_time(server: Server, client: ClientConnection, premiums: dt.datetime) -> None:
    for now, price in ((dt.datetime.now(dt.UTC), 13780), (premiums, 14950)):
        publication = server.do(partial(ingest.apply_premiums, now=now))
        while (update := receive(client, "priceUpdate"))["seq"] < publication.seq:
            pass
        assert (update["data"]["gold"]["price"], update["changes"]) == (price, [])
        assert requests.get(f"{server.http_url}/api/v1/prices/gold/", timeout=10).json()["price"] == price
    config = requests.get(f"{server.http_url}/api/v1/config/", timeout=10).json()
    assert config["premiums"]["gold"]["multiplier"] == 1.06


def test_the_first_subscribe_narrows_and_later_ones_add(client: ClientConnection) -> None:
    answer = exchange(client, type="subscribe", metals=["gold"])
    snapshot = receive(client, "priceUpdate")
    assert answer == {
        "type": "subscribed",
        "metals": ["gold"],
        "interval": None,
        "epoch": snapshot["epoch"],
        "id": "asked",
    }
    assert (snapshot["snapshot"], list(snapshot["data"])) == (True, ["gold"])
    assert exchange(client, type="subscribe", metals=["palladium"])["metals"] == ["gold", "palladium"]
    assert receive(client, "priceUpdate")["data"].keys() == {"gold", "palladium"}
    assert exchange(client, type="subscribe", metals=["*"])["metals"] == ["gold", "silver", "platinum", "palladium"]


def test_iso_codes_are_answered_with_names(client: ClientConnection) -> None:
    assert exchange(client, type="subscribe", metals=["XAU", "XAG"])["metals"] == ["gold", "silver"]
    assert receive(client, "priceUpdate")["data"].keys() == {"gold", "silver"}
    assert exchange(client, type="unsubscribe", metals=["XAG"])["metals"] == ["gold"]


def test_unsubscribe_before_any_subscribe_removes_from_all(client: ClientConnection) -> None:
    answer = exchange(client, type="unsubscribe", metals=["platinum", "palladium"])
    assert (answer["type"], answer["metals"]) == ("unsubscribed", ["gold", "silver"])


def test_a_heartbeat_comes_after_each_silence_that_the_client_chose(server: Server, client: ClientConnection) -> None:
    publication = server.publish(gold="13001")
    assert publication is not None
    assert exchange(client, type="subscribe", metals=["gold"], heartbeat=999)["code"] == "invalid_interval"
    assert exchange(client, type="subscribe", metals=["gold"], heartbeat=1000)["heartbeat"] == 1000
    snapshot = receive(client, "priceUpdate")
    server.publish(silver="165.75")  # which this client has no interest in
    waits = []
    for _ in range(2):
        began = time.monotonic()
        heartbeat = receive(client, "heartbeat")
        waits.append(time.monotonic() - began)
        assert heartbeat.pop("timestamp") > snapshot["timestamp"]
        position = {name: snapshot[name] for name in ("epoch", "seq")}
        assert heartbeat == {"type": "heartbeat", "feed": "live"} | position
    assert waits[1] > 0.9
    assert all(wait < 5 for wait in waits)
    assert "heartbeat" not in exchange(client, type="subscribe", metals=["gold"], heartbeat=0)
    with pytest.raises(TimeoutError):
        receive(client, "heartbeat", timeout=2)


def test_a_client_that_is_sent_prices_gets_no_heartbeat(server: Server, client: ClientConnection) -> None:
    exchange(client, type="subscribe", metals=["gold"], heartbeat=1000)
    until = time.monotonic() + 2.5
    for number in itertools.count():
        publication = server.publish(gold=str(13002 + number % 7))
        assert publication is not None
        while (message := receive(client)).get("seq") != publication.seq:
            assert message["type"] != "heartbeat"
        if time.monotonic() > until:
            break


def test_a_client_is_sent_nothing_about_metals_that_it_does_not_watch(server: Server, client: ClientConnection) -> None:
    exchange(client, type="subscribe", metals=["silver"])
    receive(client, "priceUpdate")
    server.publish(gold="13300")
    publication = server.publish(silver="166")
    assert publication is not None
    update = receive(client, "priceUpdate")
    assert (update["seq"], list(update["data"])) == (publication.seq, ["silver"])


def test_a_client_without_any_metal_is_still_answered(server: Server, client: ClientConnection) -> None:
    assert exchange(client, type="unsubscribe", metals=["*"])["metals"] == []
    server.publish(gold="13301")
    assert exchange(client, type="ping")["type"] == "pong"


def test_a_client_that_comes_back_gets_what_it_missed_in_one_update(server: Server) -> None:
    seen = server.publish(gold="13000")
    server.publish(gold="13500")
    server.publish(gold="13501")
    last = server.publish(gold="13000")
    assert seen is not None
    assert last is not None
    with connect(server.ws_url) as client:
        receive(client, "status")
        exchange(client, type="subscribe", metals=["gold"], since=seen.seq)
        update = receive(client, "priceUpdate")
    assert (update["seq"], update["snapshot"]) == (last.seq, False)
    assert [change["direction"] for change in update["changes"]] == ["up", "down"]
    assert update["conflated"] == 2


def test_a_metal_that_is_added_is_sent_even_to_a_client_that_has_seen_the_last_publication(
    server: Server, client: ClientConnection
) -> None:
    exchange(client, type="subscribe", metals=["gold"])
    seen = receive(client, "priceUpdate")["seq"]
    exchange(client, type="subscribe", metals=["silver"], since=seen)
    assert receive(client, "priceUpdate")["data"].keys() == {"gold", "silver"}


def test_a_since_that_nobody_knows_gets_a_snapshot(client: ClientConnection) -> None:
    exchange(client, type="subscribe", metals=["gold"], since=2**62)
    assert receive(client, "priceUpdate")["snapshot"] is True


def test_a_ping_is_answered_with_its_id_and_the_time(client: ClientConnection) -> None:
    answer = exchange(client, type="ping")
    assert answer["type"] == "pong"
    assert answer["timestamp"].endswith("Z")
    assert abs(dt.datetime.fromisoformat(answer["timestamp"]) - dt.datetime.now(dt.UTC)) < dt.timedelta(seconds=5)


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ("{", "invalid_json"),
        ("[1]", "invalid_message"),
        ('{"type":"shout"}', "unknown_type"),
        ('{"type":"subscribe","metals":["copper"]}', "unknown_metal"),
        ('{"type":"subscribe","metals":["gold"],"interval":"1s"}', "invalid_interval"),
        (b'{"type":"ping"}', "binary_not_supported"),
        (b"", "binary_not_supported"),
        ("", "invalid_json"),
    ],
)
def test_a_malformed_message_gets_an_error_and_changes_nothing(
    client: ClientConnection, sent: str | bytes, code: str
) -> None:
    exchange(client, type="subscribe", metals=["gold"])
    client.send(sent)
    assert receive(client, "error")["code"] == code
    assert exchange(client, type="unsubscribe", metals=["silver"])["metals"] == ["gold"]


def test_a_message_of_the_largest_size_is_taken_and_a_larger_one_closes(
    server: Server, client: ClientConnection
) -> None:
    frame = json.dumps({"type": "ping", "id": ""})
    client.send(frame.replace('""', '"' + "x" * (16 * 1024 - len(frame)) + '"'))
    assert receive(client, "pong")
    client.send("x" * (16 * 1024 + 1))
    assert end_of(client) == (1009, "Message too big")


def test_a_huge_or_fragmented_message_closes_before_it_is_all_there(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port)) as peer:
        peer.sendall(request())
        read_until(peer, b"priceUpdate")
        # The header of a masked text frame of 5 MB, and not a byte of it.
        peer.sendall(b"\x81\xff" + (5_000_000).to_bytes(8, "big") + b"mask")
        read_until(peer, b"Message too big")
    with connect(server.ws_url) as client, contextlib.suppress(ConnectionClosed):
        client.send("x" * 1000 for _ in itertools.count())  # fragments of a message that never ends
    assert end_of(client) == (1009, "Message too big")


def test_one_client_too_many_is_told_so_and_the_next_fits_when_one_has_left(run_server: Callable[..., Server]) -> None:
    server = run_server(WS_MAX_CONNECTIONS="1", WS_RESTART_SPREAD="2s")
    with connect(server.ws_url) as first:
        receive(first)
        delays = []
        for _ in range(3):
            with connect(server.ws_url) as another:
                error = rejection(another)
                assert (error["code"], error["retry"]) == ("at_capacity", "later")
                assert "Come back later" in error["message"]
                delays.append(error["afterMs"])
                assert end_of(another) == (1008, "Server at capacity")
        assert all(0 <= delay <= 2000 for delay in delays)
        assert len(set(delays)) > 1, "all come back at once"
    with connect(server.ws_url) as next_one:
        assert receive(next_one)["type"] == "priceUpdate"
    assert server.output.count("clients are turned away: WS_MAX_CONNECTIONS is 1") == 1
    assert "closing the connection" not in server.output


def test_too_many_messages_close_the_connection_and_the_seeds_ten_a_minute_do_not(another: Server) -> None:
    with connect(another.ws_url) as client:
        for _ in range(10):
            assert exchange(client, type="ping")
        client.send("not even JSON")
        error = rejection(client)
        assert (error["code"], error["retry"]) == ("rate_limited", "later")
        assert 50_000 < error["afterMs"] <= 60_000  # what is left of the minute
        assert "10 messages in 60 s on one connection" in error["message"]
        assert end_of(client) == (1008, "Rate limit exceeded")


def test_an_old_price_is_marked_stale_by_the_clock_alone(run_server: Callable[..., Server]) -> None:
    """A simulated one, which grows old on whatever day this runs; a live one, in test_hub.py, by the market's hours."""
    server = run_server(FRESHNESS_LIMIT="2s", PRICE_PROVIDERS="simulated")
    server.publish(gold="13000", source="simulated")
    with connect(server.ws_url) as client:
        assert receive(client, "priceUpdate")["data"]["gold"]["stale"] is False
        while not (update := receive(client, "priceUpdate"))["data"]["gold"]["stale"]:
            pass
        assert update["snapshot"] is True


def test_the_status_keeps_the_holidays_that_are_configured(run_server: Callable[..., Server]) -> None:
    now = dt.datetime.now(dt.UTC)
    holidays = [f"{now.date() + dt.timedelta(days=day)}" for day in range(-1, 12)]
    with connect(
        run_server(MARKET_HOLIDAYS=",".join(holidays), DJANGO_SETTINGS_MODULE="swarna.settings").ws_url
    ) as client:
        status = receive(client, "status")
    assert status["market"] == "closed"
    assert dt.datetime.fromisoformat(status["nextChange"]) > now + dt.timedelta(days=9)


def test_two_web_processes_send_the_same_publications(server: Server, another: Server) -> None:
    with connect(server.ws_url) as here, connect(another.ws_url) as there:
        receive(here, "status")
        receive(there, "status")
        publication = server.publish(gold="13123.45")
        assert publication is not None
        for client in (here, there):
            while (update := receive(client, "priceUpdate"))["seq"] != publication.seq:
                pass
            assert update["data"]["gold"]["price"] == 13123.45


def test_a_web_process_that_restarts_goes_on_from_the_same_seq(another: Server) -> None:
    another.publish(gold="13050")
    another.kill()
    missed = another.publish(gold="13060")
    assert missed is not None
    another.start()
    with connect(another.ws_url) as client:
        assert receive(client, "priceUpdate")["seq"] == missed.seq
        exchange(client, type="subscribe", metals=["gold"], since=missed.seq - 1)
        update = receive(client, "priceUpdate")
        assert (update["seq"], update["snapshot"]) == (missed.seq, False)


def test_a_stopped_web_process_leaves_no_traceback(another: Server) -> None:
    with connect(another.ws_url) as client:
        receive(client, "status")
        another.signal(signal.SIGTERM)
        assert another.wait() == 0
    assert "Traceback" not in another.output
    assert "destroyed" not in another.output
    another.start()  # for the tests after this one


def test_many_clients_are_all_sent_an_update(server: Server) -> None:
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connect(server.ws_url)) for _ in range(50)]
        for client in clients:
            receive(client, "status")
        publication = server.publish(gold="13077.77")
        assert publication is not None
        for client in clients:
            while receive(client, "priceUpdate")["seq"] != publication.seq:
                pass
