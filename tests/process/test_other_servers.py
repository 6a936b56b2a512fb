"""The stream on servers that are not ours, as real processes: stock Daphne, by itself and as `manage.py runserver`, and
uvicorn. It stays correct there."""

import contextlib
import json
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.support.event_source import EventClient, requested
from tests.support.product import ROOT, wait_until
from tests.support.scrape import http_clients
from tests.support.server import Server
from tests.support.stream_client import end_of, exchange, receive, rejection

COMMANDS = {
    "daphne": ["-m", "daphne", "-b", "127.0.0.1", "-p", "{port}", "swarna.asgi:application"],
    "runserver": ["manage.py", "runserver", "--noreload", "127.0.0.1:{port}"],
    "uvicorn": ["-m", "uvicorn", "--ws", "websockets-sansio", "--port", "{port}", "swarna.asgi:application"],
}


@pytest.fixture(scope="module", params=COMMANDS)
def elsewhere(request: pytest.FixtureRequest, run_server: Callable[..., Server]) -> Iterator[Server]:
    """A web process of another server, with room for three."""
    server = run_server(command=COMMANDS[request.param], WS_MAX_CONNECTIONS="3", WS_RATE_LIMIT="20")
    server.publish(gold="13000", silver="165.5", platinum="4900", palladium="4300")
    yield server
    assert "Traceback" not in server.output, server.output


@pytest.fixture
def client(elsewhere: Server) -> Iterator[ClientConnection]:
    """A client that has had its snapshot and its status."""
    with connect(elsewhere.ws_url) as connection:
        receive(connection, "status")
        yield connection


@pytest.mark.parametrize("path", ["", "ws/prices/"])
def test_a_new_client_gets_a_snapshot_and_the_status(elsewhere: Server, path: str) -> None:
    with connect(elsewhere.ws_url + path, subprotocols=[Subprotocol("swarnaai-v1")]) as client:
        snapshot, status = receive(client), receive(client)
        assert client.subprotocol == "swarnaai-v1"
    assert (snapshot["type"], snapshot["snapshot"]) == ("priceUpdate", True)
    assert list(snapshot["data"]) == ["gold", "silver", "platinum", "palladium"]
    assert (status["type"], status["feed"]) == ("status", "live")


def test_subscribe_unsubscribe_and_ping_are_answered(client: ClientConnection) -> None:
    assert exchange(client, type="subscribe", metals=["gold", "silver"])["metals"] == ["gold", "silver"]
    assert receive(client, "priceUpdate")["data"].keys() == {"gold", "silver"}
    assert exchange(client, type="unsubscribe", metals=["silver"])["metals"] == ["gold"]
    assert exchange(client, type="ping")["type"] == "pong"


def test_a_publication_goes_out_with_its_significant_move(elsewhere: Server, client: ClientConnection) -> None:
    elsewhere.publish(gold="13000.5")
    publication = elsewhere.publish(gold="13221.39")
    assert publication is not None
    changes = []
    while True:
        update = receive(client, "priceUpdate")
        changes += update["changes"]
        if update["seq"] >= publication.seq:
            break
    assert (update["data"]["gold"]["price"], update["snapshot"]) == (13221.39, False)
    assert [change["direction"] for change in changes] == ["up"]


def test_a_client_that_comes_back_gets_what_it_missed(elsewhere: Server, client: ClientConnection) -> None:
    seen, last = elsewhere.publish(gold="13001"), elsewhere.publish(gold="13002")
    assert seen is not None
    assert last is not None
    exchange(client, type="subscribe", metals=["gold"], since=seen.seq)
    while (update := receive(client, "priceUpdate"))["seq"] < last.seq:
        pass
    assert (update["data"]["gold"]["price"], update["snapshot"]) == (13002, False)


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ("{", "invalid_json"),
        ('{"type":"shout"}', "unknown_type"),
        ('{"type":"subscribe","metals":["copper"]}', "unknown_metal"),
        (b'{"type":"ping"}', "binary_not_supported"),
    ],
)
def test_a_malformed_message_gets_an_error(client: ClientConnection, sent: str | bytes, code: str) -> None:
    client.send(sent)
    assert receive(client, "error")["code"] == code


