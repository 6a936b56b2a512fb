"""The engine's door: the first bytes of connections, on the kernel's nested set and on the loop's own readers."""

import contextlib
import json
import time
from collections.abc import Callable, Iterator

import pytest
from websockets.sync.client import ClientConnection, connect

from tests.support.echo import EchoServer
from tests.support.raw_websocket import PONG, TEXT, EndedError, Peer, frame, plain_request, request

pytestmark = pytest.mark.usefixtures("undisturbed")

GET = plain_request()


@pytest.fixture(scope="module", params=[True, False], ids=["nested", "flat"])
def echo(request: pytest.FixtureRequest, run_echo_server: Callable[..., EchoServer]) -> EchoServer:
    """An echo server by either way of polling, with little patience."""
    return run_echo_server(nested=request.param, timeout=3.0)


@pytest.fixture(scope="module")
def neighbour(echo: EchoServer) -> Iterator[ClientConnection]:
    with connect(echo.ws_url, compression=None) as client:
        yield client


@pytest.mark.parametrize(
    ("head", "status"),
    [(request(), 101), (GET, 200), (plain_request(method="POST", content_length="3") + b"abc", 200)],
    ids=["a handshake", "a request", "a request with a body"],
)
def test_a_head_may_be_split_at_any_byte(echo: EchoServer, head: bytes, status: int) -> None:
    for cut in range(1, len(head)):
        with Peer(echo.port) as peer:
            peer.send(head[:cut])
            assert peer.shake(head[cut:]).status == status, cut


def test_requests_in_one_write_are_answered_in_order_and_the_last_may_be_a_handshake(caller: Peer) -> None:
    caller.send(GET + GET + request() + frame(TEXT, b"and more"))
    for _ in range(2):
        answer = caller.response()
        assert answer.status == 200
        assert answer.one("Transfer-Encoding") == "chunked"
        assert b"This speaks WebSocket." in caller.take(len(b"16\r\nThis speaks WebSocket.\r\n0\r\n\r\n"))
    assert caller.response().status == 101
    assert caller.receive().payload == b"and more"


def test_a_kept_connection_may_become_a_websocket(caller: Peer) -> None:
    """As nginx does it, with keepalive in its upstream."""
    for _ in range(3):
        assert caller.shake(GET).status == 200
        caller.take(len(b"16\r\nThis speaks WebSocket.\r\n0\r\n\r\n"))
    caller.open()
    assert caller.echo(frame(TEXT, b"hello")).payload == b"hello"
    assert caller.end(frame(3, b"")).code == 1002


@pytest.mark.parametrize("kept", [False, True], ids=["first", "on a kept connection"])
@pytest.mark.parametrize(
    ("head", "status"),
    [
        pytest.param(plain_request(host=[]), 400, id="no Host"),
        pytest.param(plain_request(host=["a", "b"]), 400, id="two Hosts"),
        pytest.param(plain_request(host="a b"), 400, id="a Host that is none"),
        pytest.param(plain_request(path="http://elsewhere.example/a?b=c"), 200, id="an absolute form"),
        pytest.param(plain_request(method="OPTIONS", path="*"), 200, id="a request about the server"),
        pytest.param(plain_request(path="/a#b"), 400, id="a fragment"),
        pytest.param(plain_request(path="http://[/"), 400, id="an absolute form of nothing"),
        pytest.param(plain_request(transfer_encoding=["chunked", "chunked"]), 400, id="encoded twice"),
        pytest.param(plain_request(transfer_encoding="chunked, chunked"), 400, id="encoded twice at once"),
        pytest.param(plain_request(transfer_encoding="identity"), 400, id="an encoding that is none"),
        pytest.param(plain_request(transfer_encoding="chunked", content_length="3"), 400, id="two kinds of length"),
        pytest.param(plain_request(x_long="x" * 17_000), 431, id="a header of 17 KB"),
        pytest.param(plain_request(method="POST", x_long="x" * 17_000), 431, id="likewise with POST"),
        pytest.param(plain_request(x_long=["x" * 1000] * 17), 431, id="17 headers of 1 KB"),
        pytest.param(request(without="upgrade", x_one="x", x_more=["x"] * 101), 431, id="a hundred headers and more"),
        pytest.param(request(x_long=["x" * 1000] * 17), 431, id="17 headers of 1 KB with a handshake"),
    ],
)
def test_a_request_is_taken_or_refused_wherever_it_comes(caller: Peer, head: bytes, status: int, kept: bool) -> None:
    if kept:
        assert caller.shake(GET).status == 200
        caller.take(len(b"16\r\nThis speaks WebSocket.\r\n0\r\n\r\n"))
    assert caller.shake(head).status == status


