"""The React hook, in a real React in a real browser."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.support.pages import open_test_page
from tests.support.stub_stream import StubStream, price_update, quote, status


@pytest.fixture
def stream() -> Iterator[StubStream]:
    with StubStream() as stream:
        yield stream


@pytest.fixture
def lab(stream: StubStream, page: Page) -> Page:
    """A page with React and the hook."""
    open_test_page(page, stream.http_url, "react.html")
    return page


def render(lab: Page, url: str = "/ws/prices/", **options: Any) -> None:
    """Without options, in the words of the owner's document: `useWebSocketPrices(url)`."""
    lab.evaluate("([url, options]) => render(url, options)", [url, options or None])


def wait_for(lab: Page, condition: str) -> dict[str, Any]:
    """The latest rendering, once it meets a condition on `result`."""
    lab.wait_for_function(f"((result) => {condition})(latest())")
    return dict(lab.evaluate("latest()"))


def test_it_begins_with_nothing_and_no_error(lab: Page):
    render(lab)
    first = lab.evaluate("renderings[0]")
    nothing = dict.fromkeys(("currency", "unit", "error", "status"))
    assert first == {"url": "/ws/prices/", "prices": {}, "connected": False, **nothing}


def test_it_gives_prices_status_and_that_it_is_connected(lab: Page, stream: StubStream):
    stream.greeting = [price_update(1, gold=quote(100), silver=quote(2)), status()]
    render(lab)
    result = wait_for(lab, "result.status")
    assert result == {
        "url": "/ws/prices/",
        "prices": stream.greeting[0]["data"],
        "currency": "INR",
        "unit": "gram",
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
    assert lost["error"] == {"message": "Internal error", "code": 1011, "why": None}
    assert (lost["status"], list(lost["prices"])) == (None, ["gold"])
    assert wait_for(lab, "result.connected")["error"] is None


def test_a_rejection_stays_as_the_error(lab: Page, stream: StubStream):
    render(lab)
    stream.connection().close(1008, "Server at capacity")
    error = wait_for(lab, "result.error")["error"]
    assert error == {"message": "Server at capacity", "code": 1008, "why": "refused"}


def test_a_rejection_by_the_server_is_an_error_while_connected(lab: Page, stream: StubStream):
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


def test_metals_interval_and_token_are_sent(lab: Page, stream: StubStream):
    render(lab, metals=["gold"], interval=5000, token="secret")
    connection = stream.connection()
    assert connection.wait_for("subscribe") == {"type": "subscribe", "metals": ["gold"], "interval": 5000}
    assert connection.offered == ["swarnaai-v1", "swarnaai.bearer.secret"]


def test_options_of_the_same_value_keep_the_connection(lab: Page, stream: StubStream):
    stream.greeting = [price_update(1, gold=quote(100))]
    for _ in range(3):
        render(lab, metals=["gold"], token="secret")
        wait_for(lab, "result.connected && result.prices.gold")
    stream.connection().wait_for("subscribe")
    assert not stream.has_connection()


def test_with_other_options_it_connects_anew_and_keeps_the_prices_until_then(lab: Page, stream: StubStream):
    stream.greeting = [price_update(1, gold=quote(100), silver=quote(2))]
    render(lab, metals=["gold"])
    wait_for(lab, "result.prices.gold")
    stream.greeting = []
    render(lab, metals=["silver"])
    stream.connection().wait_until_closed()
    connection = stream.connection()
    assert connection.wait_for("subscribe")["metals"] == ["silver"]
    assert list(wait_for(lab, "result.connected")["prices"]) == ["gold"]
    connection.send(price_update(1, silver=quote(2), snapshot=True))
    assert list(wait_for(lab, "result.prices.silver")["prices"]) == ["silver"]


def test_a_token_that_is_not_good_is_an_error_until_another_is_given(lab: Page, stream: StubStream):
    render(lab, token="expired")
    stream.connection().close(1008, "Unauthorized")
    error = wait_for(lab, "result.error")["error"]
    assert error == {"message": "Unauthorized", "code": 1008, "why": "unauthorized"}
    render(lab, token="fresh")
    assert stream.connection().offered[1] == "swarnaai.bearer.fresh"
    assert wait_for(lab, "result.connected")["error"] is None


@pytest.mark.parametrize("option", [{"token": "two words"}, {"interval": -1}, {"metals": "gold"}])
def test_an_impossible_option_is_an_error_and_no_crash(lab: Page, stream: StubStream, option: dict[str, Any]):
    render(lab, **option)
    [name] = option
    assert name in wait_for(lab, "result.error")["error"]["message"]
    assert not stream.has_connection()


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
