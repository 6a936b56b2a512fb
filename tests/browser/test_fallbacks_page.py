"""The page of all fallback prices in a real browser: in few clicks, on a phone, on a bad line, and read back."""

import datetime as dt
import re
from decimal import Decimal
from typing import Any, Literal
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from prices.models import FallbackPrice
from prices.publishing import ingest
from tests.support.axe import violations
from tests.support.browser import without_the_servers_time
from tests.support.server import Server
from tests.support.staff_page import DESKTOP, PHONE, Steps, log_in, width_of

PAGE = "/admin/prices/fallbackprice/all/"
ON_SCREENS = re.compile(r"^On screens since \d\d:\d\d:\d\d$")


@pytest.fixture
def desk(server: Server, page: Page) -> Page:
    """A phone on which staff have logged in, and opened the page."""
    page.set_viewport_size({"width": PHONE["width"], "height": PHONE["height"]})
    log_in(page, server)
    page.goto(f"{server.http_url}{PAGE}")
    return page


def row(desk: Page, metal: str = "gold") -> Locator:
    return desk.locator(f'[data-metal="{metal}"]')


def price_of(desk: Page, metal: str = "gold") -> Locator:
    return row(desk, metal).get_by_label("New price")


def state_of(desk: Page, metal: str = "gold") -> Locator:
    return row(desk, metal).locator('[data-part="state"]')


def write(desk: Page, price: str, metal: str = "gold") -> None:
    price_of(desk, metal).fill(price)
    desk.get_by_label("Reason").fill("the association's rate")


def save(desk: Page) -> None:
    desk.get_by_role("button", name="Save").click()


def versions(server: Server, metal: str = "gold") -> list[str]:
    """The prices of a metal's versions, the newest first, in whole rupees."""
    rows: list[Any] = server.do(lambda: list(FallbackPrice.history.filter(metal=metal).values_list("price", flat=True)))
    return [f"{price:.0f}" for price in rows]


@pytest.mark.parametrize(("size", "price"), [(DESKTOP, "9301"), (PHONE, "9302")], ids=["desktop", "phone"])
def test_gold_is_corrected_from_the_desk_in_four_clicks_and_one_page(
    server: Server, page: Page, size: Any, price: str
) -> None:
    page.set_viewport_size(size)
    log_in(page, server)
    page.goto(f"{server.http_url}/admin/")
    steps = Steps(page)
    steps.click(page.get_by_role("link", name="Correct fallback prices"))
    steps.click(price_of(page))
    page.keyboard.type(price)
    steps.click(page.get_by_label("Reason"))
    page.keyboard.type("the association's rate")
    effect = row(page).locator(".fallback-effect")
    expect(effect).to_contain_text("at once, until the end of today.")
    expect(effect).to_contain_text(re.compile(r"on \d+ screens?"))
    steps.click(page.get_by_role("button", name="Save"))
    expect(state_of(page)).to_have_text(ON_SCREENS, timeout=2000)
    expect(page.get_by_text(f"Gold is saved: 9,{price[1:]} per gram")).to_be_visible()
    assert (steps.clicks, steps.loads) == (4, 1)


def test_what_screens_show_is_read_back_from_the_stream(server: Server, desk: Page) -> None:
    palladium = row(desk, "palladium")
    expect(state_of(desk, "palladium")).to_have_text(ON_SCREENS)
    write(desk, "3310", "palladium")
    save(desk)
    expect(palladium).to_have_attribute("data-price", "3310.0000")
    expect(state_of(desk, "palladium")).to_have_text(ON_SCREENS)
    server.publish(palladium="3320")
    expect(state_of(desk, "palladium")).to_have_text("In reserve")
    expect(palladium.locator('[data-part="shown"]')).to_contain_text("3,320.00 from gold-api.com")

    write(desk, "3315", "palladium")
    expect(palladium.locator(".fallback-effect")).to_contain_text("In reserve: screens keep 3,320.")
    save(desk)
    expect(palladium).to_have_attribute("data-price", "3315.0000")
    expect(state_of(desk, "palladium")).to_have_text("In reserve")


