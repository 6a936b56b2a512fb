"""The whole product as `manage.py up` runs it, with a provider of our own: source to database to stream to board."""

import datetime as dt
import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from pytest_httpserver import HTTPServer
from websockets.sync.client import ClientConnection, connect

from tests.support.installation import Market, Product
from tests.support.pages import A_CARD_EACH
from tests.support.product import answers, wait_until


@pytest.fixture(scope="module")
def market() -> Iterator[Market]:
    with HTTPServer() as server:
        yield Market(server)


@pytest.fixture(scope="module")
def product(
    market: Market, tmp_path_factory: pytest.TempPathFactory, new_database: Callable[[], str]
) -> Iterator[Product]:
    product = Product(tmp_path_factory.mktemp("product"), new_database(), GOLD_API_COM_URL=market.url)
    yield product
    assert product.process.stop() == 0
    assert "Traceback" not in product.process.output, product.process.output


def update(client: ClientConnection, wanted: Any = lambda message: True, seconds: float = 15) -> dict[str, Any]:
    """The next priceUpdate that is wanted."""
    deadline = time.monotonic() + seconds
    while True:
        message: dict[str, Any] = json.loads(client.recv(timeout=max(0, deadline - time.monotonic())))
        if message["type"] == "priceUpdate" and wanted(message):
            return message


def live(message: dict[str, Any]) -> bool:
    return bool(message["data"].get("gold", {}).get("source") == "gold_api_com")


def gold_at(per_gram: float) -> Callable[[dict[str, Any]], bool]:
    return lambda message: message["data"]["gold"]["price"] == per_gram


@pytest.fixture(autouse=True)
def calm(market: Market) -> Iterator[None]:
    """Each test begins with gold at 13,200 and an open market."""
    yield
    market.per_gram["XAU"] = 13200
    market.open = True


def test_a_providers_new_price_is_on_the_stream_within_an_interval_and_a_second(
    product: Product, market: Market
) -> None:
    with connect(product.ws_url) as client:
        before = update(client, gold_at(13200))
        # The source's times are whole seconds, and what it gives again for the same one is a correction.
        quoted = dt.datetime.fromisoformat(before["data"]["gold"]["timestamp"])
        wait_until(lambda: dt.datetime.now(dt.UTC) >= quoted + dt.timedelta(seconds=1), "the source's next second")
        market.per_gram["XAU"] = 13332
        changed = time.monotonic()
        after = update(client, gold_at(13332))
        took = time.monotonic() - changed
    gold = after["data"]["gold"]
    assert took <= 2
    day = before["data"]["gold"]
    assert (gold["open"], gold["low"], gold["stale"]) == (day["open"], day["low"], False)
    assert gold["high"] == max(day["high"], 13332)
    assert after["data"]["silver"]["price"] == 165
    assert after["seq"] > before["seq"]
    assert after["changes"] == []  # one per cent is not more than one per cent


def test_a_move_above_one_percent_is_announced(product: Product, market: Market) -> None:
    with connect(product.ws_url) as client:
        update(client, gold_at(13200))
        market.per_gram["XAU"] = 13332.5
        after = update(client, gold_at(13332.5))
    assert after["changes"] == [
        {"metal": "gold", "oldPrice": 13200, "newPrice": 13332.5, "changePercent": 1.0, "direction": "up"}
    ]


def test_the_board_shows_it_in_a_real_browser(product: Product, market: Market, page: Page) -> None:
    page.goto(product.http_url + A_CARD_EACH)
    expect(page.get_by_text(re.compile(r"13,200\.00")).first).to_be_visible(timeout=10_000)
    market.per_gram["XAU"] = 13856.97
    expect(page.get_by_text(re.compile(r"13,856\.97")).first).to_be_visible(timeout=10_000)


@pytest.mark.parametrize(
    ("victim", "per_gram"),
    [("valkey-server", 13301), (" worker ", 13302), (" beat ", 13303), ("manage.py serve", 13304)],
)
def test_prices_flow_again_by_themselves_when_a_process_is_killed(
    product: Product, market: Market, victim: str, per_gram: int
) -> None:
    with connect(product.ws_url) as client:
        last = update(client, live)["seq"]
    product.kill(victim)
    killed = time.monotonic()
    market.per_gram["XAU"] = per_gram
    wait_until(lambda: answers(f"{product.http_url}/healthz"), "the web process")
    with connect(product.ws_url) as client:
        assert update(client, gold_at(per_gram))["seq"] > last
    assert time.monotonic() - killed < 15


