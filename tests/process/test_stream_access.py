"""Access to the stream of a real web process, and its limits: tokens, logins, rates, connections."""

import contextlib
import json
from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from accounts import tokens
from tests.support.raw_websocket import Peer
from tests.support.server import Server
from tests.support.stream_client import end_of, exchange, receive, rejection

UNAUTHORIZED = (1008, "Unauthorized")
RATE_LIMIT, USER_RATE_LIMIT = 6, 8
RATES = {"WS_RATE_LIMIT": str(RATE_LIMIT), "WS_USER_RATE_LIMIT": str(USER_RATE_LIMIT)}
TOO_FAST = (1008, "Rate limit exceeded")


@pytest.fixture(scope="module")
def members(run_server: Callable[..., Server]) -> Server:
    """A web process for those alone who are somebody, which looks again every second whether they still are."""
    server = run_server(WS_AUTH_REQUIRED="true", WS_AUTH_RECHECK="1s", LOG_LEVEL="INFO", **RATES)
    server.publish(gold="100")
    return server


def by_header(server: Server, token: str, word: str = "Bearer") -> ClientConnection:
    return connect(server.ws_url, additional_headers={"Authorization": f"{word} {token}"})


def by_session(server: Server, key: str, origin: str) -> ClientConnection:
    return connect(server.ws_url, additional_headers={"Cookie": f"sessionid={key}", "Origin": origin})


@pytest.mark.parametrize("word", ["Bearer", "Token", ""])
def test_a_token_in_a_header_is_served(members: Server, token: str, word: str) -> None:
    with by_header(members, token, word) as client:
        assert "gold" in receive(client, "priceUpdate")["data"]


def test_a_token_among_the_subprotocols_is_served_and_never_answered_nor_logged(members: Server, token: str) -> None:
    offered = [Subprotocol("swarnaai-v1"), Subprotocol(f"swarnaai.bearer.{token}")]
    with connect(members.ws_url, subprotocols=offered) as client:
        assert client.subprotocol == "swarnaai-v1"
        receive(client, "priceUpdate")
    assert token not in members.output


def test_who_brings_nothing_or_an_unknown_token_is_told_so_and_gets_no_price(members: Server, token: str) -> None:
    with connect(members.ws_url) as nobody, by_header(members, token[:-1] + "%") as stranger:
        for client, advice in ((nobody, "A credential is required"), (stranger, "/api/v1/auth/token/")):
            error = json.loads(client.recv(timeout=10))
            assert (error["type"], error["code"], error["retry"]) == ("error", "unauthorized", "never")
            assert advice in error["message"]
            assert "afterMs" not in error
            with pytest.raises(ConnectionClosed):
                client.recv(timeout=10)
            assert (client.close_code, client.close_reason) == UNAUTHORIZED


def test_what_is_presented_and_unknown_is_refused_where_nothing_is_required(
    run_server: Callable[..., Server], token: str
) -> None:
    public = run_server()
    public.publish(gold="102")
    unknown = token[:-1] + ("0" if token[-1] != "0" else "1")
    for presented in (unknown, f"Bearer {unknown}", "Basic YTpi", f"ApiKey {token}"):
        with connect(public.ws_url, additional_headers={"Authorization": presented}) as client:
            assert end_of(client) == UNAUTHORIZED, presented
    with connect(public.ws_url, subprotocols=[Subprotocol(f"swarnaai.bearer.{unknown}")]) as client:
        assert end_of(client) == UNAUTHORIZED
    with by_session(public, "anoldone", public.http_url) as client:  # which browsers send unasked
        receive(client, "priceUpdate")


def test_a_login_is_served_on_our_own_pages_alone(members: Server, session: str) -> None:
    with by_session(members, session, members.http_url) as client:
        receive(client, "priceUpdate")
    with by_session(members, session, "http://elsewhere.example") as client:
        assert end_of(client) == UNAUTHORIZED


def test_a_name_that_is_not_ours_brings_no_login_and_hides_nothing_that_all_may_read(
    members: Server, server: Server, session: str
) -> None:
    """A page can make its own name lead here (DNS rebinding); a board on a wall asks by address."""
    server.publish(gold="100")
    elsewhere = {"host": "elsewhere.example", "origin": "http://elsewhere.example"}
    with Peer(server.port) as anybody, Peer(members.port) as page:
        anybody.open(**elsewhere)
        assert json.loads(anybody.receive().payload)["type"] == "priceUpdate"
        page.open(**elsewhere, cookie=f"sessionid={session}")
        closed = page.end()
        assert (closed.code, closed.reason) == UNAUTHORIZED
        assert not any(b"priceUpdate" in got.payload for got in closed.before)


