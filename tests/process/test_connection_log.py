"""The log lines of each connection of a real web process under LOG_LEVEL=DEBUG, and the counts when one ends."""

import errno
import os
import re
from collections.abc import Callable

import pytest
from websockets.sync.client import connect

from tests.support.product import wait_until
from tests.support.raw_websocket import BINARY, TEXT, Peer, close_frame, frame, request
from tests.support.scrape import by_label
from tests.support.server import Server
from tests.support.stream_client import end_of, exchange, receive

RATE_LIMIT = 3


@pytest.fixture(scope="module")
def talkative(run_server: Callable[..., Server]) -> Server:
    """A web process that tells all, takes few messages, and is impatient."""
    server = run_server(LOG_LEVEL="DEBUG", WS_RATE_LIMIT=str(RATE_LIMIT), WS_TIMEOUT="1500")
    server.publish(gold="100")
    return server


def logged(server: Server, peer: str, *lines: str) -> None:
    """The process logs these lines of the connection, in this order, with nothing of it between them."""
    of_it = re.compile(rf" DEBUG streaming\.[\w.]+: WebSocket (.*{re.escape(peer)}.*)$", re.MULTILINE)
    wait_until(lambda: len(of_it.findall(server.output)) >= len(lines), f"so many lines of {peer}")
    assert of_it.findall(server.output) == list(lines)


def test_opening_and_closing_are_logged_with_peer_code_and_reason(talkative: Server) -> None:
    with connect(talkative.ws_url) as client:
        receive(client, "priceUpdate")
        peer = f"127.0.0.1:{client.socket.getsockname()[1]}"
        client.close(4001, "see you\nINFO all is well")
    logged(
        talkative,
        peer,
        f"connection of {peer}: opened",
        f"connection of {peer}: closed by the client, code=4001 reason='see you\\nINFO all is well'",
    )


def test_a_close_without_a_code_and_one_without_a_close_frame_are_logged_apart(talkative: Server) -> None:
    for words, how in (
        (close_frame(), "by the client, code=1005 reason=''"),
        (b"", "without a close frame, code=1006 reason=''"),
    ):
        with Peer(talkative.port) as peer:
            peer.open()
            peer.send(words)
            peer.finish()
            peer.end()
            name = peer.name
        logged(talkative, name, f"connection of {name}: opened", f"connection of {name}: closed {how}")


def test_an_error_of_the_protocol_is_logged_with_message_code_and_type(talkative: Server) -> None:
    with Peer(talkative.port) as peer:
        peer.open()
        closed = peer.end(frame(3, b"what is this?"))
        assert closed.code == 1002
        name = peer.name
    logged(
        talkative,
        name,
        f"connection of {name}: opened",
        f"connection error of {name}: error={closed.reason!r} code=1002 type=protocol",
        f"connection of {name}: closed by the server, code=1002 reason={closed.reason!r}",
    )


def test_a_reset_is_logged_as_an_error(talkative: Server) -> None:
    with Peer(talkative.port) as peer:
        peer.open()
        name = peer.name
        peer.reset()
    message = str(ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET)))
    logged(
        talkative,
        name,
        f"connection of {name}: opened",
        f"connection error of {name}: error={message!r} code=1006 type=ConnectionResetError",
        f"connection of {name}: closed without a close frame, code=1006 reason=''",
    )


def test_a_handshake_that_is_turned_away_is_logged_with_its_status(talkative: Server) -> None:
    with Peer(talkative.port) as peer:
        assert peer.shake(request(path="/elsewhere")).status == 403
        name = peer.name
    logged(talkative, name, f"handshake of {name} refused: 403 'Access denied'")


def test_a_handshake_that_http_has_no_place_for_is_logged_too(talkative: Server) -> None:
    with Peer(talkative.port) as peer:
        assert peer.shake(request(version="HTTP/1.0")).status == 400
        name = peer.name
    words = "Send a WebSocket handshake as HTTP/1.1 (nginx: proxy_http_version 1.1;)"
    logged(talkative, name, f"handshake of {name} refused: 400 {words!r}")


def test_a_client_that_is_dropped_for_its_silence_is_logged_with_that(talkative: Server) -> None:
    with Peer(talkative.port) as peer:
        peer.open()
        assert peer.ends_within(10)
        name = peer.name
    opened = f"connection of {name}: opened"
    logged(talkative, name, opened, f"connection of {name}: closed without a close frame, code=1006 reason='silent'")


def received(server: Server) -> dict[str, float]:
    """How many messages came, by type."""
    return by_label(server, "swarna_messages_received_total")


def test_a_message_that_ends_its_connection_is_counted_as_received(talkative: Server) -> None:
    before = received(talkative)
    with connect(talkative.ws_url) as client:
        for _ in range(RATE_LIMIT):
            exchange(client, type="ping")
        client.send('{"type":"ping"}')
        assert end_of(client) == (1008, "Rate limit exceeded")
    for message in (frame(TEXT, b"x" * 20_000), frame(BINARY, b"", length=2**40)):
        with Peer(talkative.port) as peer:
            peer.open()
            assert peer.end(message).code == 1009
    wait_until(
        lambda: (
            received(talkative)
            == before | {"ping": before.get("ping", 0) + RATE_LIMIT + 1, "too_big": before.get("too_big", 0) + 2}
        ),
        "both to be counted",
    )


def test_by_default_single_connections_are_not_logged(server: Server) -> None:
    with connect(server.ws_url) as client:
        exchange(client, type="ping")
    with Peer(server.port) as peer:
        peer.open()
        peer.end(frame(3))
    assert "streaming.engine.websocket" not in server.output
