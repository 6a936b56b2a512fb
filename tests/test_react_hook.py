"""The React hook, in a real React in a real browser."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.browser import open_test_page
from tests.stub_stream import StubStream, price_update, quote, status


@pytest.fixture
def stream() -> Iterator[StubStream]:
    with StubStream() as stream:
        yield stream


@pytest.fixture
def lab(stream: StubStream, page: Page) -> Page:
    """A page with React and the hook."""
    open_test_page(page, stream.http_url, "react.html")
    return page


def render(lab: Page, url: str = "/ws/prices/") -> None:
    lab.evaluate("(url) => render(url)", url)


def wait_for(lab: Page, condition: str) -> dict[str, Any]:
    """The latest rendering, once it meets a condition on `result`."""
    lab.wait_for_function(f"((result) => {condition})(latest())")
    return dict(lab.evaluate("latest()"))


def test_it_begins_with_nothing_and_no_error(lab: Page):
    render(lab)
    first = lab.evaluate("renderings[0]")
    assert first == {"url": "/ws/prices/", "prices": {}, "connected": False, "error": None, "status": None}


def test_it_gives_prices_status_and_that_it_is_connected(lab: Page, stream: StubStream):
    stream.greeting = [price_update(1, gold=quote(100), silver=quote(2)), status()]
    render(lab)
    result = wait_for(lab, "result.status")
    assert result == {
        "url": "/ws/prices/",
        "prices": stream.greeting[0]["data"],
        "connected": True,
        "error": None,
        "status": status(),
    }


def test_each_update_replaces_the_prices(lab: Page, stream: StubStream):
    stream.greeting = [price_update(1, gold=quote(100), silver=quote(2))]
    render(lab)
    stream.connection().send(price_update(2, gold=quote(101)))
    assert list(wait_for(lab, "result.prices.gold?.price === 101")["prices"]) == ["gold"]


def test_a_lost_connection_is_said_at_once_and_forgotten_when_it_is_back(lab: Page, stream: StubStream):
    stream.greeting = [price_update(1, gold=quote(100)), status()]
    render(lab)
    wait_for(lab, "result.status")
    stream.connection().close(1011, "Internal error")
    lost = wait_for(lab, "!result.connected")
    assert lost["error"] == {"message": "Internal error", "code": 1011}
    assert (lost["status"], list(lost["prices"])) == (None, ["gold"])
    assert wait_for(lab, "result.connected")["error"] is None


def test_a_refusal_stays_as_the_error(lab: Page, stream: StubStream):
    render(lab)
    stream.connection().close(1008, "Server at capacity")
    assert wait_for(lab, "result.error")["error"] == {"message": "Server at capacity", "code": 1008}


def test_what_the_server_rejects_is_an_error_while_connected(lab: Page, stream: StubStream):
    render(lab)
    stream.connection().send({"type": "error", "code": "invalid_json", "message": "Send one JSON object."})
    result = wait_for(lab, "result.error")
    assert (result["connected"], result["error"]["code"]) == (True, "invalid_json")


def test_an_impossible_url_is_an_error_and_no_crash(lab: Page):
    render(lab, "ftp://example.com/")
    result = wait_for(lab, "result.error")
    assert result["connected"] is False
    assert "ftp://example.com/" in result["error"]["message"]


def test_another_url_starts_afresh_and_leaves_the_old_connection(lab: Page, stream: StubStream):
    stream.greeting = [price_update(5, gold=quote(100))]
    render(lab, "/ws/prices/?one")
    wait_for(lab, "result.prices.gold")
    stream.greeting = [price_update(3, silver=quote(2))]
    render(lab, "/ws/prices/?two")
    # Not even the rendering before the effect shows one url's prices for another.
    first = lab.evaluate("renderings.find(({ url }) => url.endsWith('two'))")
    assert (first["prices"], first["connected"]) == ({}, False)
    stream.connection().wait_until_closed()
    assert list(wait_for(lab, "result.connected && result.prices.silver")["prices"]) == ["silver"]


def test_a_component_that_goes_takes_its_connection_along(lab: Page, stream: StubStream):
    stream.greeting = [price_update(1, gold=quote(100))]
    render(lab)
    wait_for(lab, "result.prices.gold")
    renderings = lab.evaluate("unmount(), renderings.length")
    connection = stream.connection()
    connection.wait_until_closed()
    assert connection.close_code == 1000
    assert lab.evaluate("renderings.length") == renderings


def test_a_component_that_is_mounted_twice_at_once_opens_one_connection(lab: Page, stream: StubStream):
    # What StrictMode does to each effect in development.
    stream.greeting = [price_update(1, gold=quote(100))]
    lab.evaluate("render('/ws/prices/'), unmount(), render('/ws/prices/')")
    wait_for(lab, "result.prices.gold")
    stream.connection().wait_for("ping")
    assert not stream.has_connection()
