"""Messages that clients should not send, to the engine with an echo application and to the stream itself.

The offender gets the right close code or error; a neighbour notices nothing, and the log has no traceback.
"""

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

from tests.support.echo import EchoServer
from tests.support.echo_server import MAX_BODY_BYTES, MAX_MESSAGE_BYTES
from tests.support.product import wait_until
from tests.support.raw_websocket import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    EndedError,
    Peer,
    close_frame,
    frame,
    plain_request,
    request,
)
from tests.support.server import Server

pytestmark = pytest.mark.usefixtures("undisturbed")

TIMEOUT = 1.0  # of a handshake too
# A limit is checked now and then, on a machine that does other things.
SLACK = 1.5


@pytest.fixture(scope="module")
def impatient(run_echo_server: Callable[..., EchoServer]) -> EchoServer:
    """A server that waits for nobody."""
    return run_echo_server(timeout=TIMEOUT)


# --- messages that are too big ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
@pytest.mark.parametrize("length", [MAX_MESSAGE_BYTES + 1, 65535, 65536, 5_000_000, 2**62, 2**63 - 1])
def test_a_frame_that_is_too_big_is_refused_by_its_header(caller: Peer, opcode: int, length: int) -> None:
    caller.open()
    closed = caller.end(frame(opcode, b"", length=length))
    assert (closed.code, closed.before) == (1009, [])


