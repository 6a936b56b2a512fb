"""Prices on pages of others, and the page that makes them, with a real server."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.axe import violations
from tests.support.product import ROOT
from tests.support.server import Server

SHOP, STRANGER = "http://localhost:4001", "http://localhost:4002"


@pytest.fixture(scope="module")
def prices(run_server: Callable[..., Server]) -> Server:
    """A server whose frames the shop may show, with a price of gold, which tests move by a rupee or two."""
    server = run_server(WS_BATCH_INTERVAL="0", EMBED_ALLOWED_ORIGINS=SHOP)
    server.publish(gold="12000")
    return server


def example(beginning: str, server: Server) -> str:
    """The example of docs/widgets.md that begins so, for this server."""
    (found,) = re.findall(rf"```html\n({beginning}.*?)```", (ROOT / "docs/widgets.md").read_text(), re.DOTALL)
    return str(found).replace("http://127.0.0.1:3001", server.http_url)


def open_page(page: Page, origin: str, html: str) -> None:
    """Open a page of another origin with this in it."""
    text = f'<!doctype html><html lang="en"><title>Asha</title><body><main><h1>Asha</h1>{html}</main>'
    # To Chromium a page that came from no network is not local, and may not read from a server that is.
    page.context.grant_permissions(["local-network-access"])
    page.route(f"{origin}/**", lambda route: route.fulfill(content_type="text/html", body=text))
    page.goto(f"{origin}/")


def test_an_element_on_another_site_shows_the_live_price_by_one_script(page: Page, prices: Server) -> None:
    open_page(page, SHOP, example("<script", prices))
    expect(page.locator("swarna-price")).to_contain_text("per 10 g")
    prices.publish(gold="12010")
    expect(page.locator("swarna-price")).to_contain_text("₹1,10,011.60")
    assert violations(page) == {}


def test_a_frame_in_a_page_that_may_show_it_is_kept_up_to_date(page: Page, prices: Server) -> None:
    open_page(page, SHOP, example("<iframe", prices))
    gold = page.frame_locator("iframe").locator('[data-row="gold:916:10gram"]')
    expect(gold).to_contain_text("सोना")
    expect(gold.locator(".amount")).to_contain_text("₹1,")
    prices.publish(gold="12005")
    expect(gold.locator(".amount")).to_have_text("₹1,09,965.80")
    expect(gold.locator(".marks")).to_have_text("लाइव")


@pytest.mark.parametrize(("origin", "path"), [(STRANGER, "/embed/"), (SHOP, "/"), (SHOP, "/developers/widgets/")])
def test_nothing_else_is_shown_in_a_frame(
    page: Page, prices: Server, origin: str, path: str, expected_errors: list[str]
) -> None:
    expected_errors.append("frame-ancestors|X-Frame-Options")
    with page.expect_event("requestfailed", lambda request: request.url.endswith(path)):
        open_page(page, origin, f'<iframe title="Prices" src="{prices.http_url}{path}"></iframe>')


def test_without_scripts_a_frame_shows_its_prices_and_that_they_stand(prices: Server, browser: Browser) -> None:
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(f"{prices.http_url}/embed/?rows=gold")
        expect(page.locator(".amount")).to_contain_text("₹12,0")
        expect(page.locator("noscript")).to_be_visible()
        expect(page.locator("#unstarted")).to_be_hidden()


def test_the_maker_makes_what_its_form_chooses_and_copies_it(page: Page, prices: Server) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(f"{prices.http_url}/developers/widgets/?rows=gold:999:10gram")
    sheet = page.locator("section", has_text="A sheet of prices")
    code = sheet.locator("pre")
    expect(page.locator("swarna-sheet")).to_contain_text("₹1,20,")
    expect(page.get_by_role("button", name="Show")).to_be_hidden()
    page.get_by_label("Purity of row 1").select_option("750")
    expect(code).to_contain_text('rows="gold:750:10gram"')
    expect(page.locator("swarna-sheet")).to_contain_text("18K · 750")
    page.get_by_role("button", name="Add a row").press("Enter")
    expect(code).to_contain_text('rows="gold:750:10gram,gold:999:10gram"')
    expect(page.get_by_role("button", name="Add a row")).to_be_focused()
    page.get_by_role("button", name="Move row 2 up").press("Enter")
    expect(code).to_contain_text('rows="gold:999:10gram,gold:750:10gram"')
    page.get_by_label("Language").select_option("hi")
    expect(page.frame_locator("iframe").locator("html")).to_have_attribute("lang", "hi")
    assert page.url.endswith("?rows=gold:999:10gram,gold:750:10gram&lang=hi")
    sheet.get_by_role("button", name="Copy").click()
    expect(sheet.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == code.text_content()
    assert violations(page) == {}


def test_where_its_script_does_not_come_the_maker_has_a_button(
    page: Page, prices: Server, expected_errors: list[str]
) -> None:
    expected_errors.append("ERR_FAILED")
    page.route("**/widgets*.js", lambda route: route.abort())
    page.goto(f"{prices.http_url}/developers/widgets/?rows=gold:999:10gram")
    button = page.get_by_role("button", name="Show")
    expect(button).to_be_hidden()
    page.evaluate("document.getAnimations().forEach((each) => each.finish())")
    page.get_by_label("Purity of row 1").select_option("750")
    button.click()
    expect(page.locator("section", has_text="A sheet of prices").locator("pre")).to_contain_text("gold:750:10gram")