def test_an_old_tab_says_that_somebody_has_changed_a_price(server: Server, desk: Page) -> None:
    expect(state_of(desk)).to_have_text(ON_SCREENS)

    def change() -> None:
        now = dt.datetime.now(dt.UTC)
        fallback = FallbackPrice.objects.get(metal="gold")
        fallback.price, fallback.as_of = Decimal(9305), now
        fallback.save()
        ingest.fall_back_where_due(now=now)

    server.do(change)
    expect(state_of(desk)).to_have_text("Somebody has changed it: reload this page")
    desk.reload()
    expect(row(desk)).to_have_attribute("data-price", "9305.0000")
    expect(state_of(desk)).to_have_text(ON_SCREENS)


def test_hindi_digits_per_kilogram_are_echoed_in_all_units(server: Server, desk: Page) -> None:
    row(desk, "silver").get_by_label("Unit").select_option("per kg")
    price_of(desk, "silver").press_sequentially("१,०६,०००")  # noqa: RUF001
    expect(row(desk, "silver").locator(".fallback-units")).to_have_text(
        "106 per gram = 1,060 per 10 g = 1,06,000 per kg"
    )
    desk.reload()
    expect(row(desk, "silver").get_by_label("Unit")).to_have_value("kg")  # as it was the last time


def test_the_last_live_price_is_copied_in_the_chosen_unit(server: Server, desk: Page) -> None:
    expect(row(desk, "platinum").get_by_role("button", name="Copy")).to_be_hidden()
    server.publish(platinum="3900.25")
    row(desk, "platinum").get_by_label("Unit").select_option("per 10 g")
    row(desk, "platinum").get_by_role("button", name="Copy").click()
    expect(price_of(desk, "platinum")).to_have_value("39002.5")
    expect(row(desk, "platinum").locator(".fallback-units")).to_contain_text("3,900.25 per gram = 39,002.50 per 10 g")


def test_a_price_per_kilogram_in_the_field_per_gram_is_noticed_before_it_is_saved(server: Server, desk: Page) -> None:
    before = versions(server, "palladium")
    price_of(desk, "palladium").press_sequentially("33,00,000")
    expect(row(desk, "palladium")).to_contain_text("choose “per kg” if it is one")
    desk.get_by_label("Reason").fill("a slip")
    save(desk)
    expect(desk.get_by_text("Nothing is saved: see below what to mend.")).to_be_visible()
    assert versions(server, "palladium") == before

    row(desk, "palladium").get_by_label("I checked it").check()
    expect(row(desk, "palladium").locator(".fallback-effect")).to_be_visible()
    price_of(desk, "palladium").fill("33,00,001")  # another price, which has yet to be checked
    expect(row(desk, "palladium").get_by_label("I checked it")).not_to_be_checked()


def test_a_phone_that_is_offline_in_save_keeps_what_was_written(
    server: Server, desk: Page, expected_errors: list[str]
) -> None:
    expected_errors.append("ERR_INTERNET_DISCONNECTED")
    before = versions(server)
    write(desk, "9330")
    desk.context.set_offline(True)
    save(desk)
    expect(desk.get_by_role("status")).to_contain_text("No answer came")
    desk.context.set_offline(False)
    expect(price_of(desk)).to_have_value("9330")
    save(desk)
    expect(desk.get_by_text("Gold is saved: 9,330")).to_be_visible()
    assert versions(server) == ["9330", *before]


def test_a_save_whose_answer_was_lost_is_saved_once(server: Server, desk: Page, expected_errors: list[str]) -> None:
    expected_errors.append("ERR_FAILED")
    before = versions(server)

    def lose(route: Route) -> None:
        if route.request.method == "POST" and "_save" in (route.request.post_data or ""):
            route.fetch(max_redirects=0)
            route.abort()
        else:
            route.continue_()

    write(desk, "9340")
    desk.route(f"**{PAGE}", lose)
    save(desk)
    expect(desk.get_by_role("status")).to_contain_text("No answer came")
    assert versions(server) == ["9340", *before]
    desk.unroute(f"**{PAGE}")
    save(desk)
    expect(desk.get_by_text("Gold was saved before: 9,340")).to_be_visible()
    assert versions(server) == ["9340", *before]


