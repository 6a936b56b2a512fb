"""Every page of live prices where something between it and the server blocks WebSocket, and Server-Sent Events too.

tests/browser/test_board.py has the same of the board.
"""

from collections.abc import Callable
from typing import NamedTuple

import pytest
from playwright.sync_api import Page, expect

from prices.domain.quotes import Metal
from tests.support.bad_proxy import Transport, bad_proxy
from tests.support.pages import SERVER_GONE
from tests.support.pages.board import current, published
from tests.support.pages.embed import embed_page
from tests.support.pages.metal import Rest, metal_page
from tests.support.pages.screen import screen_page
from tests.support.quotes import quote as python_quote
from tests.support.stub_market import Market
from tests.support.stub_stream import StubStream

NOW = "2026-11-01T18:31:12.000Z"
ROW = "gold:999:gram"
ELEMENT = (
    '<!doctype html><html lang="en"><body><swarna-price metal="gold"></swarna-price>'
    '<script type="module" src="/static/client/element.js"></script>'
)


class Place(NamedTuple):
    """Where a price is shown: the page as its server wrote it, and where in it the amount and the marks stand."""

    html: Callable[[], str]
    amount: str
    marks: str


# The HTML has a price of before, so that only what has come since is awaited.
BEFORE = current([published(python_quote(Metal.GOLD, "13000"))])
PLACES = {
    "metal": Place(lambda: metal_page(BEFORE), "#now [data-part=amount]", "#now [data-part=marks]"),
    "screen": Place(lambda: screen_page(ROW, BEFORE), "[data-part=amount]", "[data-part=marks]"),
    "embed": Place(lambda: embed_page(ROW, BEFORE), "[data-part=amount]", "[data-part=marks]"),
    "element": Place(lambda: ELEMENT, "swarna-price .amount", "swarna-price .marks"),
}


@pytest.mark.parametrize("blocked", [("websocket",), ("websocket", "sse")], ids=["by events", "by polls"])
@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_prices_come_all_the_same(
    page: Page, expected_errors: list[str], place: Place, blocked: tuple[Transport, ...]
) -> None:
    expected_errors += [SERVER_GONE, "403"]
    Rest(page)
    market = Market()
    market.publish()
    with StubStream({"/": place.html}, market) as stream, bad_proxy(stream.port) as proxy:
        proxy.faults = dict.fromkeys(blocked, "forbid")
        page.clock.install(time=NOW)
        page.goto(proxy.http_url)
        amount = page.locator(place.amount)
        expect(amount).to_have_text("₹101.00")
        expect(page.locator(place.marks)).to_have_text("Live")
        market.publish()
        page.clock.run_for(1000)
        expect(amount).to_have_text("₹102.00")
        assert set(proxy.seen) == {*blocked, "sse" if len(blocked) == 1 else "poll"}
        page.close()  # or it would find what it is still loading gone with its server
