"""A page without its script says so, with a remedy: it does not look as if it were only slow."""

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.product import ROOT
from tests.support.server import Server

# Of the client, the board has these; the React hook and the verifier of signatures are for other pages.
OF_CLIENT = ["format", "marks", "swarna-client", "units"]
BOARDS = sorted(OF_CLIENT + [path.stem for path in (ROOT / "streaming/static/streaming").glob("*.js")])
NOT_STARTED = re.compile("This (board|page) has not started")


@pytest.mark.parametrize("script", BOARDS)
def test_a_board_without_one_of_its_scripts_says_so(
    server: Server, page: Page, script: str, expected_errors: list[str]
) -> None:
    expected_errors.append("ERR_FAILED")
    page.route(f"**/{script}.*.js", lambda route: route.abort())
    page.goto(server.http_url)
    notice = page.get_by_role("status")
    expect(notice).to_contain_text("This board has not started.")
    expect(notice.get_by_role("link")).to_have_attribute("href", "/api/v1/prices/")


def test_a_board_that_gets_another_versions_script_says_so(
    server: Server, page: Page, expected_errors: list[str]
) -> None:
    expected_errors.append("does not provide an export named")
    page.route(
        "**/units.*.js", lambda route: route.fulfill(content_type="text/javascript", body="export const OLD = 1")
    )
    page.goto(server.http_url)
    expect(page.get_by_role("status")).to_contain_text("This board has not started.")


def test_a_board_that_starts_says_nothing_of_it(server: Server, page: Page) -> None:
    page.goto(server.http_url)
    expect(page.locator("#connection")).to_contain_text("Connected")
    expect(page.get_by_text(NOT_STARTED)).to_have_count(0)


def test_the_notice_waits_for_a_script_that_takes_its_time(server: Server, page: Page) -> None:
    page.route("**/board.*.js", lambda route: None)  # it is on its way
    page.goto(server.http_url, wait_until="commit")
    notice = page.get_by_text("This board has not started.")
    expect(notice).to_have_css("visibility", "hidden")
    expect(notice).to_have_css("visibility", "visible", timeout=10_000)


@pytest.mark.parametrize("script", ["**/swagger-ui-bundle.*.js", "**/api/docs/?script=*"])
def test_the_page_of_the_api_says_so_too(server: Server, page: Page, script: str, expected_errors: list[str]) -> None:
    expected_errors.extend(["ERR_FAILED", "is not defined"])
    page.route(script, lambda route: route.abort())
    page.goto(f"{server.http_url}/api/docs/")
    expect(page.get_by_text("This page has not started")).to_be_visible()
    expect(page.get_by_role("link", name="/api/schema/")).to_be_visible()


def test_the_page_of_the_api_that_starts_says_nothing_of_it(server: Server, page: Page) -> None:
    page.goto(f"{server.http_url}/api/docs/")
    expect(page.locator("#operations-Prices-v1_metals_list")).to_be_visible()
    expect(page.get_by_text(NOT_STARTED)).to_have_count(0)


@pytest.mark.parametrize("path", ["/", "/api/docs/"])
def test_without_javascript_a_page_says_that_it_needs_it(server: Server, browser: Browser, path: str) -> None:
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(server.http_url + path)
        expect(page.get_by_text(NOT_STARTED)).to_be_visible()
        needs_it = page.locator("noscript")
        expect(needs_it).to_be_visible()
        assert needs_it.inner_text() == "It needs JavaScript, which this browser does not run."
