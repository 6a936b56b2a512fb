"""An example is said to be one on the stream, in REST and on the board, as long as staff have entered no price."""

import json
import re
import urllib.request
from collections.abc import Callable
from typing import Any

from django.contrib.auth.models import User
from django.test import Client
from playwright.sync_api import Page, expect
from websockets.sync.client import connect

from tests.support.pages import A_CARD_EACH
from tests.support.server import Server
from tests.support.stream_client import receive


def fetched(server: Server, path: str) -> Any:
    with urllib.request.urlopen(f"{server.http_url}/api/v1/{path}", timeout=10) as response:
        return json.load(response)


def enter(server: Server, price: str) -> None:
    """Enter a price of gold as staff do."""

    def by_staff() -> None:
        desk = Client()
        desk.force_login(User.objects.get_or_create(username="boss", is_staff=True, is_superuser=True)[0])
        answer = desk.patch("/api/v1/fallback-prices/gold/", {"price": price}, "application/json")
        assert answer.status_code == 200, answer.content

    server.do(by_staff)


def test_stream_rest_and_board_say_that_a_price_is_an_example_until_staff_enter_one(server: Server, page: Page) -> None:
    with connect(server.ws_url) as client:
        before = receive(client, "priceUpdate")["data"]
        assert {metal: quote["example"] for metal, quote in before.items()} == dict.fromkeys(before, True)
        assert {quote["example"] for quote in fetched(server, "prices/")["data"].values()} == {True}
        assert fetched(server, "prices/gold/?unit=10gram&purity=22k")["example"] is True

        page.goto(server.http_url + A_CARD_EACH)
        gold_card = page.locator('.card[data-metal="gold"]')
        expect(gold_card.locator(".marks")).to_have_text("Example")
        expect(gold_card).to_contain_text(re.compile(r"example price of .*2025\s+not set by staff"))
        expect(page.get_by_role("status")).to_contain_text("Example: all metals.")
        expect(page.get_by_role("status")).not_to_contain_text("Staff set")

        enter(server, "9300")
        after = receive(client, "priceUpdate")["data"]
    assert {metal: quote.get("example") for metal, quote in after.items()} == dict.fromkeys(before, True) | {
        "gold": None
    }
    assert "example" not in fetched(server, "prices/gold/")
    expect(gold_card.locator(".marks")).to_have_text("Fallback")
    expect(gold_card).to_contain_text("set by staff")
    notices = page.get_by_role("status").locator(".notice")
    expect(notices.nth(0)).to_contain_text("Example: Silver, Platinum and Palladium.")
    expect(notices.nth(1)).to_contain_text("Fallback: Gold.")

    server.publish(gold="9310")
    live = fetched(server, "prices/gold/")
    assert (live["source"], "example" in live) == ("gold_api_com", False)


def test_a_web_process_that_reads_the_database_says_so_too(run_server: Callable[..., Server]) -> None:
    started = run_server()
    with connect(started.ws_url) as client:
        assert receive(client, "priceUpdate")["data"]["silver"]["example"] is True