def test_a_message_that_grows_too_big_by_fragments_is_refused_by_the_header_that_is_too_much(caller: Peer) -> None:
    caller.open()
    half = b"x" * (MAX_MESSAGE_BYTES // 2)
    caller.send(frame(TEXT, half, fin=False), frame(CONTINUATION, half, fin=False))
    assert caller.echo(frame(PING, b"not yet")).payload == b"not yet"
    closed = caller.end(frame(CONTINUATION, b"", length=1))
    assert (closed.code, closed.before) == (1009, [])


def test_one_who_goes_on_sending_after_a_rejection_is_dropped_and_takes_no_memory(
    echo: EchoServer, caller: Peer
) -> None:
    caller.open()
    before = echo.peak_memory
    caller.send(frame(BINARY, b"", length=2**40))
    assert caller.receive().opcode == CLOSE
    deadline = time.monotonic() + 5
    while not caller.is_reset_within(0) and time.monotonic() < deadline:
        caller.send(bytes(65536))
    assert caller.is_reset_within(0)
    assert echo.peak_memory - before < 4_000_000


def test_a_message_of_empty_fragments_without_end_takes_no_memory(echo: EchoServer, caller: Peer) -> None:
    caller.open()
    caller.send(frame(TEXT, b"", fin=False))
    empty = frame(CONTINUATION, b"", fin=False) * 5000
    with contextlib.suppress(EndedError):  # the server may give up
        caller.echo(empty * 10, frame(PING))
        before = echo.peak_memory
        for _ in range(6):
            caller.echo(empty * 10, frame(PING))
        assert echo.peak_memory - before < 1_000_000


def test_a_storm_of_pings_that_nobody_reads_the_answers_of_takes_no_memory(echo: EchoServer) -> None:
    with Peer(echo.port, receive_buffer=4096) as peer:
        peer.open()
        before = echo.peak_memory
        peer.send_for(1.0, frame(PING, b"x" * 125) * 500)
        assert echo.peak_memory - before < 8_000_000


# --- handshakes ------------------------------------------------------------------------------------------------------

UNFINISHED = [
    pytest.param(b"", id="not a byte"),
    pytest.param(b"GET / HT", id="half a request line"),
    pytest.param(request()[:-2], id="all but the last line"),
    pytest.param(request(content_length="10"), id="a body that does not come"),
    pytest.param(request(transfer_encoding="chunked"), id="chunks that do not come"),
    pytest.param(request(path="/never"), id="an application that never accepts"),
]


@pytest.mark.parametrize("sent", UNFINISHED)
def test_a_handshake_that_is_never_finished_ends_within_the_limit(impatient: EchoServer, sent: bytes) -> None:
    with Peer(impatient.port) as peer:
        peer.send(sent)
        assert peer.ends_within(TIMEOUT + SLACK)


def test_a_handshake_that_the_application_never_answers_is_counted(impatient: EchoServer) -> None:
    before = impatient.process.output.count("refused: handshake")
    with Peer(impatient.port) as peer:
        peer.send(request(path="/never"))
        with pytest.raises(EndedError):
            peer.response()
    wait_until(lambda: impatient.process.output.count("refused: handshake") == before + 1, "the count")


def test_a_handshake_a_byte_at_a_time_ends_within_the_limit(impatient: EchoServer) -> None:
    endless = request().removesuffix(b"\r\n") + b"x-more: " + b"x" * 10_000
    with Peer(impatient.port) as peer:
        began = time.monotonic()
        sent = 0
        while not (ended := peer.ends_within(0.02)) and time.monotonic() - began < TIMEOUT + SLACK:
            peer.send(endless[sent : sent + 1])
            sent += 1
        assert ended, f"it still listens after {sent} bytes"


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param(b"sec-websocket-protocol: caf\xc3\xa9", id="a subprotocol in UTF-8"),
        pytest.param(b"sec-websocket-protocol: caf\xe9", id="a subprotocol in Latin-1"),
        pytest.param(b"sec-websocket-protocol: \xff\xfe\x80", id="a subprotocol of no letters"),
        pytest.param(b"sec-websocket-protocol: a, a", id="a subprotocol twice"),
        pytest.param(b"sec-websocket-protocol:", id="no subprotocol"),
        pytest.param(b"sec-websocket-protocol: ,,,", id="commas for subprotocols"),
        pytest.param(b"sec-websocket-protocol: %ff%00%0d%0a", id="a subprotocol of percent signs"),
        pytest.param(b"sec-websocket-protocol: " + b"x" * 10_000, id="a long subprotocol"),
        pytest.param(b"sec-websocket-extensions: \xc3\xa9; \xff=\x80", id="an extension of no letters"),
        pytest.param(b"sec-websocket-extensions: permessage-deflate; \xff", id="a parameter of no letters"),
        pytest.param(b"sec-websocket-extensions: " + b"permessage-deflate, " * 700, id="seven hundred offers"),
        pytest.param(b"sec-websocket-extensions: permessage-deflate" + b"; a" * 4000, id="many parameters"),
        pytest.param(b'sec-websocket-extensions: "' + b"\\" * 10_000, id="a quotation without end"),
        pytest.param(b"origin: http://[", id="an origin that is none"),
        pytest.param(b"origin: http://a:port", id="an origin with a port of letters"),
        pytest.param(b"origin: \xff", id="an origin of no letters"),
        pytest.param(b"x-a: \xff\xfe\x80", id="a value of no letters"),
        pytest.param(b"x-a: a\x00b", id="a value with a NUL"),
        pytest.param(b"x-a: a\x0bb\x85c", id="a value with line separators"),
        pytest.param(b"x-a: a\rb", id="a carriage return alone"),
        pytest.param(b"x-a: a\n b", id="a folded value"),
        pytest.param(b"x a: b", id="a name with a blank"),
        pytest.param(b"x\xc3\xa9: b", id="a name of no letters"),
        pytest.param(b": b", id="no name"),
        pytest.param(b"no colon", id="no colon"),
        pytest.param(b"x_a: b", id="a name with an underscore"),
        pytest.param(b"daphne-root-path: \xff%ff", id="a root path of no letters"),
        pytest.param(b"x-forwarded-for: \xff, 1.2.3", id="a proxy's header of no letters"),
        pytest.param(b"cookie: \xff=\xfe; sessionid=%ff", id="a cookie of no letters"),
        pytest.param(b"authorization: Bearer \xff", id="a token of no letters"),
        pytest.param(b"content-length: -1", id="a negative length"),
        pytest.param(b"content-length: x", id="a length of letters"),
        pytest.param(b"content-length: 1\r\ncontent-length: 2", id="two lengths"),
        pytest.param(b"transfer-encoding: gzip", id="an unknown encoding"),
        pytest.param(b"x-a: " + b"x" * 100_000, id="a header of 100 KB"),
        pytest.param(b"\r\n".join(b"x-%d: x" % number for number in range(2000)), id="two thousand headers"),
    ],
)
@pytest.mark.parametrize("path", [b"/", b"/first"])
def test_strange_headers_get_an_ordinary_answer(caller: Peer, headers: bytes, path: bytes) -> None:
    if path == b"/first" and not headers.startswith(b"sec-websocket-protocol"):
        headers += b"\r\nsec-websocket-protocol: chat"
    first, rest = request().split(b"\r\n", 1)
    try:
        answer = caller.shake(first.replace(b"/ ", path + b" ") + b"\r\n" + headers + b"\r\n" + rest)
    except EndedError:
        return
    assert answer.status == 101 or 400 <= answer.status < 500


