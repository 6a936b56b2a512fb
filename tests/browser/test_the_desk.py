"""The desk in a real browser: it keeps itself up to date, and each decision is one press away, on a phone too."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from playwright.sync_api import Browser, Page, expect

from prices.models import HeldPrice, Premium, ProviderState
from prices.publishing import ingest
from prices.sources import registry
from tests.support.axe import violations
from tests.support.browser import new_page, without_the_servers_time
from tests.support.quotes import quote
from tests.support.server import Server
from tests.support.staff_page import DESKTOP, PHONE, Steps, log_in, width_of

SIZES = pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])


@pytest.fixture
def shop(server: Server) -> Server:
    """Gold is 13,200 and nothing waits."""

    def begin() -> None:
        HeldPrice.objects.all().delete()
        Premium.objects.all().delete()
        registry.in_order()
        ProviderState.objects.update(enabled=True)

    server.do(begin)
    server.publish(gold="13200.01", silver="165")
    server.publish(gold="13200")
    return server


def quarantine(server: Server, price: str = "14520") -> None:
    """Have a source quote a price of gold that cannot be believed."""
    now = dt.datetime.now(dt.UTC)
    server.do(lambda: ingest.offer([quote(price=price, at=now)], now=now))


@pytest.fixture
def desk(shop: Server, page: Page) -> Page:
    """The desk, open and live."""
    log_in(page, shop)
    open_desk(page, shop)
    return page


def open_desk(page: Page, server: Server) -> None:
    page.goto(f"{server.http_url}/admin/")
    expect(page.locator("#desk-connection")).to_have_text("Live")


def look(page: Page) -> None:
    """Look at the rows before pressing a button: the desk takes no press right after they have come or moved."""
    page.wait_for_timeout(800)


def gold(page: Page) -> Any:
    return page.locator("[data-metal=gold]")


def test_a_price_comes_by_the_stream_without_a_reload(shop: Server, desk: Page) -> None:
    steps = Steps(desk)
    shop.publish(gold="13210.50")
    expect(gold(desk)).to_contain_text("13,210.50")
    expect(gold(desk)).to_contain_text("Live")
    expect(gold(desk).locator("[data-part=age]")).to_have_text("3 s ago")
    shop.publish(gold="14000", source="fallback")
    expect(gold(desk)).to_contain_text("Fallback")
    assert steps.loads == 0


def test_an_age_is_never_by_the_clock_of_a_device_that_may_be_wrong(shop: Server, page: Page) -> None:
    now = dt.datetime.now(dt.UTC)
    old = quote("platinum", "4000", at=now - dt.timedelta(minutes=2, seconds=10))
    shop.do(lambda: ingest.record([old], now=now))
    page.add_init_script("const now = Date.now; Date.now = () => now() - 86_400_000;")
    page.route_web_socket("**/ws/prices/", without_the_servers_time)
    log_in(page, shop)
    open_desk(page, shop)
    age = page.locator("[data-metal=platinum] [data-part=age]")
    assert age.inner_text() == "2 min ago"


def test_a_stream_that_is_for_users_alone_comes_by_the_login_of_staff(
    shop: Server, run_server: Callable[..., Server], page: Page
) -> None:
    closed = run_server(WS_AUTH_REQUIRED="1")
    log_in(page, closed)
    open_desk(page, closed)
    shop.publish(gold="13211.50")
    expect(gold(page)).to_contain_text("13,211.50")


def test_the_desk_counts_itself_among_the_clients(desk: Page) -> None:
    expect(desk.locator("#desk-now")).to_contain_text("1 client now", timeout=15_000)


@SIZES
def test_a_quarantined_price_is_approved_by_one_press_on_its_row(shop: Server, desk: Page, size: Any) -> None:
    desk.set_viewport_size(size)
    quarantine(shop)
    row = desk.locator("#desk-waiting .desk-row")
    expect(row).to_contain_text("14,520.00 from gold_api_com")
    expect(row).to_contain_text("+10.00 %")
    assert desk.title().startswith("(1) ")
    look(desk)
    steps = Steps(desk)
    steps.click(desk.get_by_role("button", name="Approve Gold 14,520.00"))
    expect(desk.get_by_text("Approved: gold 14,520.0000 from gold_api_com.")).to_be_visible()
    expect(gold(desk)).to_contain_text("14,520.00")
    assert (steps.clicks, steps.loads) == (1, 1)
    assert shop.do(lambda: HeldPrice.objects.get().decided_by) == "boss"


@SIZES
def test_a_source_is_switched_off_by_one_press_on_its_row(shop: Server, desk: Page, size: Any) -> None:
    desk.set_viewport_size(size)
    look(desk)
    steps = Steps(desk)
    steps.click(desk.get_by_role("button", name="Switch off gold_api_com"))
    expect(desk.get_by_text("gold_api_com is switched off.")).to_be_visible()
    expect(desk.get_by_role("button", name="Switch on gold_api_com")).to_be_visible()
    assert (steps.clicks, steps.loads) == (1, 1)
    assert not shop.do(lambda: ProviderState.objects.get().enabled)


@SIZES
def test_an_edit_is_undone_in_two_presses(shop: Server, desk: Page, size: Any) -> None:
    desk.set_viewport_size(size)
    look(desk)
    desk.get_by_role("button", name="Switch off gold_api_com").click()
    expect(desk.get_by_text("gold_api_com is switched off.")).to_be_visible()
    steps = Steps(desk)
    steps.click(desk.get_by_role("link", name="Undo").first)
    expect(desk.get_by_text("Source gold_api_com: enabled no → yes")).to_be_visible()
    steps.click(desk.get_by_role("button", name="Undo"))
    expect(desk.get_by_role("button", name="Switch off gold_api_com")).to_be_visible()
    assert (steps.clicks, steps.loads) == (2, 2)


def test_a_press_right_after_the_rows_have_moved_is_not_taken(shop: Server, desk: Page) -> None:
    desk.evaluate(
        """() => {
          window.pressed = new Promise((resolve) => {
            new MutationObserver((_, observer) => {
              const button = document.querySelector("[id^=approve-]");
              if (!button) return;
              observer.disconnect();
              resolve(button.click());
            }).observe(document.getElementById("desk"), { childList: true, subtree: true });
          });
        }"""
    )
    quarantine(shop)
    desk.evaluate("() => window.pressed")
    expect(desk.locator("#desk-connection")).to_have_text("The rows have just changed: look again, and press again.")
    assert shop.do(lambda: HeldPrice.pending().count()) == 1
    expect(desk.locator("#desk-connection")).to_have_text("Live", timeout=10_000)
    desk.get_by_role("button", name="Approve").click()
    expect(desk.get_by_text("Approved: gold")).to_be_visible()


def test_a_button_keeps_the_focus_while_its_row_is_renewed(shop: Server, desk: Page) -> None:
    quarantine(shop)
    approve = desk.get_by_role("button", name="Approve")
    approve.focus()
    shop.publish(gold="13201")
    expect(desk.locator("#desk-waiting")).to_contain_text("13,201.00")
    expect(approve).to_be_focused()


def test_a_desk_whose_login_has_ended_leads_to_the_login(shop: Server, desk: Page, expected_errors: list[str]) -> None:
    shop.do(lambda: Session.objects.all().delete())
    expect(desk.get_by_label("Username")).to_be_visible(timeout=15_000)


def test_a_desk_that_hears_nothing_says_that_nothing_on_it_is_of_now(
    shop: Server, page: Page, expected_errors: list[str]
) -> None:
    expected_errors.append("ERR_FAILED")
    page.clock.install()
    log_in(page, shop)
    open_desk(page, shop)
    page.route("**/admin/desk/", lambda route: route.abort())
    page.clock.run_for(16_000)
    expect(page.locator("#desk-connection")).to_contain_text("Nothing here is of now.")
    page.unroute("**/admin/desk/")
    page.clock.run_for(6_000)
    expect(page.locator("#desk-connection")).to_have_text("Live")


def test_without_javascript_the_desk_works_and_says_that_it_stands_still(shop: Server, browser: Browser) -> None:
    quarantine(shop)
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        log_in(page, shop)
        page.goto(f"{shop.http_url}/admin/")
        assert "stands still: reload it" in page.locator("#desk-connection noscript").inner_text()
        expect(gold(page)).to_contain_text("13,200.00")
        page.get_by_role("button", name="Approve").click()
        expect(page.get_by_text("Approved: gold")).to_be_visible()
        page.get_by_role("link", name="Change duty").click()
        page.get_by_label("Gold").fill("1.01")
        page.get_by_role("button", name="Show the new prices").click()
        expect(page.locator("#duty-preview")).to_contain_text("14,665.20")
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_text("It is on screens.")).to_be_visible()


@SIZES
def test_the_duty_of_all_metals_is_changed_in_one_form_that_shows_the_new_prices(
    shop: Server, desk: Page, size: Any
) -> None:
    desk.set_viewport_size(size)
    steps = Steps(desk)
    steps.click(desk.get_by_role("link", name="Change duty"))
    for metal in ("Gold", "Silver", "Platinum", "Palladium"):
        desk.get_by_label(metal).fill("1.03")
    expect(desk.get_by_role("button", name="Save")).to_be_enabled()
    desk.get_by_label("From").fill(tomorrow())
    expect(desk.get_by_role("button", name="Save")).to_be_enabled()
    expect(desk.locator("#duty-preview")).to_contain_text("18:30 on, at today's spot")
    expect(desk.locator("#duty-preview")).to_contain_text("13,200.00 → 13,596.00, +3.00 %")
    expect(desk.locator("#duty-preview")).to_contain_text("stays as it is")
    steps.click(desk.get_by_role("button", name="Save"))
    expect(desk.get_by_text("Scheduled from")).to_be_visible()
    assert (steps.clicks, steps.loads) == (2, 2)
    assert shop.do(lambda: {premium.metal_id for premium in Premium.objects.all()}) == {
        "gold", "silver", "platinum", "palladium"
    }  # fmt: skip


def test_prices_of_other_input_cannot_be_saved(desk: Page) -> None:
    desk.get_by_role("link", name="Change duty").click()
    desk.get_by_label("Gold").fill("1.03")
    expect(desk.get_by_role("button", name="Save")).to_be_enabled()
    desk.route("**/duty/", lambda route: None)  # unanswered
    desk.get_by_label("Gold").fill("1.04")
    expect(desk.get_by_role("button", name="Save")).to_be_disabled()
    desk.unroute("**/duty/")
    desk.get_by_label("Gold").fill("1.05")
    expect(desk.get_by_role("button", name="Save")).to_be_enabled()
    expect(desk.locator("#duty-preview")).to_contain_text("Gold × 1.05")


@pytest.mark.parametrize("status", [503, None], ids=["the server is ill", "it never answers"])
def test_a_duty_without_a_preview_has_the_button_for_one(
    desk: Page, expected_errors: list[str], status: int | None
) -> None:
    expected_errors.append("503")
    desk.get_by_role("link", name="Change duty").click()
    look = desk.get_by_role("button", name="Show the new prices")
    expect(look).to_be_hidden()
    desk.route("**/duty/", lambda route: route.fulfill(status=status) if status else None)
    desk.get_by_label("Gold").fill("1.03")
    expect(look).to_be_visible(timeout=10_000)


def tomorrow() -> str:
    return f"{dt.datetime.now() + dt.timedelta(days=1):%Y-%m-%d}T18:30"  # noqa: DTZ005  (any time of tomorrow)


# --- for everybody, everywhere -------------------------------------------------------------------------------------

Prepare = Callable[[Page], None]


def _desk(page: Page) -> None:
    expect(page.locator("#desk-waiting .desk-row")).to_be_visible()


def _duty(page: Page) -> None:
    page.get_by_role("link", name="Change duty").click()
    page.get_by_label("Gold").fill("1.5")
    expect(page.get_by_label("I checked it")).to_be_visible()


@SIZES
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("prepare", [_desk, _duty], ids=["desk", "duty"])
def test_the_pages_are_accessible_and_fit_the_screen(
    shop: Server, browser: Browser, size: Any, theme: Any, prepare: Prepare
) -> None:
    quarantine(shop)
    # axe tries out styles of its own, which the page's policy blocks.
    with new_page(browser, ["Applying inline style violates"]) as page:
        page.set_viewport_size(size)
        page.emulate_media(color_scheme=theme)
        log_in(page, shop)
        open_desk(page, shop)
        prepare(page)
        assert width_of(page) <= size["width"]
        assert violations(page) == {}
