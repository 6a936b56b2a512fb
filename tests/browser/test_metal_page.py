"""A metal's page, as a reader sees it in a real browser."""

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from pages import metal_words
from prices.domain.candles import Candle, Interval
from prices.domain.quotes import Metal, Quote
from tests.support.pages.board import current, published
from tests.support.pages.metal import MIDNIGHT, Rest, candle, metal_page, wired
from tests.support.stub_stream import StubConnection, StubStream, price_update, quote, status

# What screens of INR write: of a price per gram.
BEFORE = [candle(Interval.FIVE_MINUTES, place, 13_000 + place) for place in range(-4, 0)]
DAYS = [candle(Interval.DAY, place, 13_000 + 100 * place) for place in range(-11, 1)]


def html() -> str:
    gold = Quote(metal=Metal.GOLD, price=Decimal(13_000), currency="INR", source="gold_api_com", quoted_at=MIDNIGHT)
    return metal_page(current([published(gold, previous_close="12900")], seq=5), BEFORE, DAYS[::-1][:11])


@pytest.fixture
def stream() -> Iterator[StubStream]:
    with StubStream({"/gold/": html}) as stream:
        yield stream


@pytest.fixture
def rest(page: Page) -> Rest:
    rest = Rest(page)
    rest.candles = {Interval.FIVE_MINUTES: wired(BEFORE, live=False), Interval.DAY: wired(DAYS)}
    return rest


def update(seq: int, price: float, *candles: Candle) -> dict[str, Any]:
    """An update with a price of gold, and these candles of five minutes."""
    of_gold = {"5m": wired(candles)} if candles else {}
    return price_update(seq, gold=quote(price), epoch="first") | {"candles": {"gold": of_gold}}


def open_page(page: Page, stream: StubStream, *greeting: dict[str, Any], address: str = "/gold/") -> StubConnection:
    """Open the page of a server that greets with these messages."""
    stream.greeting = list(greeting)
    page.goto(f"{stream.http_url}{address}")
    connection = stream.connection()
    connection.wait_for("subscribe")
    return connection


def figure(page: Page, name: str) -> Any:
    return page.locator(f'#figures [data-figure="{name}"]')


def test_the_chart_goes_on_where_its_history_ends(page: Page, stream: StubStream, rest: Rest):
    first = candle(Interval.FIVE_MINUTES, 0, 13_050, 6)
    rest.candles[Interval.FIVE_MINUTES] = wired([*BEFORE, first])
    connection = open_page(page, stream, update(6, 13_050, first), status())
    expect(page.locator("#chart canvas").first).to_be_visible()
    expect(figure(page, "last")).to_contain_text("13,050.00")
    expect(figure(page, "first")).to_contain_text("12,986.00")
    connection.send(update(7, 13_110, candle(Interval.FIVE_MINUTES, 0, 13_110, 7)))
    expect(figure(page, "last")).to_contain_text("13,110.00")
    expect(figure(page, "high")).to_contain_text("13,130.00")
    expect(page.locator("#legend")).to_contain_text("13,110.00")
    assert rest.fetched == ["5m", "1d"]


def test_a_stream_that_cannot_go_on_has_the_history_fetched_again(page: Page, stream: StubStream, rest: Rest):
    connection = open_page(page, stream, update(6, 13_050), status())
    expect(page.locator("#chart canvas").first).to_be_visible()
    missed = [candle(Interval.FIVE_MINUTES, 0, 14_000, 40), candle(Interval.FIVE_MINUTES, 1, 13_200, 50)]
    rest.candles[Interval.FIVE_MINUTES] = wired([*BEFORE, *missed])
    connection.send(update(50, 13_200, missed[1]) | {"snapshot": True})
    expect(figure(page, "high")).to_contain_text("14,020.00")
    assert rest.fetched.count("5m") == 2


def test_what_leaves_the_range_leaves_its_chart(page: Page, stream: StubStream, rest: Rest):
    """A page may be open for days: its figures are of the last one, and its chart is too."""
    a_day_ago = [candle(Interval.FIVE_MINUTES, place, 13_000 + place) for place in range(-288, -284)]
    rest.candles[Interval.FIVE_MINUTES] = wired([*a_day_ago, *BEFORE], live=False)
    connection = open_page(page, stream, update(6, 13_000), status())
    expect(page.locator("#chart canvas").first).to_be_visible()
    expect(figure(page, "first")).to_contain_text("12,702.00")
    connection.send(update(7, 13_100, candle(Interval.FIVE_MINUTES, 10, 13_100, 7)))
    expect(figure(page, "first")).to_contain_text("12,986.00")
    page.locator("#chart").hover(position={"x": 5, "y": 50})
    expect(page.locator("#legend")).to_contain_text("12,996.00")


