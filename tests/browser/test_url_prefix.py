"""Pages of a site below a path of its host, in a real browser: they find their files, and the stream."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page

from tests.support.server import Server


@pytest.fixture(scope="module")
def server(run_server: Callable[..., Server]) -> Server:
    server = run_server(WS_BATCH_INTERVAL="0", URL_PREFIX="/gold-prices")
    server.publish(gold="13000")
    return server


@pytest.mark.parametrize("path", ["/", "/gold/", "/screen/"])
def test_a_page_goes_live_and_asks_for_nothing_that_is_not_there(server: Server, page: Page, path: str) -> None:
    missing: list[str] = []
    page.on("response", lambda response: missing.append(response.url) if response.status >= 400 else None)
    with page.expect_websocket() as stream:
        page.goto(f"{server.http_url}/gold-prices{path}")
    stream.value.wait_for_event("framereceived")
    page.wait_for_load_state("networkidle")
    assert stream.value.url == f"{server.ws_url}gold-prices/ws/prices/"
    assert missing == []