@pytest.mark.parametrize(
    "line",
    [
        b"GET /\xff HTTP/1.1",
        b"GET /%ff%00%0d%0a HTTP/1.1",
        b"GET /?\xff HTTP/1.1",
        b"GET /?%ff HTTP/1.1",
        b"GET //[ HTTP/1.1",
        b"GET http://[ HTTP/1.1",
        b"GET * HTTP/1.1",
        b"GET  HTTP/1.1",
        b"GET / HTTP/1.1 HTTP/1.1",
        b"GET / HTTP/1.1.1",
        b"GET / HTTP/9.9",
        b"GET / FTP/1.1",
        b"GET /",
        b"\xff\xfe\xfd",
        b"G\xc3\x89T / HTTP/1.1",
        b"CONNECT / HTTP/1.1",
        b"PRI * HTTP/2.0",
        b"GET /" + b"x" * 100_000 + b" HTTP/1.1",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # a client that speaks TLS
    ],
)
def test_strange_request_lines_get_an_ordinary_answer(caller: Peer, line: bytes) -> None:
    try:
        answer = caller.shake(line + b"\r\n" + request().split(b"\r\n", 1)[1])
    except EndedError:
        return
    assert answer.status in (101, 200, 505) or 400 <= answer.status < 500


def test_what_comes_with_a_handshake_is_read_after_it(caller: Peer) -> None:
    early = frame(PING, b"early") + frame(TEXT, b"too")
    assert caller.shake(request() + early[:3]).status == 101
    assert caller.echo(early[3:]) == (PONG, b"early", True, 0)
    assert caller.receive().payload == b"too"


def test_who_sends_and_sends_before_its_handshake_is_answered_takes_no_memory(echo: EchoServer, caller: Peer) -> None:
    before = echo.peak_memory
    caller.send(request(path="/never"))
    caller.send_for(0.5, frame(BINARY, b"x" * 60_000))
    assert caller.response().status == 400
    assert echo.peak_memory - before < 4_000_000


