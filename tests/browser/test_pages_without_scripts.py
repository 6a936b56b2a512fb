"""A page without its script says so, with a remedy: it does not look as if it were only slow."""

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.pages import A_CARD_EACH
from tests.support.server import Server

NOT_STARTED = re.compile("This page has not started")


def let_the_notice_come(page: Page) -> None:
    """Finish all that is animated, but for what never ends."""
    page.evaluate("""
        for (const animation of document.getAnimations())
          if (animation.effect.getComputedTiming().endTime < Infinity) animation.finish();
    """)


def scripts_of(page: Page, address: str) -> list[str]:
    """The addresses of a page's scripts: its own, and all that this one imports, which the page names."""
    page.goto(address)
    scripts = "(elements) => elements.map(({ src, href }) => src ?? href)"
    addresses: list[str] = page.locator("script[type=module], link[rel=modulepreload]").evaluate_all(scripts)
    return addresses


@pytest.mark.parametrize(
    ("address", "amount"),
    [
        ("/?rows=gold:999:gram", ".amount"),
        ("/gold/?unit=gram", "#now .amount"),
        ("/screen/?rows=gold:999:gram", "[data-part=amount]"),
        ("/embed/?rows=gold:999:gram", ".amount"),
    ],
)
def test_a_page_without_any_one_of_its_scripts_says_so_and_shows_its_prices(
    server: Server, page: Page, address: str, amount: str, expected_errors: list[str]
) -> None:
    expected_errors.append("ERR_FAILED")
    server.publish(gold="13000")
    scripts = scripts_of(page, server.http_url + address)
    assert scripts
    for script in scripts:
        page.route(script, lambda route: route.abort())
        page.goto(server.http_url + address)
        let_the_notice_come(page)
        expect(page.locator("#unstarted"), script).to_be_visible()
        expect(page.locator("#unstarted"), script).to_contain_text("This page does not update.")
        expect(page.locator(amount), script).to_contain_text("13,000.00")
        page.unroute(script)


def test_where_a_script_is_missing_the_notice_leads_to_the_prices_for_programs(
    server: Server, page: Page, expected_errors: list[str]
) -> None:
    expected_errors.append("ERR_FAILED")
    page.route("**/units.*.js", lambda route: route.abort())
    page.goto(server.http_url)
    let_the_notice_come(page)
    notice = page.locator("#unstarted")
    expect(notice).to_contain_text("Its script has not started")
    expect(notice.get_by_role("link")).to_have_attribute("href", "/api/v1/prices/")


def test_a_metals_page_without_one_of_its_scripts_has_a_form_for_its_measure(
    server: Server, page: Page, expected_errors: list[str]
) -> None:
    expected_errors.append("ERR_FAILED")
    server.publish(gold="13000")
    page.route("**/metal-history.*.js", lambda route: route.abort())
    page.goto(f"{server.http_url}/gold/?unit=gram")
    button = page.locator("#measure").get_by_role("button", name="Show")
    expect(button).to_be_hidden()
    let_the_notice_come(page)
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