def test_a_range_is_picked_without_leaving_the_page(page: Page, stream: StubStream, rest: Rest):
    open_page(page, stream, update(6, 13_050), status())
    expect(page.locator("#chart canvas").first).to_be_visible()
    page.get_by_role("link", name="1Y").click()
    expect(figure(page, "first")).to_contain_text("11,890.00")
    expect(figure(page, "high")).to_contain_text("2 Nov 2026")
    expect(page.get_by_role("link", name="1Y")).to_have_attribute("aria-current", "true")
    expect(page).to_have_url(f"{stream.http_url}/gold/?lang=en&range=1Y")
    assert "interval=1d" in (page.locator("#csv").get_attribute("href") or "")
    page.get_by_role("button", name="Candles").click()
    expect(page.locator("#legend")).to_contain_text("Highest 13,020.00")
    page.reload()
    expect(page.get_by_role("button", name="Candles")).to_have_attribute("aria-pressed", "true")


def test_the_csv_of_all_says_how_many_candles_it_has_where_it_has_not_all(
    page: Page, stream: StubStream, rest: Rest, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(metal_words, "MOST_PER_PAGE", 5)
    open_page(page, stream, update(6, 13_050), status())
    expect(page.locator("#chart canvas").first).to_be_visible()
    csv = page.locator("#csv")
    expect(csv).to_have_text("These candles as CSV")
    page.get_by_role("link", name="All", exact=True).click()
    expect(csv).to_have_text("The newest 5 candles as CSV")
    page.get_by_role("link", name="1D").click()
    expect(csv).to_have_text("These candles as CSV")


def test_a_measure_holds_for_all_of_the_page(page: Page, stream: StubStream, rest: Rest):
    connection = open_page(page, stream, update(6, 13_000), status())
    expect(page.locator("#measure button")).to_be_hidden()
    expect(figure(page, "last")).to_contain_text("12,999.00")
    page.locator("#measure").get_by_label("Weight").select_option("kg")
    page.locator("#measure").get_by_label("Purity").select_option("916")
    expect(page.locator("#now .amount")).to_have_text("₹1,19,08,000.00")
    expect(figure(page, "last")).to_contain_text("1,19,07,084.00")
    expect(figure(page, "change")).to_contain_text("+11,908.00")
    expect(page.locator("#legend")).to_contain_text("1,19,07,084.00")
    today = page.locator("#days tr").first
    expect(today).to_contain_text("1,19,08,000.00")
    expect(today).to_contain_text("+91,600.00")
    expect(page.locator(".days caption")).to_have_text("INR per kg · 22K · 916")
    expect(page).to_have_url(f"{stream.http_url}/gold/?lang=en&unit=kg&purity=916")
    assert "unit=kg" in (page.get_by_role("link", name="1W").get_attribute("href") or "")
    connection.send(update(7, 13_010))
    expect(page.locator("#now .amount")).to_have_text("₹1,19,17,160.00")
    cell = page.locator('#measures [data-unit="10gram"][data-purity="750"]')
    expect(cell).to_have_text("97,575.00")


def test_on_paper_a_price_has_its_weight_and_purity_and_nothing_that_can_be_pressed(
    page: Page, stream: StubStream, rest: Rest
):
    open_page(page, stream, update(6, 13_000), status())
    expect(page.locator("#chart canvas").first).to_be_visible()
    page.emulate_media(media="print")
    measure = page.locator("#measure")
    for label in ("Weight", "Purity"):
        expect(measure.get_by_label(label)).to_be_visible()
        expect(measure.get_by_label(label)).to_have_css("appearance", "none")
    expect(page.get_by_role("link", name="1D")).to_be_visible()
    expect(page.locator("#now [data-part=at]")).not_to_have_css("display", "none")
    for control in ("#measure button", "#styles", "#at", "#csv", "#ranges a:not([aria-current])"):
        expect(page.locator(control).first).to_be_hidden()


def test_a_price_in_all_measures_is_marked_as_the_cards_is(page: Page, stream: StubStream, rest: Rest):
    connection = open_page(page, stream, update(6, 13_000), status())
    marks, cell = page.locator("#marksinall"), page.locator("#measures td").first
    expect(marks).to_have_text("Live")
    firm = cell.evaluate("(cell) => getComputedStyle(cell).color")
    connection.send(status("down"))
    expect(marks).to_have_text("Last known")
    expect(cell).not_to_have_css("color", firm)
    connection.send(price_update(7, gold=quote(13_000, stale=True), epoch="first"), status())
    expect(marks).to_have_text("Stale")
    expect(cell).not_to_have_css("color", firm)


def test_on_a_phone_the_mark_of_all_measures_is_in_sight_however_far_they_are_scrolled(
    page: Page, stream: StubStream, rest: Rest
):
    page.set_viewport_size({"width": 390, "height": 844})
    open_page(page, stream, price_update(7, gold=quote(1, source="simulated", stale=True)), status())
    marks = page.locator("#marksinall")
    expect(marks).to_contain_text("Simulated · Stale")
    for far in (0, 10_000):
        page.locator("#nowinall .table").evaluate("(table, far) => table.scrollTo(far, 0)", far)
        box = marks.bounding_box()
        assert box
        assert 0 <= box["x"] <= 390 - box["width"]


def test_on_paper_all_measures_are_whole(page: Page, stream: StubStream, rest: Rest):
    page.set_viewport_size({"width": 718, "height": 1000})  # A4, within its margins
    open_page(page, stream, update(6, 13_000), status())
    page.emulate_media(media="print")
    table = page.locator("#nowinall .table")
    assert table.evaluate("(table) => table.scrollWidth <= table.clientWidth")


def test_a_new_day_comes_to_the_top_of_the_last_ten(page: Page, stream: StubStream, rest: Rest):
    connection = open_page(page, stream, update(6, 13_000), status())
    rows = page.locator("#days tr")
    expect(rows.first).to_contain_text("2 Nov 2026")
    expect(page.locator("#chart canvas").first).to_be_visible()
    tomorrow = candle(Interval.DAY, 1, 13_100, 7)
    day = {"candles": {"gold": {"1d": wired([tomorrow])}}}
    connection.send(price_update(7, gold=quote(13_100), epoch="first") | day)
    expect(rows.first).to_contain_text("3 Nov 2026")
    expect(rows.first).to_contain_text("+100.00")
    expect(rows).to_have_count(10)


def test_without_the_charts_library_the_servers_line_stays_and_ranges_are_links(
    page: Page, stream: StubStream, rest: Rest, expected_errors: list[str]
):
    expected_errors += [r"net::ERR_FAILED", r"Failed to fetch dynamically imported module"]
    with page.expect_event("requestfailed"):
        page.route("**/vendor/*.mjs", lambda route: route.abort())
        open_page(page, stream, update(6, 13_050), status())
    expect(page.locator("#chart svg")).to_be_visible()
    expect(page.locator("#now .amount")).to_have_text("₹13,050.00")
    with page.expect_event("requestfailed"):
        page.get_by_role("link", name="1W").click()
    stream.connection().wait_for("subscribe")
    expect(page).to_have_url(f"{stream.http_url}/gold/?unit=gram&purity=999&range=1W&lang=en")


def test_a_history_that_cannot_be_had_is_fetched_until_it_can(
    page: Page, stream: StubStream, rest: Rest, expected_errors: list[str]
):
    expected_errors.append(r"503")
    page.clock.install(time=MIDNIGHT + dt.timedelta(minutes=1))
    rest.fails = True
    open_page(page, stream, update(6, 13_050), status())
    expect(page.locator("#legend")).to_contain_text("The history cannot be read now.")
    expect(page.locator("#now .amount")).to_have_text("₹13,050.00")
    rest.fails = False
    page.clock.run_for(10_000)
    expect(page.locator("#chart canvas").first).to_be_visible()
    expect(page.locator("#legend")).to_contain_text("12,999.00")


@pytest.mark.parametrize(
    "forbid",
    [
        "Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('no', 'SecurityError') } })",
        "Object.defineProperty(document, 'cookie', { get() { throw new DOMException('no', 'SecurityError') } })",
    ],
    ids=["no storage", "no cookies"],
)
def test_where_nothing_can_be_remembered_a_choice_still_holds(page: Page, stream: StubStream, rest: Rest, forbid: str):
    page.add_init_script(forbid)
    open_page(page, stream, update(6, 13_050), status())
    expect(page.locator("#chart canvas").first).to_be_visible()
    candles = page.get_by_role("button", name="Candles")
    candles.click()
    expect(candles).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#legend")).to_contain_text("Highest 13,019.00")
    page.locator("#measure").get_by_label("Weight").select_option("10gram")
    expect(page.locator("#now .amount")).to_have_text("₹1,30,500.00")
    page.get_by_role("link", name="हिन्दी").click()
    stream.connection().wait_for("subscribe")
    assert "lang=hi" in page.url
