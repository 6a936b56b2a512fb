"""Waiting polls of a real web process: GET prices/?wait=…"""

import contextlib
import http.client
import json
import math
import re
import signal
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from accounts import tokens
from tests.support.event_source import requested
from tests.support.members import somebody
from tests.support.product import wait_until
from tests.support.scrape import http_clients
from tests.support.server import Server

PATH = "/api/v1/prices/"
SIMULATED = {"PRICE_PROVIDERS": "simulated", "WS_BATCH_INTERVAL": "0", "API_RATE_LIMIT": "0"}


@dataclass(frozen=True)
class Answer:
    """An answer, the seconds it took, and its JSON body."""

    status: int
    headers: http.client.HTTPMessage
    body: Any
    seconds: float

    @property
    def position(self) -> str:
        return f"epoch={self.body['epoch']}&since={self.body['seq']}"


def poll(server: Server, query: str, method: str = "GET", **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    began = time.monotonic()
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=40)) as connection:
        connection.request(method, f"{PATH}?{query}", headers=named)
        response = connection.getresponse()
        body = response.read()
    return Answer(response.status, response.headers, json.loads(body) if body else None, time.monotonic() - began)


class Later:
    """A poll that is on its way, in a thread."""

    def __init__(self, server: Server, query: str, **headers: str) -> None:
        self._answers: list[Answer] = []
        before = waiting(server)
        self._thread = threading.Thread(target=lambda: self._answers.append(poll(server, query, **headers)))
        self._thread.start()
        wait_until(lambda: self._answers or waiting(server) > before, "the poll to wait or to be answered")

    @property
    def is_answered(self) -> bool:
        return bool(self._answers)

    def answer(self) -> Answer:
        self._thread.join(40)
        return self._answers[0]


def waiting(server: Server) -> float:
    return http_clients(server, "poll")


def price(server: Server, **prices: Any) -> int:
    """Publish simulated prices; returns their `seq`."""
    publication = server.publish(source="simulated", **prices)
    assert publication is not None
    return publication.seq


@pytest.fixture(scope="module")
def shop(run_server: Callable[..., Server]) -> Server:
    """A web process with simulated prices, which lets one origin's pages read them."""
    server = run_server(CORS_ALLOWED_ORIGINS="https://shop.example", WS_MAX_CONNECTIONS="300", **SIMULATED)
    price(server, gold="13000", silver="165", platinum="4900", palladium="4300")
    return server


# --- answered at once ------------------------------------------------------------------------------------------------


def test_a_poll_without_a_position_is_answered_at_once_with_prices_and_status(shop: Server) -> None:
    answer = poll(shop, "wait=20")
    assert (answer.status, answer.seconds < 5) == (200, True)
    assert (answer.headers["Content-Type"], answer.headers["Cache-Control"]) == ("application/json", "no-store")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert (answer.body["type"], answer.body["snapshot"]) == ("priceUpdate", True)
    assert answer.body["data"].keys() == {"gold", "silver", "platinum", "palladium"}
    assert (answer.body["status"]["type"], answer.body["status"]["feed"]) == ("status", "simulated")
    assert poll(shop, "wait=20", If_None_Match=answer.headers["ETag"]).status == 200


def test_a_poll_with_news_since_its_position_is_answered_at_once_with_every_move(shop: Server) -> None:
    price(shop, gold="10000")
    seen = poll(shop, "wait=20")
    for each in ("10200", "10500"):
        price(shop, gold=each)
    answer = poll(shop, f"wait=20&{seen.position}")
    assert (answer.status, answer.seconds < 5, answer.body["snapshot"]) == (200, True, False)
    moves = [(move["oldPrice"], move["newPrice"]) for move in answer.body["changes"]]
    assert moves == [(10000, 10200), (10200, 10500)]
    assert answer.body["data"]["gold"]["price"] == 10500