def test_save_pressed_twice_saves_once(server: Server, desk: Page) -> None:
    before = versions(server)
    write(desk, "9350")
    desk.get_by_role("button", name="Save").dblclick()
    expect(desk.get_by_text("Gold is saved: 9,350")).to_be_visible()
    assert versions(server) == ["9350", *before]


def test_who_was_signed_out_meanwhile_signs_in_and_saves_what_was_written(
    server: Server, desk: Page, expected_errors: list[str]
) -> None:
    expected_errors.append("403")
    write(desk, "9360")
    desk.context.clear_cookies()
    save(desk)
    expect(desk.get_by_role("link", name="Sign in in another tab")).to_be_visible()
    log_in(desk, server)
    desk.context.new_page().goto(f"{server.http_url}{PAGE}")  # brings another CSRF token, too
    save(desk)
    expect(desk.get_by_text("Gold is saved: 9,360")).to_be_visible()


def test_without_javascript_there_is_a_preview_and_a_save(server: Server, page: Page) -> None:
    with page.context.browser.new_context(java_script_enabled=False) as context:  # type: ignore[union-attr]
        plain = context.new_page()
        log_in(plain, server)
        plain.goto(f"{server.http_url}{PAGE}")
        write(plain, "93,700")
        row(plain).get_by_label("Unit").select_option("per 10 g")
        plain.get_by_role("button", name="Preview").click()
        expect(row(plain).locator(".fallback-units")).to_contain_text("9,370 per gram")
        save(plain)
        expect(plain.get_by_text("Gold is saved: 9,370 per gram")).to_be_visible()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_the_page_is_accessible_and_no_wider_than_the_screen(
    server: Server, desk: Page, expected_errors: list[str], size: Any, theme: Literal["light", "dark"]
) -> None:
    expected_errors.append("Applying inline style violates")  # axe tries out styles of its own
    desk.set_viewport_size(size)
    desk.emulate_media(color_scheme=theme)
    write(desk, "9,370")
    write(desk, "33,00,000", "palladium")
    expect(row(desk, "palladium").get_by_label("I checked it")).to_be_visible()
    assert violations(desk) == {}
    assert width_of(desk) <= size["width"]


def test_an_age_is_never_by_the_clock_of_a_device_that_may_be_wrong(server: Server, page: Page) -> None:
    server.publish(silver="106")
    page.add_init_script("const now = Date.now; Date.now = () => now() - 86_400_000;")
    page.route_web_socket("**/ws/prices/", without_the_servers_time)
    log_in(page, server)
    page.goto(f"{server.http_url}{PAGE}")
    expect(row(page, "silver").locator('[data-part="shown"]')).to_contain_text("from gold-api.com, of ")


def test_since_when_screens_show_a_price_is_by_the_servers_clock(server: Server, page: Page) -> None:
    page.add_init_script("const now = Date.now; Date.now = () => now() - 3_600_000;")
    # As if the server had written the page before the price was on screens.
    page.add_init_script(
        """
        const forget = () => document.querySelectorAll("[data-since]").forEach((row) => delete row.dataset.since);
        new MutationObserver(forget).observe(document, { childList: true, subtree: true });
        """
    )
    page.route_web_socket("**/ws/prices/", without_the_servers_time)
    log_in(page, server)
    server.publish(silver="107")
    page.goto(f"{server.http_url}{PAGE}")
    expect(state_of(page)).to_have_text(ON_SCREENS)
    said = dt.time.fromisoformat((state_of(page).text_content() or "")[-8:])
    now = dt.datetime.now(ZoneInfo("Asia/Kolkata"))
    assert (now - dt.datetime.combine(now, said, now.tzinfo)).seconds < 60
