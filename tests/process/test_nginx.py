"""The product behind a real nginx, which is configured as docs/operations.md says."""

import contextlib
import json
import re
import signal
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from pytest_httpserver import HTTPServer
from websockets.exceptions import InvalidStatus
from werkzeug import Response

from tests.support.nginx import DOCUMENTED, FOR_WEBSOCKET, Answer, Nginx, kept, with_lines, without
from tests.support.product import wait_until
from tests.support.relay import relay
from tests.support.scrape import by_label, http_clients
from tests.support.server import Server
from tests.support.stream_client import end_of, receive, rejection

PRICES = "/api/v1/prices/"
RunNginx = Callable[[str, int], Nginx]


@pytest.fixture(scope="module")
def shop(run_server: Callable[..., Server]) -> Server:
    server = run_server(WS_BATCH_INTERVAL="0", TRUSTED_PROXIES="127.0.0.1")
    server.publish(gold="13000")
    return server


@pytest.fixture(scope="module")
def kept_front(shop: Server, run_nginx: RunNginx) -> Nginx:
    """An nginx that keeps connections to the web process."""
    return run_nginx(kept(DOCUMENTED), shop.port)


@pytest.fixture(scope="module", params=["as documented", "kept", "by HTTP/1.0"])
def front(request: pytest.FixtureRequest, shop: Server, run_nginx: RunNginx) -> Nginx:
    """An nginx by each configuration; HTTP/1.0 is what it speaks unless it is told otherwise."""
    if request.param == "kept":
        return request.getfixturevalue("kept_front")  # type: ignore[no-any-return]
    return run_nginx(DOCUMENTED if request.param == "as documented" else without(*FOR_WEBSOCKET), shop.port)


@contextlib.contextmanager
def polling(server: Server, front: Nginx) -> Iterator[Future[Answer]]:
    """A poll that waits for news in the web process."""
    seen = json.loads(front.get(PRICES).body)
    with ThreadPoolExecutor(1) as pool:
        poll = pool.submit(front.get, f"{PRICES}?wait=25&epoch={seen['epoch']}&since={seen['seq']}")
        wait_until(lambda: poll.done() or http_clients(server, "poll"), "the poll to wait")
        yield poll


def connected(server: Server) -> float:
    """The number of the stream's clients that the web process has."""
    return sum(by_label(server, "swarna_connections").values())


def publish(server: Server, gold: str) -> int:
    publication = server.publish(gold=gold)
    assert publication is not None
    return publication.seq


# --- what passes, by each configuration ------------------------------------------------------------------------------


def test_pages_and_rest_pass_and_know_that_they_are_read_by_https(front: Nginx) -> None:
    page = front.get("/")
    assert (page.status, b"Live metal prices" in page.body) == (200, True)
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert "gold" in json.loads(front.get(PRICES).body)["data"]
    assert "Secure" in front.get("/admin/login/").headers["Set-Cookie"]


def test_an_event_passes_at_once_and_as_it_is(shop: Server, front: Nginx) -> None:
    """With nginx's buffers and gzip on, as in Debian."""
    with front.events(Accept_Encoding="gzip") as client:
        assert "Content-Encoding" not in client.response.headers
        assert [client.next().type, client.next().type] == ["priceUpdate", "status"]
        for price in ("13001", "13002"):
            assert publish(shop, price) == client.next().message["seq"]


def test_a_poll_waits_and_is_answered_with_the_news(shop: Server, front: Nginx) -> None:
    with polling(shop, front) as poll:
        assert not poll.done()
        assert publish(shop, "13011") == json.loads(poll.result().body)["seq"]
        publish(shop, "13010")


# --- WebSockets ------------------------------------------------------------------------------------------------------


def test_a_websocket_opens_as_documented(shop: Server, run_nginx: RunNginx) -> None:
    with run_nginx(DOCUMENTED, shop.port).websocket() as client:
        assert receive(client)["snapshot"]
        assert publish(shop, "13021") == receive(client, "priceUpdate")["seq"]
    publish(shop, "13020")


