"""The stream as Server-Sent Events, from a real web process."""

import contextlib
import itertools
import json
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from email.message import Message
from typing import Any

import pytest
from django.contrib.auth.models import User

from accounts import tokens
from tests.support.event_source import PATH, EventClient, requested
from tests.support.product import wait_until
from tests.support.scrape import by_label, http_clients
from tests.support.server import Server

ALL = ["gold", "silver", "platinum", "palladium"]
TIMEOUT = 4.0


@pytest.fixture(scope="module")
def shop(run_server: Callable[..., Server]) -> Server:
    """A web process with all metals' prices, which lets one origin's pages read them."""
    server = run_server(
        WS_BATCH_INTERVAL="0",
        WS_MAX_CONNECTIONS="400",
        WS_TIMEOUT=f"{TIMEOUT:.0f}s",
        API_RATE_LIMIT="0",
        CORS_ALLOWED_ORIGINS="https://shop.example",
    )
    server.publish(gold="13000", silver="165.5", platinum="4900", palladium="4300")
    return server


def fetch(server: Server, query: str = "", method: str = "GET", **headers: str) -> tuple[int, Message, Any]:
    """Status, headers and JSON body of an answer that ends."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(f"{server.http_url}{PATH}?{query}", headers=named, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status, response.headers, response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, json.loads(error.read() or "{}")


def clients(server: Server) -> float:
    return http_clients(server, "sse")


# --- what a client gets ----------------------------------------------------------------------------------------------


def test_a_new_client_gets_a_snapshot_the_status_and_each_publication(shop: Server) -> None:
    with EventClient(shop) as client:
        assert client.response.headers["Content-Type"] == "text/event-stream"
        snapshot, status = client.next(), client.next()
        assert (snapshot.type, snapshot.message["snapshot"], list(snapshot.message["data"])) == (
            "priceUpdate",
            True,
            ALL,
        )
        assert (status.type, status.message["feed"]) == ("status", "live")
        assert client.parser.retry == 3000
        publication = shop.publish(gold="13000.5")
        assert publication is not None
        update = client.next()
        assert (update.message["data"]["gold"]["price"], update.message["snapshot"]) == (13000.5, False)
        assert update.last_event_id == f"{update.message['epoch']}:{publication.seq}"


def test_it_is_for_each_proxy_on_the_way_to_pass_on_at_once_and_unchanged(shop: Server) -> None:
    with EventClient(shop, Accept_Encoding="gzip, br") as client:
        headers = client.response.headers
        assert headers["Cache-Control"] == "no-store, no-transform"
        assert (headers["X-Accel-Buffering"], headers["Connection"]) == ("no", "close")
        assert "Content-Encoding" not in headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert client.next().type == "priceUpdate"


@pytest.mark.parametrize("metals", ["gold,XAG", "XAU,silver", "silver,gold,gold"])
def test_a_client_of_some_metals_hears_nothing_of_others(shop: Server, metals: str) -> None:
    with EventClient(shop, f"metals={metals}") as client:
        assert client.next("priceUpdate").message["data"].keys() == {"gold", "silver"}
        client.next("status")
        shop.publish(platinum=f"49{time.time() % 10:.4f}")
        publication = shop.publish(silver=f"16{time.time() % 10:.4f}")
        assert publication is not None
        event = client.next()
        assert event.message.get("seq") == publication.seq, event


def test_all_metals_may_be_named_by_a_star_and_candles_and_an_interval_be_had(shop: Server) -> None:
    with EventClient(shop, "metals=*&candles=1m,1h&interval=700") as client:
        first = client.next("priceUpdate").message
        assert list(first["data"]) == ALL
        assert first["candles"]["gold"].keys() == {"1m", "1h"}
        began = time.monotonic()
        for number in range(5):
            last = shop.publish(gold=f"1310{number}")
        assert last is not None
        updates = [client.next("priceUpdate").message]
        while updates[-1]["seq"] < last.seq:
            updates.append(client.next("priceUpdate").message)
        assert time.monotonic() - began >= 0.6
        assert len(updates) <= 1 + (time.monotonic() - began) / 0.7


# --- coming back -----------------------------------------------------------------------------------------------------


def moved(server: Server, *prices: str) -> list[tuple[float, float]]:
    """Publish prices of gold, each a significant move; returns the moves between them."""
    for price in prices:
        server.publish(gold=price)
    numbers = [float(price) for price in prices]
    return list(itertools.pairwise(numbers))


def moves(messages: list[Any]) -> list[tuple[float, float]]:
    return [(move["oldPrice"], move["newPrice"]) for message in messages for move in message["changes"]]


def test_a_client_that_comes_back_gets_every_move_once_and_no_snapshot_before(shop: Server) -> None:
    shop.publish(gold="10000")
    with EventClient(shop) as client:
        seen = client.next("priceUpdate")
    expected = moved(shop, "10000", "10200", "10500", "10200")
    with EventClient(shop, Last_Event_ID=seen.last_event_id) as again:
        update = again.next("priceUpdate")
        assert update.message["snapshot"] is False
        got = [update.message]
        expected += [(10200, 10700), *moved(shop, "10700", "10400")]
        while len(moves(got)) < len(expected):
            got.append(again.next("priceUpdate").message)
        assert moves(got) == expected
        last = again.parser.last_event_id
    with EventClient(shop, Last_Event_ID=last) as nothing_missed:
        assert nothing_missed.next().type == "status"


def test_two_that_resume_at_once_each_get_what_they_missed(shop: Server) -> None:
    shop.publish(gold="10000")
    with EventClient(shop) as client:
        seen = client.next("priceUpdate").last_event_id
    first = moved(shop, "10000", "10300", "10700")
    with ThreadPoolExecutor(8) as pool, contextlib.ExitStack() as stack:
        again = list(pool.map(lambda _: EventClient(shop, Last_Event_ID=seen), range(8)))
        for each in again:
            stack.enter_context(each)
        assert all(moves([each.next("priceUpdate").message]) == first for each in again)


def test_the_header_wins_over_the_query_which_is_for_those_without_headers(shop: Server) -> None:
    with EventClient(shop) as client:
        seen = client.next("priceUpdate").last_event_id
    with EventClient(shop, f"lastEventId={seen}") as by_query:
        assert by_query.next().type == "status"
    with EventClient(shop, "lastEventId=nonsense", Last_Event_ID=seen) as by_header:
        assert by_header.next().type == "status"
    with EventClient(shop, f"lastEventId={seen}", Last_Event_ID="nonsense") as by_nonsense:
        assert by_nonsense.next().message["snapshot"] is True


@pytest.mark.parametrize("other", ["{epoch}:1{seq}", "other:{seq}", "other:0", "{seq}", "nonsense", "", "{epoch}:-1"])
def test_an_id_of_the_future_of_another_epoch_or_of_nonsense_gets_a_snapshot(shop: Server, other: str) -> None:
    with EventClient(shop) as client:
        epoch, seq = client.next("priceUpdate").last_event_id.split(":")
    with EventClient(shop, Last_Event_ID=other.format(epoch=epoch, seq=seq)) as again:
        first = again.next()
        assert (first.type, first.message["snapshot"]) == ("priceUpdate", True)
        assert first.message["seq"] >= int(seq)


# --- requests that are refused ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "name", "said"),
    [
        ("metals=mud", "metals", "gold, silver, platinum, palladium, XAU"),
        ("metals=", "metals", "XPD"),
        ("metals=gold,*", "metals", "XPD"),
        ("candles=2m", "candles", "1m, 5m, 15m, 1h, 1d"),
        ("candles=*", "candles", "1m, 5m, 15m, 1h, 1d"),
        ("interval=-1", "interval", "0"),
        ("interval=soon", "interval", "integer"),
        ("interval=86400001", "interval", "86400000"),
        ("metals=gold&metals=silver", "metals", "once"),
        ("unit=kg", "unit", "Known here"),
        ("token=x", "token", "Authorization"),
    ],
)
def test_a_bad_query_is_answered_with_what_to_send(shop: Server, query: str, name: str, said: str) -> None:
    status, headers, problem = fetch(shop, query, Accept="text/event-stream")
    assert (status, headers["Content-Type"]) == (400, "application/problem+json")
    assert said in problem["errors"][name][0]


def test_a_head_is_the_head_alone_and_other_methods_are_not_allowed(shop: Server) -> None:
    before = clients(shop)
    status, headers, body = fetch(shop, method="HEAD")
    assert (status, headers["Content-Type"], body) == (200, "text/event-stream", b"")
    for method in ("POST", "PUT", "DELETE"):
        status, headers, _ = fetch(shop, method=method)
        assert (status, headers["Allow"]) == (405, "GET, HEAD, OPTIONS")
    wait_until(lambda: clients(shop) == before, "the client of HEAD to be forgotten")


def test_any_accept_is_served_and_a_strange_host_is_not(shop: Server) -> None:
    for accept in ("text/event-stream", "*/*", "text/html,*/*;q=0.8", "application/json"):
        with EventClient(shop, Accept=accept) as client:
            assert client.response.status == 200
    assert fetch(shop, Host="evil.example")[0] == 400


def test_pages_of_the_named_origin_alone_may_read_it(shop: Server) -> None:
    asked = {"Access_Control_Request_Method": "GET", "Access_Control_Request_Headers": "authorization,last-event-id"}
    status, headers, _ = fetch(shop, method="OPTIONS", Origin="https://shop.example", **asked)
    assert (status, headers["Access-Control-Allow-Origin"]) == (200, "https://shop.example")
    allowed = headers["Access-Control-Allow-Headers"].split(", ")
    assert {"authorization", "last-event-id", "if-none-match"} <= set(allowed)
    with EventClient(shop, Origin="https://shop.example") as client:
        assert client.response.headers["Access-Control-Allow-Origin"] == "https://shop.example"
        assert "ETag" in client.response.headers["Access-Control-Expose-Headers"]
        assert "Access-Control-Allow-Credentials" not in client.response.headers
    with EventClient(shop, Origin="https://evil.example") as stranger:
        assert "Access-Control-Allow-Origin" not in stranger.response.headers
    assert fetch(shop, "metals=mud", Origin="https://shop.example")[1]["Access-Control-Allow-Origin"]


# --- who it is for ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def members(run_server: Callable[..., Server]) -> Server:
    """A web process for those alone who are somebody, which looks again every second whether they still are."""
    server = run_server(WS_AUTH_REQUIRED="true", WS_AUTH_RECHECK="1s", API_USER_RATE_LIMIT="5", LOG_LEVEL="DEBUG")
    server.publish(gold="100")
    return server


def test_a_token_is_served_and_none_or_a_wrong_one_is_401_before_the_stream_begins(members: Server, token: str) -> None:
    with EventClient(members, Authorization=f"Bearer {token}") as client:
        assert client.next().type == "priceUpdate"
    for headers in ({}, {"Authorization": "Bearer none"}, {"Authorization": f"Bearer {token[:-1]}%"}):
        status, answered, problem = fetch(members, **headers)
        assert (status, answered["WWW-Authenticate"], problem["status"]) == (401, "Bearer", 401)
        assert answered["Cache-Control"] == "no-store"


def test_a_token_in_the_address_is_refused_and_not_logged(members: Server, token: str) -> None:
    status, _, problem = fetch(members, f"token={token}")
    assert (status, "Authorization" in problem["errors"]["token"][0]) == (400, True)
    assert fetch(members, f"key={token}")[0] == 400
    assert token not in members.output


def test_a_login_counts_on_our_own_pages_alone(members: Server, session: str) -> None:
    cookie = {"Cookie": f"sessionid={session}"}
    for ours in ({"Sec_Fetch_Site": "same-origin"}, {"Origin": members.http_url}):
        with EventClient(members, **cookie, **ours) as client:
            assert client.next().type == "priceUpdate"
    for strange in (
        {},
        {"Sec_Fetch_Site": "same-site"},
        {"Sec_Fetch_Site": "none"},
        {"Origin": "https://shop.example"},
    ):
        assert fetch(members, **cookie, **strange)[0] == 401


def test_a_stream_whose_token_is_revoked_ends_after_an_error(members: Server, asha: User, token: str) -> None:
    with EventClient(members, Authorization=f"Bearer {token}") as client:
        client.next("status")
        members.do(lambda: tokens.of(asha).delete())
        error = client.rest()[-1]
        assert (error.type, error.message["code"], error.message["retry"]) == ("error", "unauthorized", "never")


def test_a_user_may_make_so_many_requests(members: Server, token: str) -> None:
    for _ in range(5):
        with EventClient(members, Authorization=f"Bearer {token}") as client:
            assert client.response.status == 200
    status, headers, _ = fetch(members, Authorization=f"Bearer {token}")
    assert (status, 0 < int(headers["Retry-After"]) <= 60) == (429, True)


def test_an_address_may_make_so_many_requests_and_have_so_many_streams(run_server: Callable[..., Server]) -> None:
    narrow = run_server(WS_MAX_CONNECTIONS_PER_IP="2", API_RATE_LIMIT="4")
    with EventClient(narrow) as one, EventClient(narrow) as two:
        assert (one.response.status, two.response.status) == (200, 200)
        status, headers, problem = fetch(narrow)
        assert (status, problem["status"], int(headers["Retry-After"]) >= 1) == (503, 503, True)
    wait_until(lambda: clients(narrow) == 0, "both to be forgotten")
    with EventClient(narrow) as again:
        assert again.response.status == 200
    assert fetch(narrow)[0] == 429


def test_a_full_process_refuses_before_the_stream_begins(run_server: Callable[..., Server]) -> None:
    full = run_server(WS_MAX_CONNECTIONS="1")
    with EventClient(full) as client:
        client.next("status")
        status, headers, _ = fetch(full)
        assert (status, int(headers["Retry-After"]) >= 1) == (503, True)
        assert fetch(full, method="HEAD")[0] == 503


# --- clients that do not read, and the end ---------------------------------------------------------------------------


def test_a_hundred_idle_clients_that_never_read_cost_the_others_nothing(shop: Server) -> None:
    head = f"GET {PATH} HTTP/1.1\nHost: localhost\n\n"
    idle = [requested(shop.port, head, receive_buffer=4096) for _ in range(100)]
    try:
        wait_until(lambda: clients(shop) >= 100, "all of them to be served")
        with EventClient(shop) as client:
            client.next("status")
            publication = shop.publish(gold=f"13{time.time() % 100:.4f}")
            assert publication is not None
            began = time.monotonic()
            while client.next("priceUpdate").message["seq"] < publication.seq:
                pass
            assert time.monotonic() - began < 2
    finally:
        for peer in idle:
            peer.close()
    wait_until(lambda: clients(shop) == 0, "all of them to be forgotten")


def test_a_client_that_never_reads_is_dropped_in_its_time(run_server: Callable[..., Server]) -> None:
    server = run_server(PRICE_PROVIDERS="simulated", WS_TIMEOUT="2s", WS_BATCH_INTERVAL="0")
    server.publish(gold="13000", source="simulated")
    head = f"GET {PATH}?candles=1m,5m,15m,1h,1d HTTP/1.1\nHost: localhost\n\n"
    before = stalled(server)
    with requested(server.port, head, receive_buffer=2048) as peer:
        wait_until(lambda: clients(server) == 1, "it to be served")
        until = time.monotonic() + 60
        number = 0
        while clients(server) == 1:
            assert time.monotonic() < until, "it is still there"
            number += 1
            server.publish(gold=f"13000.{number:04}", source="simulated")
        with contextlib.suppress(ConnectionError):
            while peer.recv(65536):
                pass
    assert stalled(server) == before + 1


def test_it_counts_as_stalled_too_where_the_kernel_notices_first(run_server: Callable[..., Server]) -> None:
    server = run_server(PRICE_PROVIDERS="simulated", WS_TIMEOUT="2s", WS_BATCH_INTERVAL="0")
    before = stalled(server)
    with requested(server.port, f"GET {PATH} HTTP/1.1\nHost: localhost\n\n", receive_buffer=2048):
        wait_until(lambda: clients(server) == 1, "it to be served")
        for number in range(3):  # more than its kernel takes, and less than ours does too
            server.publish(gold=f"13000.{number:04}", source="simulated")
        wait_until(lambda: clients(server) == 0, "it to be dropped")
    assert stalled(server) == before + 1


def stalled(server: Server) -> float:
    """How many clients were dropped so, by all web processes that ever counted here."""
    return by_label(server, "swarna_connections_closed_total").get("stalled", 0)


def test_a_client_that_left_is_forgotten_at_once(shop: Server) -> None:
    before = clients(shop)
    with EventClient(shop) as client:
        client.next("status")
        assert clients(shop) == before + 1
    wait_until(lambda: clients(shop) == before, "it to be forgotten")


@pytest.mark.parametrize("headers", ["Host: localhost\n", ""])
def test_http_1_0_is_served_until_the_connection_ends(shop: Server, headers: str) -> None:
    with requested(shop.port, f"GET {PATH} HTTP/1.0\n{headers}\n") as peer:
        got = b""
        while b"event: status" not in got:
            part = peer.recv(65536)
            assert part, got
            got += part
        head, _, body = got.partition(b"\r\n\r\n")
        assert b"chunked" not in head.lower()
        assert body.startswith(b"retry: 3000\n\nid: ")


def test_a_process_that_ends_tells_each_client_when_to_come_back(run_server: Callable[..., Server]) -> None:
    server = run_server(WS_RESTART_SPREAD="60s")
    server.publish(gold="13000")
    with EventClient(server) as one, EventClient(server) as other:
        for client in (one, other):
            client.next("status")
        began = time.monotonic()
        server.signal(signal.SIGTERM)
        waits = []
        for client in (one, other):
            restart = client.rest()[-1]
            assert (restart.type, client.parser.retry) == ("restart", restart.message["afterMs"])
            waits.append(restart.message["afterMs"])
        assert waits[0] != waits[1]
        assert server.wait() == 0
        assert time.monotonic() - began < 2  # not WS_DRAIN_TIMEOUT, which is for those who do not go by themselves
    assert "Traceback" not in server.output
