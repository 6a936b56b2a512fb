"""Two people for large edits, in real browsers: one proposes on a desk, the other approves on a phone."""

from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client
from playwright.sync_api import Browser, Page, expect

from prices.models import FallbackPrice
from tests.support.axe import violations
from tests.support.desk import proposed_edit
from tests.support.server import Server

WIDTH = 390


@pytest.fixture
def server(run_server: Callable[..., Server]) -> Server:
    """A web process where an edit beyond 2 % waits; it shows fallbacks."""
    return run_server(APPROVAL_ABOVE_PERCENT="2")


@pytest.fixture
def pages(server: Server, browser: Browser) -> Callable[[str, int], Page]:
    """Open a browser of this width, in which this superuser has logged in."""

    def log_in(name: str) -> str:
        client = Client()
        client.force_login(User.objects.filter(username=name).first() or User.objects.create_superuser(name))
        return client.cookies[settings.SESSION_COOKIE_NAME].value

    def opened(name: str, width: int) -> Page:
        context = browser.new_context(viewport={"width": width, "height": 844})
        session: Any = server.do(lambda: log_in(name))
        context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": server.http_url}])
        return context.new_page()

    return opened


def test_one_proposes_and_another_approves_in_one_click(server: Server, pages: Callable[[str, int], Page]) -> None:
    gold = server.do(lambda: FallbackPrice.objects.get(metal="gold").pk)
    desk, phone = pages("ravi", 1280), pages("meera", WIDTH)
    desk.goto(f"{server.http_url}/admin/prices/fallbackprice/{gold}/change/")
    desk.get_by_label("Price per gram").fill("9800")
    desk.get_by_label("I checked it").check()
    desk.get_by_role("button", name="Save", exact=True).click()
    expect(desk.get_by_text("Not saved yet: another person has to approve it.")).to_be_visible()
    expect(desk.get_by_role("button", name="Approve")).to_have_count(0)

    phone.goto(desk.url)
    expect(phone.get_by_text("price per gram 9,223.3162 → 9,800")).to_be_visible()
    right_edges = "[...document.querySelectorAll('body *')].map((each) => each.getBoundingClientRect().right)"
    assert phone.evaluate(f"Math.max(...{right_edges})") <= WIDTH
    phone.get_by_role("button", name="Approve").click()
    expect(phone.get_by_text("Approved: fallback price of gold")).to_be_visible()
    assert server.do(lambda: FallbackPrice.objects.get(metal="gold").price) == 9800
    phone.goto(f"{server.http_url}/api/v1/prices/gold/")
    expect(phone.locator("body")).to_contain_text('"price":9800')


@pytest.mark.parametrize("width", [WIDTH, 1280])
def test_the_page_of_an_edit_that_waits_is_accessible(
    server: Server, pages: Callable[[str, int], Page], width: int
) -> None:
    number = server.do(lambda: proposed_edit(User.objects.get_or_create(username="john")[0]).pk)
    page = pages("meera", width)
    for address in (f"/admin/prices/proposededit/{number}/change/", "/admin/"):
        page.goto(f"{server.http_url}{address}")
        expect(page.get_by_role("button", name="Approve").first).to_be_visible()
        assert violations(page) == {}
