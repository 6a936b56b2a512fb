"""Two people for large edits, in real browsers: one proposes on a desk, the other approves on a phone."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Browser, Page, expect

from prices.models import FallbackPrice
from tests.support.axe import violations
from tests.support.desk import proposed_edit
from tests.support.server import Server
from tests.support.staff_page import DESKTOP, PHONE, log_in, width_of


@pytest.fixture
def server(run_server: Callable[..., Server]) -> Server:
    """A web process where an edit beyond 2 % waits; it shows fallbacks."""
    return run_server(APPROVAL_ABOVE_PERCENT="2")


Pages = Callable[[str, dict[str, int]], Page]


@pytest.fixture
def pages(server: Server, browser: Browser) -> Pages:
    """Open a browser of this size, in which this superuser has logged in."""

    def opened(name: str, size: dict[str, int]) -> Page:
        page = browser.new_context(viewport=size).new_page()  # type: ignore[arg-type]  # a dict is one
        log_in(page, server, name)
        return page

    return opened


def test_one_proposes_and_another_approves_in_one_click(server: Server, pages: Pages) -> None:
    gold = server.do(lambda: FallbackPrice.objects.get(metal="gold").pk)
    desk, phone = pages("ravi", DESKTOP), pages("meera", PHONE)
    desk.goto(f"{server.http_url}/admin/prices/fallbackprice/{gold}/change/")
    desk.get_by_label("Price per gram").fill("9800")
    desk.get_by_label("I checked it").check()
    desk.get_by_role("button", name="Save", exact=True).click()
    expect(desk.get_by_text("Not saved yet: another person has to approve it.")).to_be_visible()
    expect(desk.get_by_role("button", name="Approve")).to_have_count(0)

    phone.goto(desk.url)
    expect(phone.get_by_text("price per gram 9,223.3162 → 9,800")).to_be_visible()
    assert width_of(phone) <= PHONE["width"]
    phone.get_by_role("button", name="Approve").click()
    expect(phone.get_by_text("Approved: fallback price of gold")).to_be_visible()
    assert server.do(lambda: FallbackPrice.objects.get(metal="gold").price) == 9800
    phone.goto(f"{server.http_url}/api/v1/prices/gold/")
    expect(phone.locator("body")).to_contain_text('"price":9800')


@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_the_page_of_an_edit_that_waits_is_accessible(server: Server, pages: Pages, size: dict[str, int]) -> None:
    number = server.do(lambda: proposed_edit(User.objects.get_or_create(username="john")[0], "9900").pk)
    page = pages("meera", size)
    for address in (f"/admin/prices/proposededit/{number}/change/", "/admin/"):
        page.goto(f"{server.http_url}{address}")
        expect(page.get_by_role("button", name="Approve").first).to_be_visible()
        assert violations(page) == {}