def test_a_token_that_is_revoked_ends_its_open_connection_and_no_others(
    members: Server, asha: User, token: str, session: str
) -> None:
    with by_header(members, token) as revoked, by_session(members, session, members.http_url) as other:
        receive(revoked, "priceUpdate")
        members.do(lambda: tokens.of(asha).delete())
        error = rejection(revoked)
        assert (error["code"], error["retry"]) == ("unauthorized", "never")
        assert "Come back with another" in error["message"]
        assert end_of(revoked) == UNAUTHORIZED
        assert exchange(other, type="ping")["type"] == "pong"


def test_a_login_that_ends_ends_its_open_connection(members: Server, asha: User, session: str) -> None:
    with by_session(members, session, members.http_url) as client:
        receive(client, "priceUpdate")
        members.do(lambda: User.objects.filter(pk=asha.pk).update(is_active=False))
        assert end_of(client) == UNAUTHORIZED


def test_a_users_messages_count_together_over_connections_and_processes(
    members: Server, run_server: Callable[..., Server], token: str
) -> None:
    other = run_server(**RATES)
    with by_header(members, token) as here, by_header(other, token) as there, connect(other.ws_url) as anonymous:
        for client in (here, there) * (USER_RATE_LIMIT // 2):
            assert exchange(client, type="ping")["type"] == "pong"
        for client in (here, there):
            client.send('{"type":"ping"}')
            assert "on all connections of a user together" in rejection(client)["message"]
            assert end_of(client) == TOO_FAST
        assert exchange(anonymous, type="ping")["type"] == "pong"


def test_a_users_connection_has_the_rate_of_any_connection(members: Server, token: str) -> None:
    with by_header(members, token) as client:
        for _ in range(RATE_LIMIT):
            assert exchange(client, type="ping")["type"] == "pong"
        client.send('{"type":"ping"}')
        assert end_of(client) == TOO_FAST


def test_all_screens_of_one_login_come_back_at_once(members: Server, token: str) -> None:
    with contextlib.ExitStack() as stack:
        screens = [stack.enter_context(by_header(members, token)) for _ in range(2 * USER_RATE_LIMIT)]
        for screen in screens:
            assert exchange(screen, type="subscribe", metals=["gold"])["metals"] == ["gold"]
        assert exchange(screens[0], type="ping")["type"] == "pong"


def test_the_first_subscribe_alone_does_not_count(members: Server, token: str) -> None:
    with by_header(members, token) as client:
        assert exchange(client, type="subscribe", metals=["mud"])["code"] == "unknown_metal"
        assert exchange(client, type="subscribe", metals=["gold"])["type"] == "subscribed"
        for _ in range(RATE_LIMIT - 1):
            assert exchange(client, type="subscribe", metals=["gold"])["type"] == "subscribed"
        client.send('{"type":"subscribe","metals":["gold"]}')
        assert end_of(client) == TOO_FAST


@pytest.fixture(scope="module")
def narrow(run_server: Callable[..., Server]) -> Server:
    """A web process behind a proxy on this machine, with room for one connection from each address."""
    server = run_server(WS_MAX_CONNECTIONS_PER_IP="1", TRUSTED_PROXIES="127.0.0.1")
    server.publish(gold="101")
    return server


def test_one_address_has_so_many_connections_and_a_proxys_clients_are_told_apart(narrow: Server) -> None:
    def from_(address: str) -> ClientConnection:
        return connect(narrow.ws_url, additional_headers={"X-Forwarded-For": f"203.0.113.99, {address}"})

    with from_("198.51.100.7") as first, from_("198.51.100.8") as other, from_("198.51.100.7") as too_many:
        receive(first, "priceUpdate")
        receive(other, "priceUpdate")
        error = rejection(too_many)
        assert (error["code"], error["retry"]) == ("at_capacity", "later")
        assert "as many connections as one may have: 1." in error["message"]
        assert end_of(too_many) == (1008, "Server at capacity")
    with from_("198.51.100.7") as next_one:
        receive(next_one, "priceUpdate")
