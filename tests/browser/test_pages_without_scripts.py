"""A page without its script says so, with a remedy: it does not look as if it were only slow."""

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.pages import A_CARD_EACH
from tests.support.server import Server

# Of the client, the board has these.
OF_CLIENT = ["dom", "format", "marks", "rows", "swarna-client", "units", "words"]
BOARDS = sorted([*OF_CLIENT, "board", "board-card", "reader-choice"])
METALS = ["amounts", "candles", "live-page", "metal", "metal-history"]
NOT_STARTED = re.compile("This page has not started")


def let_the_notice_come(page: Page) -> None:
    page.evaluate("document.getAnimations().forEach((animation) => animation.finish())")


def open_without(page: Page, server: Server, script: str, address: str) -> None:
    """Open a page that shows gold at 13,000, without one of its scripts."""
    server.publish(gold="13000")
    page.route(f"**/{script}.*.js", lambda route: route.abort())
    page.goto(f"{server.http_url}{address}")


@pytest.mark.parametrize("script", BOARDS)
def test_a_board_without_one_of_its_scripts_says_so_and_shows_its_prices(
    server: Server, page: Page, script: str, expected_errors: list[str]
) -> None:
    expected_errors.append("ERR_FAILED")
    open_without(page, server, script, A_CARD_EACH)
    let_the_notice_come(page)
    notice = page.locator("#unstarted")
    expect(notice).to_be_visible()
    expect(notice).to_contain_text("This page does not update. Its script has not started")
    expect(notice.get_by_role("link")).to_have_attribute("href", "/api/v1/prices/")
    expect(page.locator('.card[data-metal="gold"] .amount')).to_have_text("₹13,000.00")


@pytest.mark.parametrize("script", METALS)
def test_a_metals_page_without_one_of_its_scripts_says_so_and_shows_its_price(
    server: Server, page: Page, script: str, expected_errors: list[str]
) -> None:
    expected_errors.append("ERR_FAILED")
    open_without(page, server, script, "/gold/?unit=gram")
    button = page.locator("#measure").get_by_role("button", name="Show")
    expect(button).to_be_hidden()
    let_the_notice_come(page)
    expect(page.locator("#unstarted")).to_be_visible()
    expect(page.locator("#now .amount")).to_have_text("₹13,000.00")
    page.locator("#measure").get_by_label("Weight").select_option("10gram")
    button.click()
    expect(page.locator("#now .amount")).to_have_text("₹1,30,000.00")


def test_a_board_that_gets_another_versions_script_says_so(
    server: Server, page: Page, expected_errors: list[str]
) -> None:
    expected_errors.append("does not provide an export named")
    page.route(
        "**/units.*.js", lambda route: route.fulfill(content_type="text/javascript", body="export const OLD = 1")
    )
    page.goto(server.http_url)
    let_the_notice_come(page)
    expect(page.locator("#unstarted")).to_be_visible()


def test_a_board_that_starts_says_nothing_of_it(server: Server, page: Page) -> None:
    page.goto(server.http_url)
    expect(page.locator("#connection")).to_contain_text("Connected")
    expect(page.locator("#unstarted")).to_have_count(0)


def test_the_notice_waits_for_a_script_that_takes_its_time_and_takes_no_room(server: Server, page: Page) -> None:
    page.route("**/board.*.js", lambda route: None)  # it is on its way
    page.goto(server.http_url, wait_until="commit")
    notice = page.locator("#unstarted")
    expect(notice).to_have_css("visibility", "hidden")
    expect(notice).to_have_css("height", "0px")
    let_the_notice_come(page)
    expect(notice).to_have_css("visibility", "visible")


def test_without_javascript_the_board_shows_its_prices_and_when_they_are_of(server: Server, browser: Browser) -> None:
    server.publish(gold="13000")
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(server.http_url + A_CARD_EACH)
        gold = page.locator('.card[data-metal="gold"]')
        expect(gold.locator(".amount")).to_have_text("₹13,000.00")
        expect(gold.locator("time")).to_have_text(re.compile(r"as of \w{3}, \d+:\d\d [ap]m"))
        expect(page.locator("#asof")).to_have_text(re.compile(r"\d+ \w+ 20\d\d, \d+:\d\d:\d\d [ap]m"))
        expect(page.locator("noscript")).to_be_visible()
        assert "load the page again for newer prices" in page.locator("noscript").inner_text()
        for script_alone in ("#unstarted", ".connection", "#edit"):
            expect(page.locator(script_alone)).to_be_hidden()


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


def test_without_javascript_the_page_of_the_api_says_that_it_needs_it(server: Server, browser: Browser) -> None:
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(f"{server.http_url}/api/docs/")
        expect(page.get_by_text(NOT_STARTED)).to_be_visible()
        needs_it = page.locator("noscript")
        expect(needs_it).to_be_visible()
        assert needs_it.inner_text() == "It needs JavaScript, which this browser does not run."