# --- HTTP beside it --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("without", ["", "upgrade"], ids=["a handshake", "a request"])
@pytest.mark.parametrize("length", ["content_length", "transfer_encoding"])
def test_a_body_that_is_too_long_is_refused_and_takes_no_memory(
    echo: EchoServer, caller: Peer, without: str, length: str
) -> None:
    before = echo.peak_memory
    size = 50 * MAX_BODY_BYTES
    head = {"content_length": str(size)} if length == "content_length" else {"transfer_encoding": "chunked"}
    caller.send(request(method="POST", without=without, **head))
    part = b"x" * MAX_BODY_BYTES
    for _ in range(size // MAX_BODY_BYTES):
        caller.send(part if length == "content_length" else b"%x\r\n%b\r\n" % (len(part), part))
    assert caller.response().status == 413
    assert caller.ends_within(1)
    assert echo.peak_memory - before < 4_000_000


def test_who_asks_whether_to_send_a_body_that_is_too_long_is_told_so_and_nothing_else(caller: Peer) -> None:
    size = str(MAX_BODY_BYTES + 1)
    asked = plain_request(method="POST", content_length=size, expect="100-continue")
    assert caller.shake(asked).status == 413
    with pytest.raises(EndedError):
        caller.response()


def test_a_body_of_the_longest_is_the_applications(caller: Peer) -> None:
    caller.send(plain_request(method="POST", content_length=str(MAX_BODY_BYTES)), b"x" * MAX_BODY_BYTES)
    assert caller.response().status == 200


def test_a_body_in_thousands_of_tiny_chunks_is_refused_before_it_is_all_there(caller: Peer) -> None:
    caller.send(plain_request(method="POST", transfer_encoding="chunked"), b"1\r\nx\r\n" * 2000)
    assert caller.response().status == 413
    assert caller.ends_within(1)


def test_a_body_that_is_too_long_is_refused_behind_a_request_that_is_being_answered(caller: Peer) -> None:
    size = str(MAX_BODY_BYTES + 1)
    caller.send(plain_request(method="HEAD"), plain_request(method="POST", content_length=size), b"x" * 1000)
    assert [caller.response().status, caller.response().status] == [200, 413]
    assert caller.ends_within(1)


def test_a_body_in_a_thousand_tiny_chunks_is_the_applications(caller: Peer) -> None:
    body = b"1\r\nx\r\n" * 1000 + b"2710\r\n%b\r\n" % (b"x" * 10_000) + b"0\r\n\r\n"
    caller.send(plain_request(method="POST", transfer_encoding="chunked"), body)
    assert caller.response().status == 200


def test_a_handshake_with_a_body_is_refused(caller: Peer) -> None:
    text = frame(TEXT, b"a message?")
    assert caller.shake(request(content_length=str(len(text))) + text).status == 400


def test_a_form_is_the_applications_to_read_however_broken(caller: Peer) -> None:
    """Twisted would do so in the event loop, a second for some megabytes, and answer 400 to this one."""
    form = plain_request(method="POST", content_length="5", content_type="multipart/form-data")
    assert caller.shake(form + b"--x\r\n").status == 200


def test_hundreds_of_connections_that_say_nothing_keep_nobody_out(echo: EchoServer) -> None:
    silent = [Peer(echo.port) for _ in range(300)]
    try:
        with connect(echo.ws_url, compression=None) as client:
            client.send("hello")
            assert client.recv(timeout=2) == "hello"
    finally:
        for peer in silent:
            peer.close()


# --- peers that are half gone ----------------------------------------------------------------------------------------


def test_a_peer_that_answers_no_ping_is_dropped_and_one_that_does_is_not(impatient: EchoServer) -> None:
    with connect(impatient.ws_url, compression=None) as alive, Peer(impatient.port) as dead:
        dead.open()
        assert dead.ends_within(2 * TIMEOUT + SLACK)
        alive.send("still there?")
        assert alive.recv(timeout=1) == "still there?"


def test_a_peer_far_away_has_a_second_to_answer_a_close_frame(caller: Peer) -> None:
    caller.open("/close/4000")
    assert caller.receive().opcode == CLOSE
    assert not caller.ends_within(0.95)
    assert caller.end(close_frame(4000)).orderly


def test_a_peer_that_reads_nothing_is_dropped(impatient: EchoServer) -> None:
    with Peer(impatient.port, receive_buffer=4096) as peer:
        peer.open("/flood")
        assert peer.is_reset_within(2 * TIMEOUT + SLACK)


def test_a_peer_that_reads_slowly_is_not_dropped_however_long_a_message_takes_it(impatient: EchoServer) -> None:
    with Peer(impatient.port, receive_buffer=4096) as peer:
        peer.open("/send/80000")
        began = time.monotonic()
        for _ in range(80):
            time.sleep(0.05)  # it is a slow one: 20 KB a second
            peer.sip(1000)
        assert time.monotonic() - began > 3 * TIMEOUT
        assert len(peer.read().payload) == 80_000


def test_a_peer_that_closes_and_reads_nothing_is_dropped(impatient: EchoServer) -> None:
    with Peer(impatient.port, receive_buffer=4096) as peer:
        peer.open("/send/4000000")
        peer.send(close_frame(1000))
        assert peer.is_reset_within(2 * TIMEOUT + SLACK)


def test_a_peer_that_closes_while_it_is_sent_to_leaves_no_traceback(echo: EchoServer) -> None:
    for _ in range(5):
        with Peer(echo.port, receive_buffer=4096) as peer:
            peer.open("/flood")
            assert peer.receive().opcode == TEXT
            peer.send(close_frame(1000))
            peer.ends_within(0.2)  # until then the application goes on sending


def test_a_peer_that_sends_and_closes_at_once_leaves_no_traceback(echo: EchoServer) -> None:
    for _ in range(20):
        with Peer(echo.port) as peer:
            peer.open()
            peer.end(frame(TEXT, b"x") * 20, close_frame(1000))


# --- the stream itself -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def board(server: Server) -> Iterator[ClientConnection]:
    """A client of the stream that watches gold."""
    server.publish(gold="13000", silver="165.5")
    with connect(server.ws_url) as client:
        client.send('{"type":"subscribe","metals":["gold"]}')
        yield client


@pytest.fixture
def in_time(server: Server, board: ClientConnection) -> Iterator[None]:
    """After the test, the board's client gets the next publication, and the server has logged no traceback."""
    mark = len(server.output)
    yield
    publication = server.publish(gold=str(13000 + next_price()))
    assert publication is not None
    while True:
        update = json.loads(board.recv(timeout=2))
        if update["type"] == "priceUpdate" and update["seq"] >= publication.seq:
            break
    assert "Traceback" not in server.output[mark:], server.output[mark:]


_prices = iter(range(1, 1000))


def next_price() -> int:
    """A price that was not yet."""
    return next(_prices)


def answers(peer: Peer, *sent: Any) -> list[dict[str, Any]]:
    """The stream's answers to these messages, from the first `error`, `subscribed` or `pong` on, one for each."""
    peer.send(*[frame(TEXT, one if isinstance(one, bytes) else json.dumps(one).encode()) for one in sent])
    got: list[dict[str, Any]] = []
    while len(got) < len(sent):
        message = json.loads(peer.receive().payload)
        if message["type"] not in ("priceUpdate", "status"):
            got.append(message)
    return got


@pytest.fixture
def visitor(server: Server, in_time: None) -> Iterator[Peer]:
    """Another client of the stream."""
    with Peer(server.port) as peer:
        peer.open("/ws/prices/")
        yield peer


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        pytest.param(b"[" * 16_000, "invalid_json", id="deep lists"),
        pytest.param(b'{"a":' * 3000, "invalid_json", id="deep objects"),
        pytest.param(b"[" * 8000 + b"]" * 8000, "invalid_json", id="deep lists that are closed"),
        pytest.param(b'{"type":"ping","id":' + b"[" * 500 + b"]" * 500 + b"}", "invalid_message", id="a deep id"),
        pytest.param(b'{"type":"ping","id":' + b"9" * 10_000 + b"}", None, id="a huge number"),
        pytest.param(b'{"type":"ping","id":1e999}', None, id="an infinite number"),
        pytest.param(b'{"type":"' + b"x" * 10_000 + b'"}', "unknown_type", id="a long type"),
        pytest.param(b'{"type":"ping","id":"\\ud800"}', "invalid_json", id="half a surrogate pair"),
        pytest.param(b'{"type":"subscribe","metals":' + b'["gold"' + b',"gold"' * 2000 + b"]}", None, id="gold x 2001"),
        pytest.param(
            json.dumps({"type": "subscribe", "metals": [f"m{n}" for n in range(1500)]}).encode(),
            "unknown_metal",
            id="1500 metals that are none",
        ),
        pytest.param(
            json.dumps({"type": "subscribe", "metals": ["x" * 15_000]}).encode(), "unknown_metal", id="a long metal"
        ),
        pytest.param(
            b'{"type":"subscribe","metals":["gold"],"since":' + b"9" * 400 + b"}", "invalid_message", id="a huge since"
        ),
    ],
)
def test_deep_and_huge_messages_get_a_short_answer(visitor: Peer, sent: bytes, code: str | None) -> None:
    answer, pong = answers(visitor, sent, {"type": "ping", "id": "then"})
    assert code is None or (answer["type"], answer["code"]) == ("error", code)
    assert len(json.dumps(answer)) < 1000 or code is None
    assert (pong["type"], pong["id"]) == ("pong", "then")


def test_thousands_of_subscribes_in_one_write_meet_the_rate_limit(
    run_server: Callable[..., Server], in_time: None
) -> None:
    strict = run_server(WS_RATE_LIMIT="10")
    with connect(strict.ws_url) as neighbour, Peer(strict.port) as peer:
        peer.open()
        closed = peer.end(frame(TEXT, b'{"type":"subscribe","metals":["gold"]}') * 5000)
        assert (closed.code, closed.reason, closed.orderly) == (1008, "Rate limit exceeded", True)
        # The first one is free.
        assert sum(b'"subscribed"' in got.payload for got in closed.before) <= 11
        publication = strict.publish(gold=str(13000 + next_price()))
        assert publication is not None
        while json.loads(neighbour.recv(timeout=2)).get("seq") != publication.seq:
            pass
    assert "Traceback" not in strict.output
