"""Pages that drive the browser code, put by a test in front of whatever server it runs against."""

from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Page, Route

TESTS = Path(__file__).parent.parent


def open_test_page(page: Page, origin: str, name: str) -> None:
    """Open a page of this folder as if the server at `origin` had it, and wait until its script has run."""
    page.route(f"{origin}/tests/**", _fulfil)
    # To Chromium a page that came from no network is not local, and may not connect to a server that is.
    page.context.grant_permissions(["local-network-access"])
    page.goto(f"{origin}/tests/browser/{name}")
    page.wait_for_function("window.ready")


def _fulfil(route: Route) -> None:
    route.fulfill(path=TESTS / urlsplit(route.request.url).path.removeprefix("/tests/"))
