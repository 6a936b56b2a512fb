"""GET prices/ from memory, on a real server: the same words as Django's, and who they are for."""

import gzip
import json
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.product import wait_until
from tests.support.server import Server

# A request with an empty `Authorization` is anonymous to Django, and none for the memory.
BY_DJANGO = {"Authorization": ""}


@pytest.fixture(scope="module")
def shop(run_server: Callable[..., Server]) -> Server:
    """A web process that has the prices in memory, and lets one origin's pages read them."""
    server = run_server(CORS_ALLOWED_ORIGINS="https://shop.example")
    publication = server.publish(gold="13221.39", silver="165.5")
    assert publication is not None
    wait_until(lambda: has_memory(server), "the prices in memory")
    wait_until(lambda: json.loads(fetch(server)[2])["seq"] == publication.seq, "these prices")
    return server


def fetch(server: Server, path: str = "", method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
    """Status, headers by their names in small letters, and body."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(f"{server.http_url}/api/v1/prices/{path}", headers=named, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status, {name.lower(): value for name, value in response.headers.items()}, response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, {name.lower(): value for name, value in error.headers.items()}, error.read()


def has_memory(server: Server) -> bool:
    """Only the answers from memory hold no cookie in `Vary`."""
    return "cookie" not in fetch(server)[1]["vary"].lower()


@pytest.mark.parametrize(
    "path",
    [
        "",
        "gold/",
        "XAU/",
        "XAG/?unit=kg",
        "?format=json",
        "?unit=kg",
        "silver/?unit=tola&purity=925",
        "?purity=916",
        "gold/?unit=troy_ounce",
    ],
)
def test_memory_and_django_say_the_same(shop: Server, path: str) -> None:
    status, headers, body = fetch(shop, path)
    _, of_django, same = fetch(shop, path, **BY_DJANGO)
    assert "cookie" not in headers["vary"].lower(), "this was not from memory"
    assert (status, body) == (200, same)
    for name in ("content-type", "content-length", "cache-control", "x-content-type-options", "x-frame-options"):
        assert headers[name] == of_django[name], name


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("?unit=ounce", 400),
        ("?colour=red", 400),
        ("?unit=kg&unit=kg", 400),
        ("rhodium/", 404),
        ("xau/", 404),
        ("a/b/", 404),
    ],
)
def test_errors_are_answered_by_django(shop: Server, path: str, status: int) -> None:
    code, headers, body = fetch(shop, path)
    assert (code, headers["content-type"], json.loads(body)["status"]) == (status, "application/problem+json", status)


def test_an_unknown_host_an_invalid_token_and_another_type_are_rejected(shop: Server) -> None:
    assert fetch(shop, Host="evil.example")[0] == 400
    for presented in ("Bearer none", "swarna_none", "Basic YTpi"):
        assert fetch(shop, Authorization=presented)[0] == 401
    assert fetch(shop, Accept="text/csv")[0] == 406
    assert fetch(shop, method="DELETE")[0] == 405


def test_an_unchanged_answer_is_304_until_a_new_price(shop: Server) -> None:
    _, headers, _ = fetch(shop)
    for etag in (headers["etag"], f'"x", W/{headers["etag"]}', "*"):
        status, again, body = fetch(shop, If_None_Match=etag)
        assert (status, again["etag"], body) == (304, headers["etag"], b"")
    shop.publish(gold="13222")
    wait_until(lambda: fetch(shop, If_None_Match=headers["etag"])[0] == 200, "another answer")
    assert json.loads(fetch(shop)[2])["data"]["gold"]["price"] == 13222


def test_it_is_compressed_for_clients_that_accept_it(shop: Server) -> None:
    _, headers, body = fetch(shop, Accept_Encoding="br, gzip")
    assert headers["content-encoding"] == "gzip"
    assert gzip.decompress(body) == fetch(shop)[2]
    assert "content-encoding" in fetch(shop, Accept_Encoding="gzip;q=0.8")[1]
    assert "content-encoding" not in fetch(shop, Accept_Encoding="gzip;q=0")[1]


def test_a_head_is_the_same_without_the_body(shop: Server) -> None:
    _, headers, _ = fetch(shop)
    status, same, body = fetch(shop, method="HEAD")
    assert (status, same["etag"], body) == (200, headers["etag"], b"")


def test_pages_of_the_named_origin_alone_may_read_it(shop: Server) -> None:
    assert fetch(shop, Origin="https://shop.example")[1]["access-control-allow-origin"] == "https://shop.example"
    assert "access-control-allow-origin" not in fetch(shop, Origin="https://evil.example")[1]
    assert "origin" in fetch(shop)[1]["vary"]


def test_a_quote_grows_stale_by_the_clock(run_server: Callable[..., Server]) -> None:
    server = run_server(PRICE_PROVIDERS="simulated", FRESHNESS_LIMIT="1s")
    server.publish(gold="13000", source="simulated")

    def gold() -> Any:
        return json.loads(fetch(server)[2])["data"]["gold"]

    wait_until(lambda: has_memory(server), "the prices in memory")
    wait_until(lambda: gold()["source"] == "simulated", "the price")
    wait_until(lambda: gold()["stale"], "the price to be stale")


def test_a_request_above_the_limit_is_told_when_to_retry(run_server: Callable[..., Server]) -> None:
    server = run_server(API_RATE_LIMIT="60")
    wait_until(lambda: has_memory(server), "the prices in memory")
    status, headers, body = wait_until(lambda: fetch(server) if fetch(server)[0] == 429 else None, "the limit") or (
        0,
        {},
        b"",
    )
    assert (status, headers["content-type"], json.loads(body)["status"]) == (429, "application/problem+json", 429)
    assert 0 < int(headers["retry-after"]) <= 60
    assert fetch(server, Accept="application/json")[0] == 429


@pytest.mark.parametrize(
    "command",
    [
        ("-m", "daphne", "-b", "127.0.0.1", "-p", "{port}", "swarna.asgi:application"),
        ("-m", "uvicorn", "--port", "{port}", "swarna.asgi:application"),
    ],
    ids=["daphne", "uvicorn"],
)
def test_it_is_served_from_memory_elsewhere_too(run_server: Callable[..., Server], command: tuple[str, ...]) -> None:
    server = run_server(command=command)
    server.publish(gold="13333")
    wait_until(lambda: has_memory(server), "the prices in memory")
    wait_until(lambda: json.loads(fetch(server, "gold/")[2])["price"] == 13333, "the newest price")
