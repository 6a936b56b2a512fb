"""The admin on a phone, in a real browser, for decisions in a hurry."""

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from playwright.sync_api import Page, expect

from locks import lifecycle
from locks.lifecycle import Wanted
from locks.models import PriceLock
from locks.rules import Side
from prices.domain.quotes import Metal
from prices.models import HeldPrice
from prices.publishing import ingest
from prices.sources import registry
from tests.support.axe import violations
from tests.support.quotes import quote
from tests.support.server import Server
from tests.support.staff_page import PHONE, log_in, width_of


@pytest.fixture
def phone(server: Server, page: Page) -> Page:
    """A phone on which staff have logged in."""
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]  # a dict is one
    log_in(page, server)
    return page


@pytest.fixture
def quarantined(server: Server) -> None:
    """Gold at 14,520 waits, for 13,200 is shown."""
    server.publish(gold="13200")
    now = dt.datetime.now(dt.UTC)
    server.do(lambda: ingest.offer([quote(price="14520", at=now)], now=now))


def assert_each_row_is_a_card(phone: Page) -> None:
    """Expect each row as a card: no wider than the screen, and each cell with its column's label."""
    assert width_of(phone) <= PHONE["width"]
    labels = "(cells) => cells.map((cell) => getComputedStyle(cell, '::before').content.slice(1, -1))"
    shown = phone.locator("#result_list tbody tr:first-child :is(th, td):not(.action-checkbox)")
    columns = [text.strip() for text in phone.locator("#result_list thead .text").all_text_contents()]
    assert shown.evaluate_all(labels) == columns[1:]  # the first one is to choose all


def test_a_quarantined_price_is_decided_without_scrolling_sideways(
    server: Server, quarantined: Any, phone: Page
) -> None:
    phone.goto(f"{server.http_url}/admin/prices/heldprice/")
    assert_each_row_is_a_card(phone)
    shown = phone.locator("#result_list tbody :is(th, td):not(.action-checkbox)")
    expect(shown).to_contain_text(["Gold", "14,520.0000", "13,200.0000 from gold_api_com", "+10.00 %", "gold_api_com"])

    phone.get_by_role("checkbox", name="Select this object for an action").check()
    phone.get_by_label("Action:").select_option("approve")
    phone.get_by_role("button", name="Go").click()
    expect(phone.get_by_text("Approved: gold 14,520.0000 from gold_api_com.")).to_be_visible()
    assert server.do(lambda: HeldPrice.objects.get().decision) == HeldPrice.Decision.APPROVED


def test_the_sources_are_read_and_ordered_without_scrolling_sideways(server: Server, phone: Page) -> None:
    phone.goto(f"{server.http_url}/admin/prices/providerstate/")
    assert_each_row_is_a_card(phone)
    phone.locator("#id_form-0-enabled").uncheck()
    phone.get_by_role("button", name="Save").click()
    expect(phone.locator("#result_list .field-health").first).to_have_text("off")


def test_sessions_are_read_without_scrolling_sideways(server: Server, phone: Page) -> None:
    phone.goto(f"{server.http_url}/admin/accounts/signin/")
    assert_each_row_is_a_card(phone)


def test_who_holds_which_lock_is_read_and_released_without_scrolling_sideways(
    server: Server, phone: Page, expected_errors: list[str]
) -> None:
    expected_errors.append("Applying inline style violates")  # axe tries out styles of its own
    server.publish(gold="13200")
    server.do(hold_gold)
    phone.goto(f"{server.http_url}/admin/locks/pricelock/")
    assert_each_row_is_a_card(phone)
    assert violations(phone) == {}
    shown = phone.locator("#result_list tbody :is(th, td):not(.action-checkbox)")
    expect(shown).to_contain_text(
        ["sell gold, 22K · 916", "120,912.00 INR per 10gram", "8.25", "the shop in Zaveri Bazaar"]
    )

    phone.get_by_role("checkbox", name="Select this object for an action").check()
    phone.get_by_label("Action:").select_option("release")
    phone.get_by_role("button", name="Go").click()
    expect(phone.get_by_text("Released: sell gold at 120912.0000 INR/10gram.")).to_be_visible()
    assert server.do(lambda: PriceLock.objects.get().status) == PriceLock.Status.RELEASED
    phone.goto(f"{server.http_url}/admin/locks/locksettings/")
    expect(phone.get_by_label("A lock holds for, s:")).to_have_value("420")
    assert width_of(phone) <= PHONE["width"]
    assert violations(phone) == {}


def hold_gold() -> None:
    """Lock gold for a shop."""
    shop = User.objects.create_user("the shop in Zaveri Bazaar")
    wanted = Wanted(Metal.GOLD, "10gram", "916", Side.SELL, Decimal("8.25"), "order-4711")
    with transaction.atomic():
        lifecycle.grant(wanted, user=shop)


@pytest.mark.parametrize(
    ("address", "field"),
    [
        ("configuration/", "max_jump_percent"),
        ("fallbackprice/add/", "price"),
        ("premium/add/", "multiplier"),
        ("providerstate/gold_api_com/change/", "tolerance_percent"),
        ("sanityband/add/", "lowest"),
    ],
)
def test_a_comma_is_refused_and_does_not_make_ten_times_as_much(
    server: Server, phone: Page, address: str, field: str
) -> None:
    server.do(registry.in_order)
    phone.goto(f"{server.http_url}/admin/prices/{address}")
    phone.locator(f"#id_{field}").press_sequentially("0,5")
    phone.get_by_role("button", name="Save", exact=True).click()
    expect(phone.locator(f".field-{field} .errorlist")).to_contain_text("Enter a number without commas")