def test_a_websocket_opens_on_a_kept_connection_that_served_plain_requests(shop: Server, run_nginx: RunNginx) -> None:
    with relay(("127.0.0.1", shop.port)) as way:
        front = run_nginx(kept(DOCUMENTED), way.port)
        assert [front.get(path).status for path in ("/", PRICES, "/healthz")] == [200, 200, 200]
        with front.websocket() as client:
            assert receive(client)["snapshot"]
            assert publish(shop, "13031") == receive(client, "priceUpdate")["seq"]
        assert way.accepted == 1
    publish(shop, "13030")


@pytest.mark.parametrize(
    "missing",
    [FOR_WEBSOCKET, *((line,) for line in FOR_WEBSOCKET)],
    ids=lambda lines: "all" if len(lines) > 1 else lines[0],
)
def test_a_refusal_names_the_lines_that_are_missing(
    shop: Server, run_nginx: RunNginx, missing: tuple[str, ...]
) -> None:
    with pytest.raises(InvalidStatus) as refused:
        run_nginx(without(*missing), shop.port).websocket()
    response = refused.value.response
    assert (response.status_code, response.headers["Content-Type"]) == (400, "application/problem+json")
    named = re.search(r"\(nginx: (.*;)\)$", json.loads(response.body)["detail"])
    assert named
    assert named[1].count(";") == len(missing)
    mended = run_nginx(with_lines(without(*missing), named[1]), shop.port)
    with mended.websocket() as client:
        assert receive(client)["snapshot"]
    assert mended.get("/").status == 200


# --- below a path of a host ------------------------------------------------------------------------------------------

PREFIX = "/gold-prices"


@pytest.fixture(scope="module")
def below(run_server: Callable[..., Server]) -> Server:
    server = run_server(WS_BATCH_INTERVAL="0", TRUSTED_PROXIES="127.0.0.1", URL_PREFIX=f"{PREFIX}/")
    server.publish(gold="13000")
    return server


@pytest.fixture(scope="module", params=["as documented", "which removes the prefix"])
def front_below(request: pytest.FixtureRequest, below: Server, run_nginx: RunNginx) -> Nginx:
    configuration = DOCUMENTED.replace("location / {", f"location {PREFIX}/ {{")
    if request.param != "as documented":
        configuration = configuration.replace("127.0.0.1:3001;", "127.0.0.1:3001/;")
    return run_nginx(configuration, below.port)


def linked(page: Answer) -> set[str]:
    """The addresses on its host that a page names."""
    return set(re.findall(r'(?:href|src|action)="(/[^"#?]*)', page.body.decode()))


def test_below_a_path_every_address_of_a_page_is_there(front_below: Nginx) -> None:
    pages = [
        front_below.get(f"{PREFIX}{path}")
        for path in (
            "/",
            "/gold/",
            "/screen/",
            "/embed/",
            "/why/",
            "/developers/",
            "/developers/widgets/",
            "/admin/login/",
            "/api/docs/",
        )
    ]
    addresses = set().union(*map(linked, pages))
    assert {address for address in addresses if not address.startswith(f"{PREFIX}/")} == set()
    assert {address for address in addresses if front_below.get(address).status not in (200, 302)} == set()
    assert any("/static/" in address for address in addresses)
    module = front_below.get(f"{PREFIX}/client/v1/units.js").body.decode()
    assert front_below.get(module.split('"')[1]).status == 200


def test_below_a_path_redirects_and_cookies_stay_there(front_below: Nginx) -> None:
    location = front_below.get(f"{PREFIX}/admin/").headers["Location"]
    assert location == f"{PREFIX}/admin/login/?next={PREFIX}/admin/"
    assert f"Path={PREFIX}/" in front_below.get(location).headers["Set-Cookie"]
    assert front_below.get(f"{PREFIX}/api/v1/metals").headers["Location"] == f"{PREFIX}/api/v1/metals/"