def test_http_1_0_needs_no_host_and_gets_an_answer_that_ends(caller: Peer) -> None:
    answer = caller.shake(b"GET / HTTP/1.0\r\n\r\n")
    assert answer.status == 200
    assert caller.take(22) == b"This speaks WebSocket."
    assert caller.ends_within(1)


def test_a_refusal_is_a_problem_that_says_what_to_send(caller: Peer) -> None:
    answer = caller.shake(request(sec_websocket_key="x"))
    assert (answer.status, answer.one("Content-Type")) == (400, "application/problem+json")
    assert "16 bytes in base64" in json.loads(caller.take(int(answer.one("Content-Length") or 0)))["detail"]
    assert caller.ends_within(1)


def test_a_thousand_half_sent_heads_cost_nobody_else_anything(echo: EchoServer, neighbour: ClientConnection) -> None:
    with contextlib.ExitStack() as stack:
        halves = [stack.enter_context(Peer(echo.port)) for _ in range(1000)]
        for number, peer in enumerate(halves):
            peer.send((request() if number % 2 else GET)[: 10 + number % 100])
        slowest = 0.0
        for _ in range(20):
            began = time.monotonic()
            neighbour.send("hello")
            assert neighbour.recv(timeout=2) == "hello"
            with connect(echo.ws_url, compression=None) as newcomer:
                newcomer.send("hello")
                assert newcomer.recv(timeout=2) == "hello"
            slowest = max(slowest, time.monotonic() - began)
        assert slowest < 1
        assert all(peer.ends_within(5) for peer in halves)


def test_one_who_sends_faster_than_the_application_reads_waits_and_loses_nothing(caller: Peer) -> None:
    caller.open()
    words = [f"word {number}".encode() for number in range(500)]
    caller.send(*[frame(TEXT, word) for word in words])
    assert [caller.receive().payload for _ in words] == words


def test_an_application_that_sends_without_a_pause_waits_for_its_client(
    echo: EchoServer, neighbour: ClientConnection
) -> None:
    with Peer(echo.port, receive_buffer=4096) as peer:
        peer.open("/burst/100000")
        neighbour.send("how far?")
        assert neighbour.recv(timeout=5) == "how far?"
        with connect(f"{echo.ws_url}heard") as witness:
            heard = json.loads(witness.recv(timeout=5))
        sent = max(int(line.removeprefix("sent ")) for line in heard if line.startswith("sent "))
        assert sent < 50_000
        assert all(len(peer.receive().payload) == 1000 for _ in range(sent))


def test_an_application_has_a_scope_and_headers_as_asgi_says(caller: Peer) -> None:
    assert caller.shake(request(path="/headers")).one("X-Asgi") == "3.0"
    assert caller.echo(frame(TEXT, b"hello")).payload == b"hello"


@pytest.mark.parametrize("path", ["/nothing", "/raise"])
def test_an_application_that_does_not_answer_is_a_500(caller: Peer, path: str) -> None:
    assert caller.shake(GET.replace(b"GET /", f"GET {path}".encode())).status == 500


@pytest.mark.parametrize("path", ["/half", "/half-and-raise"])
def test_half_an_answer_ends_so_that_nobody_takes_it_for_a_whole_one(caller: Peer, path: str) -> None:
    assert caller.shake(GET.replace(b"GET /", f"GET {path}".encode())).status == 200
    assert caller.ends_within(2)


def test_an_application_that_closes_without_reading_all_has_its_close_frame_arrive(caller: Peer) -> None:
    caller.open("/enough")
    closed = caller.end(*[frame(TEXT, b"x" * 1000)] * 2000)
    assert (closed.code, closed.orderly) == (4000, True)


def test_a_client_that_reads_late_gets_all_in_order(echo: EchoServer) -> None:
    with Peer(echo.port, receive_buffer=4096) as peer:
        peer.open("/send/2000000")
        peer.send(frame(9, b"still there?"))
        assert len(peer.read().payload) == 2_000_000
        assert peer.read() == (PONG, b"still there?", True, 0)


def test_a_client_that_vanishes_amid_its_head_is_no_matter(echo: EchoServer) -> None:
    for end in (Peer.close, Peer.reset, Peer.finish):
        peer = Peer(echo.port)
        peer.send(request()[:50])
        end(peer)
        with contextlib.suppress(OSError, EndedError):
            peer.close()
