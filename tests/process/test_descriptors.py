"""A process with hardly any file descriptor left: the requests that it still answers, and its log."""

import contextlib
import http.client
import json
import urllib.request
from collections.abc import Callable, Iterator
from http.client import HTTPConnection

import pytest
from websockets.sync.client import connect

from tests.support.echo import EchoServer
from tests.support.event_source import requested
from tests.support.product import wait_until
from tests.support.raw_websocket import Peer
from tests.support.scrape import rejections
from tests.support.server import Server
from tests.support.stream_client import close_of, exchange, receive

FILES = 160  # of which a quarter is kept back
LIMITED = (
    f"import resource, runpy, sys; resource.setrlimit(resource.RLIMIT_NOFILE, ({FILES}, {FILES}));"
    "sys.argv = ['manage.py', 'serve']; runpy.run_path('manage.py', run_name='__main__')"
)
PRICES, STREAM = "/api/v1/prices/", "/api/v1/stream/"
SHORT, OVER = "no file descriptor for another connection", "there are file descriptors for new connections again"


@pytest.fixture
def out_of_descriptors(run_server: Callable[..., Server]) -> Iterator[tuple[Server, contextlib.ExitStack]]:
    """A web process that may take more connections than it has descriptors for, and those that it took."""
    server = run_server(command=["-c", LIMITED], WS_MAX_CONNECTIONS="1000", WS_RATE_LIMIT="1000", API_RATE_LIMIT="0")
    server.publish(gold="100")
    with contextlib.ExitStack() as stack:
        yield server, stack


def get(server: Server, path: str) -> http.client.HTTPResponse:
    with contextlib.closing(HTTPConnection("127.0.0.1", server.port, timeout=5)) as connection:
        connection.request("GET", path)
        response = connection.getresponse()
        response.read()
        return response


def test_a_process_without_descriptors_says_so_and_still_answers_health(
    out_of_descriptors: tuple[Server, contextlib.ExitStack],
) -> None:
    server, stack = out_of_descriptors
    before = rejections(server).get("descriptors", 0)
    with connect(server.ws_url) as member:
        served = 0
        while (close := close_of(stack.enter_context(Peer(server.port))))[0] == 0:
            served += 1
            assert served < FILES
        assert served > FILES // 4
        assert close == (1008, "Server at capacity")
        turned_away = 1
        for _ in range(2 * FILES):
            with Peer(server.port) as peer:
                turned_away += close_of(peer) == (1008, "Server at capacity")
        assert turned_away == 2 * FILES + 1
        for path in ("/healthz", "/metrics", "/healthz", "/metrics"):
            response = get(server, path)
            assert (response.status, response.getheader("Connection")) == (200, "close")
        assert get(server, "/readyz").status in (200, 503)
        told = get(server, "/api/v1/metals/")
        assert (told.status, told.getheader("Retry-After")) == (503, "5")
        assert told.getheader("Content-Type") == "application/problem+json"
        assert rejections(server) == {"descriptors": before + turned_away + 1}
        # A silent connection does not keep others from requests.
        for number in range(2 * FILES):
            stack.enter_context(Peer(server.port))
            if number % 40 == 0:
                assert get(server, "/healthz").status == 200
        assert get(server, "/metrics").status == 200
        assert rejections(server)["descriptors"] > before + turned_away + 1 + FILES
        assert exchange(member, type="ping")["type"] == "pong"
    assert server.output.count(SHORT) == 1
    assert f"may open {FILES} files" in server.output
    stack.close()

    def is_served() -> bool:
        with Peer(server.port) as peer:
            return close_of(peer)[0] == 0

    wait_until(is_served, "room for another")
    wait_until(lambda: OVER in server.output, "the end of it in the log")
    assert "closing the connection" not in server.output, "a line for each that was turned away"
    assert "Traceback" not in server.output


def test_event_streams_and_polls_leave_descriptors_for_health_and_for_those_that_are_served(
    out_of_descriptors: tuple[Server, contextlib.ExitStack],
) -> None:
    server, stack = out_of_descriptors
    with connect(server.ws_url) as member:
        assert receive(member, "priceUpdate")["data"]["gold"]["price"] == 100
        with urllib.request.urlopen(f"{server.http_url}{PRICES}") as response:
            shown = json.load(response)
        poll = f"{PRICES}?wait=25&epoch={shown['epoch']}&since={shown['seq']}"
        for path in [STREAM, poll] * (FILES // 2):
            stack.enter_context(requested(server.port, f"GET {path} HTTP/1.1\nHost: 127.0.0.1\n\n"))
        for path in ("/healthz", "/metrics"):
            assert get(server, path).status == 200
        for path in (STREAM, poll):
            told = get(server, path)
            assert (told.status, told.getheader("Retry-After")) == (503, "5")
        assert exchange(member, type="ping")["type"] == "pong"
        assert server.output.count(SHORT) == 1
        stack.close()
        wait_until(lambda: get(server, PRICES).status == 200, "room for another")
        server.publish(gold="101")
        assert receive(member, "priceUpdate")["data"]["gold"]["price"] == 101
    assert "Traceback" not in server.output


@pytest.mark.parametrize("sent", [0, 70_000], ids=["nothing", "a part"])
@pytest.mark.parametrize("length", ["Content-Length: 1000000", "Transfer-Encoding: chunked"])
def test_requests_whose_bodies_do_not_come_leave_descriptors_for_health_and_for_those_that_are_served(
    out_of_descriptors: tuple[Server, contextlib.ExitStack], length: str, sent: int
) -> None:
    server, stack = out_of_descriptors
    head = f"POST /api/v1/auth/token/ HTTP/1.1\nHost: 127.0.0.1\n{length}\n\n"
    size = f"{1_000_000:x}\n" if "chunked" in length else ""
    with connect(server.ws_url) as member:
        for _ in range(2 * FILES):
            peer = stack.enter_context(requested(server.port, head + size))
            with contextlib.suppress(OSError):
                peer.sendall(b"x" * sent)
        for path in ("/healthz", "/metrics"):
            assert get(server, path).status == 200
        assert exchange(member, type="ping")["type"] == "pong"
    assert "Traceback" not in server.output


def test_where_all_are_in_use_connections_wait_until_there_is_one(run_echo_server: Callable[..., EchoServer]) -> None:
    server = run_echo_server(files=100)
    with connect(server.ws_url + "files", compression=None) as hog:
        assert int(hog.recv(timeout=5)) > 0
        with Peer(server.port) as waiting:
            wait_until(lambda: "new connections cannot be accepted" in server.process.output, "it in the log")
            hog.send("enough")
            waiting.open()  # its time-out is longer than the pause
    assert server.process.output.count("new connections cannot be accepted") == 1
    assert not server.complaints()
