"""A client that was written from the owner's document alone, unchanged, in a real browser."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page

from accounts import tokens
from tests.support.pages import SERVER_GONE
from tests.support.product import ROOT
from tests.support.server import Server

CLIENT = ROOT / "tests/support/pages/seed-client.js"


@pytest.fixture
def client(server: Server, page: Page) -> Page:
    """A page whose `client` is connected to the root path and has a price."""
    return connected(server, page)


def connected(server: Server, page: Page) -> Page:
    server.publish(gold="5395.20", silver="82.75", platinum="4900", palladium="4300")
    page.goto(f"{server.http_url}/healthz")
    page.add_script_tag(content=CLIENT.read_text())
    page.evaluate("url => { window.client = new PriceWebSocketClient(url); client.connect(); }", server.ws_url)
    page.wait_for_function("client.prices?.gold && client.ignored.includes('subscribed')")
    return page


def test_it_gets_every_field_of_the_document_with_its_type(client: Page) -> None:
    update: dict[str, Any] = client.evaluate("client.updates[0]")
    assert set(update["data"]) == {"gold", "silver", "platinum", "palladium"}
    for price in update["data"].values():
        for name in ("price", "change", "changePercent", "high", "low"):
            assert isinstance(price[name], int | float), name
        assert isinstance(price["timestamp"], str)
    assert isinstance(update["changes"], list)
    assert client.evaluate("!isNaN(new Date(client.updates[0].timestamp))")


def test_it_sees_a_change_with_every_field_of_the_document(server: Server, client: Page) -> None:
    server.publish(gold="5500.50")
    client.wait_for_function("client.updates.at(-1).changes.length === 1")
    assert client.evaluate("client.updates.at(-1).changes") == [
        {"metal": "gold", "oldPrice": 5395.2, "newPrice": 5500.5, "changePercent": 1.95, "direction": "up"}
    ]
    assert client.evaluate("client.prices.gold.price") == 5500.5


def test_its_heartbeat_is_answered(client: Page) -> None:
    client.evaluate("client.send({ type: 'ping' })")
    client.wait_for_function("client.pongs === 1")


def test_it_unsubscribes(server: Server, client: Page) -> None:
    client.evaluate("client.send({ type: 'unsubscribe', metals: ['platinum', 'palladium'] })")
    client.wait_for_function("client.ignored.includes('unsubscribed')")
    server.publish(gold="5600")
    client.wait_for_function("client.prices.gold.price === 5600")
    assert client.evaluate("Object.keys(client.prices)") == ["gold", "silver"]


def test_it_is_somebody_by_the_bare_token_that_the_document_reads(
    run_server: Callable[..., Server], page: Page
) -> None:
    members = run_server(WS_AUTH_REQUIRED="true")
    token = members.do(lambda: tokens.issue(User.objects.create(username="asha"))[1])
    page.set_extra_http_headers({"Authorization": token})
    assert connected(members, page).evaluate("client.prices.gold.price") > 0


def test_it_reconnects_by_itself_after_a_crash(server: Server, client: Page, expected_errors: list[str]) -> None:
    expected_errors.append(SERVER_GONE)
    server.kill()
    server.publish(gold="5700")
    server.start()
    client.wait_for_function("client.opened === 2 && client.prices.gold.price === 5700", timeout=20_000)