@pytest.mark.parametrize("position", ["epoch=other&since={seq}", "since=1{seq}", "epoch={epoch}&since=9{seq}"])
def test_a_position_of_another_epoch_or_of_the_future_gets_a_snapshot_at_once(shop: Server, position: str) -> None:
    now = poll(shop, "wait=1").body
    answer = poll(shop, "wait=20&" + position.format(epoch=now["epoch"], seq=now["seq"]))
    assert (answer.status, answer.seconds < 5, answer.body["snapshot"]) == (200, True, True)


def test_a_poll_with_another_version_is_answered_at_once(shop: Server) -> None:
    seen = poll(shop, "wait=20")
    answer = poll(shop, f"wait=20&{seen.position}", If_None_Match='W/"another"')
    assert (answer.status, answer.seconds < 5, answer.body["seq"]) == (200, True, seen.body["seq"])
    assert answer.headers["ETag"] == seen.headers["ETag"]


# --- waiting ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("conditional", [True, False])
def test_a_poll_waits_and_is_answered_with_the_next_publication(shop: Server, conditional: bool) -> None:
    seen = poll(shop, "wait=20")
    headers = {"If_None_Match": seen.headers["ETag"]} if conditional else {}
    later = Later(shop, f"wait=20&{seen.position}", **headers)
    assert not later.is_answered
    seq = price(shop, gold=f"13{time.time() % 100:.4f}")
    answer = later.answer()
    assert (answer.status, answer.body["seq"], answer.body["snapshot"], answer.seconds < 10) == (200, seq, False, True)
    assert answer.headers["ETag"] != seen.headers["ETag"]


@pytest.mark.parametrize("since_only", [True, False])
def test_without_news_a_poll_ends_with_204_or_304_after_its_time(shop: Server, since_only: bool) -> None:
    seen = poll(shop, "wait=20")
    position = f"since={seen.body['seq']}" if since_only else seen.position
    for headers, status in (({}, 204), ({"If_None_Match": seen.headers["ETag"]}, 304), ({"If_None_Match": "*"}, 304)):
        answer = poll(shop, f"wait=1&{position}", **headers)
        assert (answer.status, answer.body, 0.9 < answer.seconds < 5) == (status, None, True)
        assert (answer.headers["ETag"], answer.headers["Cache-Control"]) == (seen.headers["ETag"], "no-store")


def test_a_poll_for_some_metals_does_not_hear_of_others(shop: Server) -> None:
    seen = poll(shop, "wait=20&metals=XAU,silver")
    assert seen.body["data"].keys() == {"gold", "silver"}
    later = Later(shop, f"wait=20&metals=gold,silver&{seen.position}", If_None_Match=seen.headers["ETag"])
    price(shop, platinum=f"49{time.time() % 10:.4f}")
    assert poll(shop, "wait=20&metals=gold,silver").headers["ETag"] == seen.headers["ETag"]
    assert not later.is_answered
    seq = price(shop, silver=f"16{time.time() % 10:.4f}")
    answer = later.answer()
    assert (answer.body["seq"], answer.body["data"].keys()) == (seq, {"gold", "silver"})


def test_a_poll_that_asks_for_candles_has_those_that_changed_since_its_position(shop: Server) -> None:
    seen = poll(shop, "wait=20&candles=1m,1d")
    assert {interval: len(candles) for interval, candles in seen.body["candles"]["gold"].items()} == {"1m": 1, "1d": 1}
    later = Later(shop, f"wait=20&candles=1m&{seen.position}", If_None_Match=seen.headers["ETag"])
    seq = price(shop, gold=f"13{time.time() % 100:.4f}")
    answer = later.answer()
    assert answer.body["candles"]["gold"]["1m"][-1]["seq"] == seq
    assert "candles" not in poll(shop, "wait=20").body


