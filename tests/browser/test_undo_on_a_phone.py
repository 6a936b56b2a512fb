"""The undo of a change in a real browser, on a phone: counted in clicks and pages, as by staff in a hurry."""

from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client
from playwright.sync_api import Page, expect

from prices.models import FallbackPrice
from prices.staff.changes import one_change
from prices.staff.forms import FallbackPriceForm
from tests.support.server import Server

WIDTH = 390


@pytest.fixture
def phone(server: Server, page: Page) -> Page:
    """A phone on which staff have logged in."""

    def log_in() -> str:
        client = Client()
        boss = User.objects.filter(username="boss").first() or User.objects.create_superuser("boss")
        client.force_login(boss)
        return client.cookies[settings.SESSION_COOKIE_NAME].value

    page.set_viewport_size({"width": WIDTH, "height": 844})
    page.context.add_cookies(
        [{"name": settings.SESSION_COOKIE_NAME, "value": server.do(log_in), "url": server.http_url}]
    )
    return page


def correct(**prices: str) -> None:
    """Save fallback prices together, as asha."""
    asha = User.objects.get_or_create(username="asha", defaults={"first_name": "Asha", "last_name": "Rao"})[0]
    with one_change(by=asha, reason="the morning's prices, by telephone"):
        for metal, price in prices.items():
            form = FallbackPriceForm.with_changes(FallbackPrice.objects.get(metal=metal), {"price": price})
            assert form.is_valid(), form.errors
            form.save()


def prices() -> dict[str, Any]:
    return {row.metal_id: row.price for row in FallbackPrice.objects.filter(metal__in=["gold", "silver"])}


def test_a_change_of_two_prices_is_undone_by_two_clicks_on_one_page(server: Server, phone: Page) -> None:
    before = server.do(prices)
    server.do(lambda: correct(gold="9300", silver="104"))
    phone.goto(f"{server.http_url}/admin/changes/")
    newest = phone.locator(".changes > li").first
    expect(newest).to_contain_text("Asha Rao")
    expect(newest).to_contain_text("“the morning's prices, by telephone”")
    right_edges = "[...document.querySelectorAll('body *')].map((each) => each.getBoundingClientRect().right)"
    assert phone.evaluate(f"Math.max(...{right_edges})") <= WIDTH

    loads: list[str] = []
    phone.on("framenavigated", lambda frame: loads.append(frame.url))
    newest.get_by_text("Undo …").click()
    expect(newest.get_by_text("price per gram 9,300 → 9,223.3162")).to_be_visible()
    newest.get_by_role("button", name="Undo", exact=True).click()
    expect(phone.get_by_text("Fallback price of gold in INR is on screens now.")).to_be_visible()

    assert loads == [f"{server.http_url}/admin/changes/"]
    assert server.do(prices) == before
    expect(phone.locator(".changes > li").first).to_contain_text("Undo of the change by Asha Rao")


def test_an_undo_that_would_be_a_slip_is_confirmed_on_the_next_page(server: Server, phone: Page) -> None:
    before = server.do(prices)
    server.do(lambda: correct(gold="9250"))
    server.publish(gold="9800")
    phone.goto(f"{server.http_url}/admin/changes/")
    newest = phone.locator(".changes > li").first
    newest.get_by_text("Undo …").click()
    newest.get_by_role("button", name="Undo", exact=True).click()
    expect(phone.get_by_role("alert")).to_contain_text("tick “I checked it” and undo again")
    phone.get_by_label("I checked it").check()
    phone.get_by_role("button", name="Undo", exact=True).click()
    expect(phone.get_by_text("Fallback price of gold in INR is in reserve.")).to_be_visible()
    assert server.do(prices) == before