def test_below_a_path_the_api_is_as_it_is_elsewhere(front_below: Nginx) -> None:
    schema = json.loads(front_below.get(f"{PREFIX}/api/schema/?format=json").body)
    (server,) = schema["servers"]
    assert (server["url"], "/api/v1/prices/" in schema["paths"]) == (PREFIX, True)
    stream = json.loads(front_below.get(f"{PREFIX}/api/asyncapi.json").body)["channels"]["prices"]
    assert stream["address"] == f"{PREFIX}/ws/prices/"
    metals = front_below.get(f"{PREFIX}/api/v1/metals/", Accept_Encoding="gzip")
    assert (metals.headers["Content-Encoding"], "ETag" in metals.headers) == ("gzip", True)
    nothing = front_below.get(f"{PREFIX}/api/v1/nothing/")
    assert (nothing.status, nothing.headers["Content-Type"]) == (404, "application/problem+json")


def test_below_a_path_prices_come_by_every_transport(below: Server, front_below: Nginx) -> None:
    for path in ("/", "/ws/prices/"):
        with front_below.websocket(f"{PREFIX}{path}") as client:
            assert receive(client)["snapshot"]
    with front_below.events(prefix=PREFIX) as client:
        assert [client.next().type, client.next().type] == ["priceUpdate", "status"]
    assert "gold" in json.loads(front_below.get(f"{PREFIX}{PRICES}?wait=1").body)["data"]


def test_below_a_path_whoever_is_on_the_machine_needs_no_prefix(below: Server) -> None:
    for path in ("/healthz", f"{PREFIX}/healthz", "/metrics", PREFIX):
        with urllib.request.urlopen(f"{below.http_url}{path}", timeout=10) as answer:
            assert answer.status == 200


# --- clients as the web process knows them ---------------------------------------------------------------------------


def test_a_client_that_leaves_nginx_is_forgotten_at_once(shop: Server, kept_front: Nginx) -> None:
    with kept_front.websocket(), kept_front.events():
        wait_until(lambda: connected(shop) == 2, "both to be known")
    wait_until(lambda: connected(shop) == 0, "both to be forgotten", seconds=2)


def test_nginx_says_who_calls_it_by_which_name_and_by_https(http: HTTPServer, run_nginx: RunNginx) -> None:
    http.expect_request("/").respond_with_handler(lambda request: Response(json.dumps(dict(request.headers))))
    front = run_nginx(DOCUMENTED, http.port)
    passed_on = json.loads(front.get("/", X_Forwarded_For="192.0.2.1", X_Forwarded_Proto="http").body)
    assert passed_on["X-Forwarded-For"] == "192.0.2.1, 127.0.0.1"
    assert passed_on["X-Forwarded-Proto"] == "https"
    assert passed_on["Host"] == f"127.0.0.1:{front.port}"


def test_connections_are_counted_by_the_clients_own_address(
    run_server: Callable[..., Server], run_nginx: RunNginx
) -> None:
    """The clients here are proxies of this machine too, and so may say who calls them."""
    strict = run_server(TRUSTED_PROXIES="127.0.0.1", WS_MAX_CONNECTIONS_PER_IP="1")
    front = run_nginx(kept(DOCUMENTED), strict.port)
    one, other = {"X_Forwarded_For": "192.0.2.1"}, {"X_Forwarded_For": "192.0.2.2"}
    with front.websocket(**one), front.events(**other) as events:
        assert events.response.status == 200
        wait_until(lambda: connected(strict) == 2, "both to be known")
        for address in (one, other):
            assert front.get("/api/v1/stream/", **address).status == 503
            assert front.get(f"{PRICES}?wait=1", **address).status == 503
            with front.websocket(**address) as turned_away:
                assert rejection(turned_away)["code"] == "at_capacity"


def test_a_process_that_ends_says_so_and_clients_come_back_to_the_next(shop: Server, kept_front: Nginx) -> None:
    with kept_front.websocket() as client, kept_front.events() as events, polling(shop, kept_front) as poll:
        shop.signal(signal.SIGTERM)
        assert receive(client, "restart")["afterMs"] >= 0
        assert end_of(client) == (1012, "Service restart")
        assert events.rest()[-1].type == "restart"
        assert poll.result().status == 503
    assert shop.wait() == 0
    assert kept_front.get("/healthz").status == 502
    shop.start()
    with kept_front.websocket() as client, kept_front.events() as events:
        assert receive(client)["snapshot"]
        assert events.next().message["snapshot"]
