"""The undo of a change in a real browser, counted in clicks and pages, as by staff in a hurry."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from prices.models import FallbackPrice
from prices.staff.changes import one_change
from prices.staff.forms import FallbackPriceForm
from tests.support.axe import violations
from tests.support.server import Server
from tests.support.staff_page import DESKTOP, PHONE, Steps, log_in, width_of


@pytest.fixture(params=[PHONE, DESKTOP], ids=["phone", "desktop"])
def staff_page(server: Server, page: Page, expected_errors: list[str], request: pytest.FixtureRequest) -> Page:
    """A page of either size in which staff have logged in."""
    expected_errors.append("Applying inline style violates")  # axe tries out styles of its own
    page.set_viewport_size(request.param)
    log_in(page, server)
    return page


def correct(**prices: str) -> None:
    """Save fallback prices together, as asha."""
    asha = User.objects.get_or_create(username="asha", defaults={"first_name": "Asha", "last_name": "Rao"})[0]
    with one_change(by=asha, reason="the morning's prices, by telephone"):
        for metal, price in prices.items():
            row = FallbackPrice.objects.get(metal=metal)
            form = FallbackPriceForm.with_changes(row, {"price": price, "confirm": True})
            assert form.is_valid(), form.errors
            form.save()


def prices() -> dict[str, Any]:
    return {row.metal_id: row.price for row in FallbackPrice.objects.all()}


def test_a_change_of_two_prices_is_undone_by_two_clicks_on_one_page(server: Server, staff_page: Page) -> None:
    before = server.do(prices)
    server.do(lambda: correct(gold="9300", silver="104"))
    staff_page.goto(f"{server.http_url}/admin/changes/")
    newest = staff_page.locator(".changes > li").first
    expect(newest).to_contain_text("Asha Rao")
    expect(newest).to_contain_text("“the morning's prices, by telephone”")

    steps = Steps(staff_page)
    steps.click(newest.get_by_text("Undo …"))
    expect(newest.get_by_text("price per gram 9,300 → 9,223.3162")).to_be_visible()
    assert width_of(staff_page) <= staff_page.viewport_size["width"]  # type: ignore[index]  # it has a size
    assert violations(staff_page) == {}
    steps.click(newest.get_by_role("button", name="Undo", exact=True))
    expect(staff_page.get_by_text("Undone: Fallback price of gold in INR")).to_be_visible()

    assert (steps.clicks, steps.loads) == (2, 1)
    assert server.do(prices) == before
    expect(staff_page.locator(".changes > li").first).to_contain_text("Undo of the change by Asha Rao")


def test_an_undo_that_would_be_a_slip_is_confirmed_on_the_next_page(server: Server, staff_page: Page) -> None:
    before = server.do(prices)
    server.do(lambda: correct(platinum="4100"))
    server.publish(platinum="4100")
    staff_page.goto(f"{server.http_url}/admin/changes/")
    newest = staff_page.locator(".changes > li").first
    newest.get_by_text("Undo …").click()
    newest.get_by_role("button", name="Undo", exact=True).click()
    expect(staff_page.get_by_role("alert")).to_contain_text("tick “I checked it” and undo again")
    assert violations(staff_page) == {}
    staff_page.get_by_label("I checked it").check()
    staff_page.get_by_role("button", name="Undo", exact=True).click()
    expect(staff_page.get_by_text("Fallback price of platinum in INR is in reserve.")).to_be_visible()
    assert server.do(prices) == before
