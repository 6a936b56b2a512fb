"""Prices that the server wrote, as each page shows them until its stream brings others, or never does."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Page, expect

from pages.memory import Current
from prices.domain.quotes import Metal
from tests.support.pages import SERVER_GONE
from tests.support.pages.board import PUBLISHED_AT, board_page, current, published
from tests.support.pages.embed import embed_page
from tests.support.pages.metal import metal_page
from tests.support.pages.screen import screen_page
from tests.support.quotes import quote as python_quote
from tests.support.stub_stream import StubStream, price_update, quote, status

NOW = "2026-11-01T18:31:12.000Z"  # a minute into 2 November in India
LAST_PRICES = "Not connected. These are the last prices, from 2 Nov 2026, 12:00:01 am: do not price sales by them."
ROW = "gold:999:gram"


@dataclass(frozen=True)
class Written:
    """A page, as its server writes it of the prices of now, and where it has the price of gold.

    The query is that which a page writes in its address itself.
    """

    path: str
    query: str
    write: Callable[[Current], str]
    amount: str = ".amount"
    marks: str = ".marks"


WRITTEN = [
    Written("/", f"?rows={ROW}&lang=en", lambda shown: board_page(ROW, shown)),
    Written("/gold/", "?lang=en", metal_page, "#now .amount", "#now .marks"),
    Written("/screen/", "", lambda shown: screen_page(ROW, shown), "[data-part=amount]"),
    Written("/embed/", "", lambda shown: embed_page(ROW, shown)),
]


@pytest.fixture(params=WRITTEN, ids=lambda written: written.path)
def written(request: pytest.FixtureRequest) -> Written:
    page: Written = request.param
    return page


@pytest.fixture
def stream(written: Written, expected_errors: list[str]) -> Iterator[StubStream]:
    expected_errors.append("404")  # a metal's candles; a route for them would keep pages out of the browser's cache
    shown = current([published(python_quote(Metal.GOLD, "100", at=PUBLISHED_AT))], seq=7)
    with StubStream({written.path: lambda: written.write(shown)}) as stream:
        yield stream


def test_what_the_server_wrote_stands_until_the_stream_brings_more(
    page: Page, stream: StubStream, written: Written
) -> None:
    page.clock.install(time=NOW)
    page.goto(stream.http_url + written.path + written.query)
    connection = stream.connection()
    subscribe = connection.wait_for("subscribe")
    assert (subscribe["since"], subscribe["epoch"]) == (7, "first")
    expect(page.locator(written.amount)).to_contain_text("100.00")
    expect(page.locator(written.marks)).to_have_text("Live")
    connection.send(price_update(8, gold=quote(101, stale=True), epoch="first"), status(metals={"gold": "stale"}))
    expect(page.locator(written.amount)).to_contain_text("101.00")
    expect(page.locator(written.marks)).to_have_text("Stale")


def test_a_page_that_never_connects_says_when_its_prices_are_of(
    page: Page, stream: StubStream, written: Written, expected_errors: list[str]
) -> None:
    expected_errors.append(SERVER_GONE)
    page.clock.install(time=NOW)
    page.goto(stream.http_url + written.path + written.query)
    stream.connection()
    stream.stop()
    expect(page.locator(written.marks)).to_have_text("Last known")
    page.clock.run_for(6_000)
    expect(page.locator("#notices")).to_contain_text(LAST_PRICES)
    expect(page.locator(written.amount)).to_contain_text("100.00")


def test_a_page_from_the_browsers_cache_is_not_said_to_be_of_now(
    page: Page, stream: StubStream, written: Written
) -> None:
    # As the server writes it within six days.
    html = re.sub("as of [^<]*", "as of Mon, 12:00 am", stream.pages[written.path]())
    stream.pages[written.path] = lambda: html
    page.goto(stream.http_url + written.path + written.query)
    stream.connection().wait_for("subscribe")
    age = page.locator("time[data-part=age]")
    expect(age).to_have_text("as of Mon, 12:00 am")
    page.goto("about:blank")
    # Back: the page is not requested again.
    stream.pages[written.path] = lambda: "another page"
    page.go_back()
    connection = stream.connection()
    connection.wait_for("subscribe")
    expect(page.locator(written.marks)).to_be_empty()
    # By now, that may have been weeks ago.
    expect(age).to_have_text("as of 2 Nov 2026, 12:00 am")
    connection.send(status())
    expect(page.locator(written.marks)).to_have_text("Live")


def test_until_the_servers_time_is_known_a_new_price_is_dated_in_as_few_words_as_the_servers(
    page: Page, stream: StubStream, written: Written
) -> None:
    page.goto(stream.http_url + written.path + written.query)
    connection = stream.connection()
    connection.wait_for("subscribe")
    at = "2026-11-01T18:31:10.000Z"
    connection.send(price_update(8, gold=quote(101, timestamp=at), timestamp=at), status())
    expect(page.locator(written.amount)).to_contain_text("101.00")
    expect(page.locator("time[data-part=age]")).to_have_text("as of Mon, 12:01 am")
    connection.send({"type": "pong", "timestamp": "2026-11-01T18:31:30.000Z"})
    expect(page.locator("time[data-part=age]")).to_have_text("20 s ago")