def test_a_price_that_turns_stale_is_news(run_server: Callable[..., Server]) -> None:
    server = run_server(FRESHNESS_LIMIT="3s", **SIMULATED)
    price(server, gold="13000")
    seen = poll(server, "wait=20&metals=gold")
    assert seen.body["data"]["gold"]["stale"] is False
    for headers in ({}, {"If_None_Match": seen.headers["ETag"]}):
        price(server, gold="13000")
        seen = poll(server, "wait=20&metals=gold")
        headers = headers and {"If_None_Match": seen.headers["ETag"]}
        answer = poll(server, f"wait=20&metals=gold&{seen.position}", **headers)
        assert (answer.status, answer.body["data"]["gold"]["stale"], answer.seconds < 10) == (200, True, True)
        assert (answer.body["snapshot"], answer.headers["ETag"] != seen.headers["ETag"]) == (True, True)
    # It is stale, and known to be: that is no news.
    answer = poll(server, f"wait=1&metals=gold&{answer.position}", If_None_Match=answer.headers["ETag"])
    assert answer.status == 304


def test_a_hundred_polls_are_answered_by_one_publication_without_a_thread_more(shop: Server) -> None:
    seen = poll(shop, "wait=20")
    head = f"GET {PATH}?wait=25&{seen.position} HTTP/1.1\nHost: localhost\n\n"

    def threads() -> int:
        assert shop._process is not None
        status = Path(f"/proc/{shop._process.popen.pid}/status").read_text()
        return int(status.split("Threads:")[1].split()[0])

    before = threads()
    peers = [requested(shop.port, head) for _ in range(100)]
    try:
        wait_until(lambda: waiting(shop) == 100, "all of them to wait")
        assert threads() <= before
        seq = price(shop, gold=f"13{time.time() % 100:.4f}")
        bodies = {body_of(peer) for peer in peers}
    finally:
        for peer in peers:
            peer.close()
    (body,) = bodies
    assert json.loads(body)["seq"] == seq
    wait_until(lambda: waiting(shop) == 0, "all of them to be forgotten")


def body_of(peer: socket.socket) -> bytes:
    """The body of the answer that a peer gets."""
    got = b""
    while b"\r\n\r\n" not in got:
        got += peer.recv(65536)
    head, _, body = got.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head.lower())
    assert length is not None
    while len(body) < int(length[1]):
        body += peer.recv(65536)
    return body


def test_a_client_that_goes_away_meanwhile_is_forgotten(shop: Server) -> None:
    seen = poll(shop, "wait=20")
    with requested(shop.port, f"GET {PATH}?wait=25&{seen.position} HTTP/1.1\nHost: localhost\n\n"):
        wait_until(lambda: waiting(shop) == 1, "it to wait")
    wait_until(lambda: waiting(shop) == 0, "it to be forgotten")


def test_a_connection_is_good_for_one_poll_after_another(shop: Server) -> None:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", shop.port, timeout=20)) as connection:
        position = ""
        for _ in range(3):
            connection.request("GET", f"{PATH}?wait=20{position}")
            response = connection.getresponse()
            body = json.loads(response.read())
            assert response.status == 200
            position = f"&epoch={body['epoch']}&since={body['seq']}"
            price(shop, gold=f"13{time.time() % 100:.4f}")


def test_a_head_has_no_body(shop: Server) -> None:
    answer = poll(shop, "wait=20", method="HEAD")
    assert (answer.status, answer.body, int(answer.headers["Content-Length"]) > 500) == (200, None, True)


# --- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "name", "said"),
    [
        ("wait=0", "wait", "1"),
        ("wait=31", "wait", "30"),
        ("wait=", "wait", "integer"),
        ("wait=5&unit=kg", "unit", "leave this out"),
        ("wait=5&purity=24k", "purity", "leave this out"),
        ("wait=5&metals=mud", "metals", "gold, silver, platinum, palladium, XAU"),
        ("wait=5&candles=2m", "candles", "1m, 5m, 15m, 1h, 1d"),
        ("wait=5&since=x", "since", "integer"),
        ("wait=5&since=-1", "since", "0"),
        ("wait=5&interval=3", "interval", "Known here"),
        ("wait=5&wait=6", "wait", "once"),
        ("wait=5&token=x", "token", "Authorization"),
        ("since=5", "wait", "`since` is of a waiting poll"),
        ("metals=gold", "wait", "`metals` is of a waiting poll"),
        ("candles=1m", "wait", "`candles` is of a waiting poll"),
    ],
)
def test_a_bad_query_is_answered_at_once_with_what_to_send(shop: Server, query: str, name: str, said: str) -> None:
    answer = poll(shop, query)
    assert (answer.status, answer.headers["Content-Type"]) == (400, "application/problem+json")
    assert said in answer.body["errors"][name][0]
    assert answer.seconds < 5