def test_a_connected_client_sees_every_price_when_valkey_dies(product: Product, market: Market) -> None:
    with connect(product.ws_url) as client:
        seen = update(client, live)
        product.kill("valkey-server")
        for per_gram in (13210, 13220, 13230):
            market.per_gram["XAU"] = per_gram
            message = update(client, gold_at(per_gram))
            assert message["seq"] > seen["seq"]
            seen = message


def test_an_outage_keeps_the_last_price_marks_it_stale_falls_back_and_recovers(
    market: Market, tmp_path: Path, new_database: Callable[[], str]
) -> None:
    limits = {"FRESHNESS_LIMIT": "3s", "FALLBACK_AFTER": "6s"}
    product = Product(tmp_path, new_database(), GOLD_API_COM_URL=market.url, **limits)
    try:
        product.manage("shell", "-c", "FallbackPrice.objects.update(example=False)")  # staff have confirmed it
        with connect(product.ws_url) as client:
            update(client, live)
            market.open = False
            old = update(client, lambda message: message["data"]["gold"]["stale"])
            assert old["data"]["gold"]["source"] == "gold_api_com"
            fallback = update(client, lambda message: message["data"]["gold"]["source"] == "fallback")
            assert fallback["data"]["gold"]["price"] == 9223.3162
            market.open = True
            assert update(client, live)["data"]["gold"]["stale"] is False
    finally:
        product.process.stop()
    assert "gold, silver, platinum, palladium: answers HTTP 503" in product.process.output


@pytest.fixture(scope="module")
def cut_off(tmp_path_factory: pytest.TempPathFactory, new_database: Callable[[], str]) -> Iterator[Product]:
    """A first start whose source takes connections and never says a word, for an hour."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        product = Product(
            tmp_path_factory.mktemp("cut-off"),
            new_database(),
            GOLD_API_COM_URL=f"http://127.0.0.1:{silent.getsockname()[1]}",
            PRICE_UPDATE_INTERVAL="60000",
            PROVIDER_BUDGET="1h",
        )
        yield product
        product.process.stop()


def test_a_first_start_without_a_network_shows_the_fallback_and_waits_for_no_time_out(cut_off: Product) -> None:
    with connect(cut_off.ws_url) as client:
        message = update(client)
    assert {data["source"] for data in message["data"].values()} == {"fallback"}


def test_staff_mend_a_fallback_price_and_it_is_on_every_screen_within_two_seconds(cut_off: Product, page: Page) -> None:
    cut_off.manage("createsuperuser", "--noinput", "--username=boss", "--email=boss@example.com")
    page.goto(f"{cut_off.http_url}/admin/prices/fallbackprice/")
    page.get_by_label("Username").fill("boss")
    page.get_by_label("Password").fill("opensesame")
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("link", name="Gold", exact=True).click()
    page.get_by_label("Price per gram").fill("9300.5")
    with connect(cut_off.ws_url) as client:
        assert update(client)["data"]["gold"]["price"] == 9223.3162
        page.get_by_role("button", name="Save", exact=True).click()
        saved = time.monotonic()
        gold = update(client)["data"]["gold"]
        assert time.monotonic() - saved < 2
    assert (gold["price"], gold["source"], gold["stale"]) == (9300.5, "fallback", False)
    expect(page.get_by_text("was changed successfully")).to_be_visible()
    page.wait_for_load_state("networkidle")


def test_other_commands_find_the_embedded_valkey_while_it_runs(product: Product) -> None:
    ping = "import redis; from django.conf import settings; print(redis.Redis.from_url(settings.REDIS_URL).ping())"
    assert product.manage("shell", "--no-imports", "-c", ping).endswith("True\n")


def test_the_next_start_goes_on_where_the_last_one_ended(product: Product) -> None:
    with connect(product.ws_url) as client:
        first = update(client, live)
    assert product.process.stop() == 0
    product.start()
    with connect(product.ws_url) as client:
        second = update(client)
    assert second["seq"] >= first["seq"]
