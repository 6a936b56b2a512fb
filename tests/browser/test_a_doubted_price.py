"""A customer who doubts a price: from the board to its receipt, and back to a moment that they remember."""

import datetime as dt
import re
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import Browser, Page, expect

from prices.publishing import ingest
from tests.support.axe import violations
from tests.support.pages import A_CARD_EACH
from tests.support.quotes import quote
from tests.support.server import Server
from tests.support.staff_page import DESKTOP, PHONE, log_in, width_of

MINUTE = dt.timedelta(minutes=1)


def publish(server: Server, metal: str, price: str, at: dt.datetime) -> int:
    """Publish a price as of a moment; returns its `seq`. Each test has a metal of its own, so that none is older."""
    publication = server.do(lambda: ingest.record([quote(metal, price, at=at)], now=at))
    return int(publication.seq)


@pytest.fixture
def two_minutes_ago() -> dt.datetime:
    """A moment whose seconds a form of hours, minutes and seconds has to keep."""
    return dt.datetime.now(dt.UTC).replace(second=5, microsecond=0) - 2 * MINUTE


@pytest.mark.parametrize(("screen", "metal"), [(DESKTOP, "gold"), (PHONE, "silver")], ids=["desktop", "phone"])
def test_a_customer_reads_why_a_price_was_on_the_board_and_what_was_there_before(
    server: Server, page: Page, screen: Any, metal: str, two_minutes_ago: dt.datetime, expected_errors: list[str]
) -> None:
    expected_errors.append("Applying inline style violates")  # axe tries out styles of its own
    page.set_viewport_size(screen)
    before = publish(server, metal, "13221.3901", two_minutes_ago)
    page.goto(server.http_url + A_CARD_EACH)
    card = page.locator(f'.card[data-metal="{metal}"]')
    expect(card.locator(".amount")).to_have_text("₹13,221.39")
    expect(card.locator(".why")).to_have_attribute("href", f"/why/{before}/#{metal}")
    now = publish(server, metal, "13250.5", two_minutes_ago + 1.5 * MINUTE)
    expect(card.locator(".amount")).to_have_text("₹13,250.50")
    expect(card.locator(".why")).to_have_attribute("href", f"/why/{now}/#{metal}")

    card.get_by_role("link", name=f"Why? {metal.capitalize()}").click()
    expect(page).to_have_url(f"{server.http_url}/why/{now}/#{metal}")
    receipt = page.get_by_role("region", name=metal.capitalize())
    expect(receipt.locator(".answer")).to_contain_text("gold-api.com quoted 13,250.50 INR per gram")
    expect(receipt.locator(".amount")).to_be_in_viewport()
    assert width_of(page) <= screen["width"]
    assert violations(page) == {}

    # A minute earlier it was less: what was it?
    page.get_by_role("combobox", name="Metal").select_option(metal)
    remembered = timezone.localtime(two_minutes_ago + MINUTE)
    page.get_by_label("Time in Asia/Kolkata").fill(f"{remembered:%Y-%m-%dT%H:%M:%S}")
    page.get_by_role("button", name="Show its price then").click()
    expect(page).to_have_url(re.compile(rf"/why/\?metal={metal}&at="))
    expect(receipt.locator(".amount")).to_have_text("13,221.3901")
    expect(receipt.locator(".answer")).to_contain_text(f"At {remembered:%H:%M:%S} it was still the newest, 60 s old.")
    page.get_by_role("link", name="The one after").click()
    expect(page).to_have_url(f"{server.http_url}/why/{now}/")


def test_without_javascript_a_receipt_is_read_and_another_moment_found(
    server: Server, browser: Browser, two_minutes_ago: dt.datetime
) -> None:
    seq = publish(server, "platinum", "13300", two_minutes_ago + 1.75 * MINUTE)
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(f"{server.http_url}/why/{seq}/")
        expect(page.get_by_role("region", name="Platinum").locator(".amount")).to_have_text("13,300")
        page.get_by_role("button", name="Show its price then").click()  # of the moment of this publication
        expect(page).to_have_url(re.compile(r"/why/\?metal=platinum&at="))
        expect(page.get_by_role("region", name="Platinum").locator(".amount")).to_have_text("13,300")


def test_staff_go_from_the_desk_to_the_receipt_of_what_screens_show(
    server: Server, page: Page, two_minutes_ago: dt.datetime
) -> None:
    log_in(page, server)
    page.goto(f"{server.http_url}/admin/")
    seq = publish(server, "palladium", "13311.5", two_minutes_ago + 1.9 * MINUTE)
    card = page.locator('.desk-card[data-metal="palladium"]')
    expect(card.locator('[data-part="price"]')).to_have_text("13,311.50")
    expect(card.get_by_role("link", name="Why?")).to_have_attribute("href", f"/why/{seq}/#palladium")
    card.get_by_role("link", name="Why?").click()
    expect(page).to_have_url(f"{server.http_url}/why/{seq}/#palladium")
    expect(page.get_by_role("region", name="Palladium").locator(".amount")).to_have_text("13,311.50")
