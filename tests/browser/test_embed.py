"""The prices in a frame of other pages, of a server whose every message a test sends itself."""

import re
from collections.abc import Iterator

import pytest
from django.http import QueryDict
from playwright.sync_api import Page, expect

from pages import widgets
from prices.domain.quotes import Metal
from tests.support.pages.board import PUBLISHED_AT, current, published
from tests.support.pages.embed import embed_page
from tests.support.quotes import quote as python_quote
from tests.support.stub_stream import StubStream, price_update, quote, status

NOW = "2026-11-01T18:31:12.000Z"


@pytest.fixture
def stream() -> Iterator[StubStream]:
    shown = current([published(python_quote(metal, "100", at=PUBLISHED_AT)) for metal in Metal], seq=1)
    with StubStream({"/embed/": lambda: embed_page("gold,silver:999:kg", shown)}) as stream:
        yield stream


@pytest.fixture
def frame(page: Page, stream: StubStream) -> Page:
    page.clock.install(time=NOW)
    return page


def test_the_stream_goes_on_from_what_the_server_wrote(frame: Page, stream: StubStream) -> None:
    frame.goto(f"{stream.http_url}/embed/")
    marks, ages = frame.locator(".marks"), frame.locator("time")
    connection = stream.connection()
    assert connection.wait_for("subscribe")["metals"] == ["gold", "silver"]
    expect(marks).to_have_text(["Live", "Live"])
    expect(ages).to_have_text(["as of 2 Nov 2026, 12:00 am"] * 2)
    connection.send(price_update(2, gold=quote(101), silver=quote(102, stale=True), epoch="first"), status())
    expect(frame.locator(".amount")).to_have_text(["₹101.00", "₹1,02,000.00"])
    expect(marks).to_have_text(["Live", "Stale"])
    expect(frame.locator("#notices")).to_contain_text("Stale: Silver.")


def test_a_notice_has_room_in_the_frame_that_is_copied_and_is_seen_in_any(frame: Page, stream: StubStream) -> None:
    choices = widgets.read(QueryDict("rows=gold,silver:999:kg"), tuple(Metal))
    made = re.search(r'width="(\d+)" height="(\d+)"', widgets.codes(choices, "https://prices.example/").frame)
    assert made
    width, height = map(int, made.groups())
    frame.set_viewport_size({"width": width, "height": height})
    frame.goto(f"{stream.http_url}/embed/")
    connection = stream.connection()
    connection.wait_for("subscribe")
    stale = quote(101, stale=True)
    connection.send(price_update(2, gold=stale, silver=stale, epoch="first"), status())
    expect(frame.locator("#notices .notice")).to_have_count(1)
    expect(frame.locator("#notices")).to_be_in_viewport(ratio=1)
    notices, row = frame.locator("#notices").bounding_box(), frame.locator(".row").last.bounding_box()
    assert notices
    assert row
    assert row["y"] + row["height"] <= notices["y"]
    connection.send(status(market="closed"))
    expect(frame.locator("#notices .notice")).to_have_count(2)
    frame.set_viewport_size({"width": width, "height": 160})
    expect(frame.locator("#notices")).to_be_in_viewport(ratio=1)