def test_a_client_that_leaves_while_it_is_sent_to_is_no_matter(elsewhere: Server, client: ClientConnection) -> None:
    with connect(elsewhere.ws_url) as leaving:
        leaving.send(json.dumps({"type": "ping"}))
        leaving.socket.close()
        publication = elsewhere.publish(silver="166")
    assert publication is not None
    while receive(client, "priceUpdate")["seq"] != publication.seq:
        pass


def tells(server: Server, told: tuple[int, str], code: int, reason: str) -> bool:
    """Return True if a close is as it can be there: of stock Daphne without a reason, and below 3000 only 1000."""
    if {"daphne", "runserver"} & set(server.command):
        return told[0] == 1000 or 3000 <= told[0] <= 4999
    return told == (code, reason)


def test_the_stream_comes_as_events_too_and_resumes(elsewhere: Server) -> None:
    with EventClient(elsewhere) as client:
        assert client.next().message["snapshot"] is True
        assert client.next().type == "status"
        seen = elsewhere.publish(platinum="4901")
        assert seen is not None
        while client.next("priceUpdate").message["seq"] < seen.seq:
            pass
        last_event_id = client.parser.last_event_id
    missed = elsewhere.publish(platinum="5000")
    assert missed is not None
    with EventClient(elsewhere, Last_Event_ID=last_event_id) as again:
        update = again.next("priceUpdate").message
        assert (update["seq"], update["snapshot"], len(update["changes"])) == (missed.seq, False, 1)


def test_a_poll_waits_and_a_client_that_leaves_is_forgotten(elsewhere: Server) -> None:
    def ask(query: str) -> Any:
        with urllib.request.urlopen(f"{elsewhere.http_url}/api/v1/prices/?{query}", timeout=30) as response:
            return response.status, json.loads(response.read() or "null")

    _, seen = ask("wait=20")
    position = f"epoch={seen['epoch']}&since={seen['seq']}"
    assert ask(f"wait=1&{position}") == (204, None)
    with requested(elsewhere.port, f"GET /api/v1/prices/?wait=25&{position} HTTP/1.1\nHost: localhost\n\n"):
        wait_until(lambda: http_clients(elsewhere, "poll") == 1, "it to wait")
    wait_until(lambda: http_clients(elsewhere, "poll") == 0, "it to be forgotten")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(ask, f"wait=20&{position}")
        publication = elsewhere.publish(silver=f"16{time.time() % 9:.4f}")
        assert publication is not None
        assert waiting.result()[1]["seq"] == publication.seq


def test_one_client_too_many_is_told_so(elsewhere: Server) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            receive(stack.enter_context(connect(elsewhere.ws_url)), "status")
        with connect(elsewhere.ws_url) as one_too_many:
            assert rejection(one_too_many)["code"] == "at_capacity"
            assert tells(elsewhere, end_of(one_too_many), 1008, "Server at capacity")


def test_too_many_messages_close_the_connection(elsewhere: Server, client: ClientConnection) -> None:
    for _ in range(21):
        client.send('{"type":"ping"}')
    assert rejection(client)["code"] == "rate_limited"
    assert tells(elsewhere, end_of(client), 1008, "Rate limit exceeded")


def test_a_message_that_is_too_big_closes_the_connection(elsewhere: Server, client: ClientConnection) -> None:
    client.send("x" * (16 * 1024 + 1))
    assert tells(elsewhere, end_of(client), 1009, "Message too big")


@pytest.mark.parametrize("path", ["", "client/v1/units.js", "admin/login/", "metrics"])
def test_pages_and_their_files_are_served_beside_it(elsewhere: Server, path: str) -> None:
    with urllib.request.urlopen(f"{elsewhere.http_url}/{path}", timeout=10) as answer:
        content = answer.read().decode()
    assert (answer.status, len(content) > 50) == (200, True)
    for file in re.findall(r'"(/static/[^"]+)"', content):
        with urllib.request.urlopen(f"{elsewhere.http_url}{file}", timeout=10) as answer:
            assert (answer.status, "immutable" in answer.headers["Cache-Control"]) == (200, True), file


def test_commands_that_serve_nothing_load_no_server() -> None:
    """A Daphne among the apps would load Twisted and its reactor into each."""
    program = (
        "import sys, django; django.setup();"
        "from django.core.management import call_command; call_command('check');"
        "sys.exit(' '.join({'twisted', 'daphne', 'autobahn'} & set(sys.modules)) or 0)"
    )
    ran = subprocess.run([sys.executable, "-W", "error", "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert (ran.returncode, ran.stderr) == (0, "")
