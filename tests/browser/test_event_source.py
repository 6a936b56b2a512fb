"""The EventSource of a real browser, as docs/protocol.md uses it: it reads the stream, and comes back by itself."""

import re
import signal
from typing import Any

from playwright.sync_api import Page, expect

from tests.support.pages import SERVER_GONE
from tests.support.product import ROOT

SECTION = "### Server-Sent Events"


def test_the_example_of_the_documents_shows_prices_and_comes_back(
    server: Any, page: Page, expected_errors: list[str]
) -> None:
    expected_errors.append(SERVER_GONE)
    server.publish(gold="13000")
    text = (ROOT / "docs/protocol.md").read_text().split(SECTION)[1]
    (example,) = re.findall(r"```js\n(.*?)```", text, re.DOTALL)
    page.goto(f"{server.http_url}/healthz")
    page.evaluate(
        "(example) => { document.body.innerHTML = '<p id=gold></p>'; window.events = eval(example + '; events') }",
        example,
    )
    gold = page.locator("#gold")
    expect(gold).to_have_text("13000")
    server.publish(gold="13010.5")
    expect(gold).to_have_text("13010.5")
    server.signal(signal.SIGTERM)
    server.wait()
    page.wait_for_function("events.readyState === EventSource.CONNECTING")
    server.publish(gold="13500")
    # It resumes: a browser sends `Last-Event-ID` by itself.
    page.evaluate("events.addEventListener('priceUpdate', (event) => { window.update ??= JSON.parse(event.data) })")
    server.start()
    page.wait_for_function("window.update !== undefined", timeout=30_000)
    assert page.evaluate("update.snapshot") is False
    assert page.evaluate("update.changes.map(({ newPrice }) => newPrice)") == [13500]
    expect(gold).to_have_text("13500")