def test_another_type_method_or_host_is_rejected(shop: Server) -> None:
    assert poll(shop, "wait=20", Accept="text/csv").status == 406
    assert poll(shop, "wait=20", method="POST").status == 405
    assert poll(shop, "wait=20", Host="evil.example").status == 400


def test_pages_of_the_named_origin_alone_may_read_it(shop: Server) -> None:
    seen = poll(shop, "wait=20", Origin="https://shop.example")
    assert seen.headers["Access-Control-Allow-Origin"] == "https://shop.example"
    assert "ETag" in seen.headers["Access-Control-Expose-Headers"]
    nothing_new = poll(shop, f"wait=1&{seen.position}", Origin="https://shop.example")
    assert (nothing_new.status, nothing_new.headers["Access-Control-Allow-Origin"]) == (204, "https://shop.example")
    assert "Access-Control-Allow-Origin" not in poll(shop, "wait=20", Origin="https://evil.example").headers


def test_it_is_for_all_but_a_presented_token_has_to_be_good(run_server: Callable[..., Server]) -> None:
    server = run_server(WS_AUTH_REQUIRED="true", WS_AUTH_RECHECK="1s", API_USER_RATE_LIMIT="3", **SIMULATED)
    price(server, gold="13000")
    assert poll(server, "wait=20").status == 200
    user, token = server.do(lambda: (user := somebody(), tokens.issue(user)[1]))
    answer = poll(server, "wait=20", Authorization="Bearer none")
    assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    seen = poll(server, "wait=20", Authorization=f"Bearer {token}")
    later = Later(server, f"wait=25&{seen.position}", Authorization=f"Bearer {token}")
    assert not later.is_answered
    server.do(lambda: tokens.of(user).delete())
    answer = later.answer()
    assert (answer.status, answer.seconds < 10) == (401, True)
    other = server.do(lambda: tokens.issue(user)[1])
    assert poll(server, "wait=20", Authorization=f"Bearer {other}").status == 200
    answer = poll(server, "wait=20", Authorization=f"Bearer {other}")
    assert (answer.status, int(answer.headers["Retry-After"]) >= 1) == (429, True)


def test_too_many_requests_of_an_address_and_a_full_process_say_when_to_come_back(
    run_server: Callable[..., Server],
) -> None:
    server = run_server(**SIMULATED | {"API_RATE_LIMIT": "40", "WS_MAX_CONNECTIONS": "1"})
    price(server, gold="13000")
    seen = poll(server, "wait=20")
    with requested(server.port, f"GET {PATH}?wait=25&{seen.position} HTTP/1.1\nHost: localhost\n\n"):
        wait_until(lambda: waiting(server) == 1, "it to wait")
        answer = poll(server, "wait=20")
        assert (answer.status, int(answer.headers["Retry-After"]) >= 1) == (503, True)
    refused = wait_until(lambda: (a := poll(server, "wait=20")).status == 429 and a, "the limit")
    assert isinstance(refused, Answer)
    assert math.isclose(int(refused.headers["Retry-After"]), 30, abs_tol=30)


def test_a_process_that_ends_answers_waiting_polls_at_once(run_server: Callable[..., Server]) -> None:
    server = run_server(**SIMULATED)
    price(server, gold="13000")
    seen = poll(server, "wait=20")
    with ThreadPoolExecutor(3) as pool:
        answers = [pool.submit(poll, server, f"wait=25&{seen.position}") for _ in range(3)]
        wait_until(lambda: waiting(server) == 3, "all of them to wait")
        began = time.monotonic()
        server.signal(signal.SIGTERM)
        for each in answers:
            answer = each.result()
            assert (answer.status, int(answer.headers["Retry-After"]) >= 1) == (503, True)
        assert server.wait() == 0
        assert time.monotonic() - began < 2
