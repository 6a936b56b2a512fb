"""Pages that drive the browser code, put by a test in front of whatever server it runs against."""

from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Page, Route

SUPPORT = Path(__file__).parent.parent
# The rows of a board with a card for each metal, per gram: on the usual one, gold has several.
A_CARD_EACH = "/?rows=gold,silver,platinum,palladium"
# What a page's console may say of a server that is taken away: a browser also asks for the page's icon when it finds
# the time, which may be just then.
SERVER_GONE = r"WebSocket connection to .* failed|net::ERR_(CONNECTION_(REFUSED|RESET|CLOSED)|EMPTY_RESPONSE)"


def open_test_page(page: Page, origin: str, name: str) -> None:
    """Open a page of this folder as if the server at `origin` had it, and wait until its script has run."""
    page.route(f"{origin}/tests/**", _fulfil)
    # To Chromium a page that came from no network is not local, and may not connect to a server that is.
    page.context.grant_permissions(["local-network-access"])
    page.goto(f"{origin}/tests/pages/{name}")
    page.wait_for_function("window.ready")


def _fulfil(route: Route) -> None:
    route.fulfill(path=SUPPORT / urlsplit(route.request.url).path.removeprefix("/tests/"))
