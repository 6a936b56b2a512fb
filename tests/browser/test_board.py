"""The board, as a reader sees it in a real browser."""

import datetime as dt
import json
import re
from collections.abc import Iterator
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from urllib.parse import parse_qs, unquote

import pytest
from django.conf import settings
from django.utils import translation
from playwright.sync_api import Locator, Page, expect

from pages.memory import Move, Sparkline
from pages.rows import default_sheet, written
from prices.domain.fineness import WEIGHTS_OF, purity_label
from prices.domain.quotes import Change, Metal
from prices.domain.units import UNITS, converted
from tests.support.bad_proxy import bad_proxy
from tests.support.measures import FINENESSES
from tests.support.pages import SERVER_GONE
from tests.support.pages.board import PUBLISHED_AT, board_page, current, published
from tests.support.quotes import quote as gold_quote
from tests.support.stub_market import Market
from tests.support.stub_stream import StubConnection, StubStream, move, price_update, quote, status, subscribed

NOW = "2026-11-01T18:31:12.000Z"  # a minute into 2 November in India
METALS = tuple(Metal)
# Milliseconds after which the page of now is fetched, where Math.random is a half. The clock has to stand still then:
# going on, it would end the fetch.
RENEWAL = 15_000


def new_page(*metals: Metal) -> str:
    """The page of a server that lists these metals, and has no prices of them yet."""
    return board_page(",".join(metals), current(listed=metals))


@pytest.fixture
def stream() -> Iterator[StubStream]:
    with StubStream({"/": lambda: new_page(*METALS)}) as stream:
        yield stream


@pytest.fixture
def board(stream: StubStream, page: Page) -> Page:
    """A page with a clock that the test moves; the test opens it."""
    page.clock.install(time=NOW)
    return page


def open_board(board: Page, stream: StubStream, *greeting: dict[str, Any]) -> StubConnection:
    """Open the board of a server that greets with these messages, and wait until it is connected."""
    stream.greeting = list(greeting)
    board.goto(stream.http_url)
    connection = stream.connection()
    connection.wait_for("subscribe")
    connection.send({"type": "pong", "timestamp": NOW})
    expect(board.locator("#connection")).to_contain_text("Connected")
    board.clock.pause_at("2026-11-01T18:31:42.000Z")
    return connection


def card(board: Page, metal: str = "gold") -> Locator:
    return board.locator(f'.card[data-metal="{metal}"]')


def let_it_retry(board: Page) -> None:
    """Move the clock to the retry that the board announces, and no further: the network takes real time."""
    announced = board.locator("#connection", has_text="Reconnecting in").inner_text()
    found = re.search(r"in (\d+) s", announced)
    assert found, announced
    board.clock.run_for(int(found[1]) * 1000)


def prices(seq: int = 1, **fields: Any) -> dict[str, Any]:
    """An update with all four metals, each with these fields."""
    return price_update(seq, **{metal: quote(100 * (n + 1), **fields) for n, metal in enumerate(METALS)})


# --- a price -------------------------------------------------------------------------------------------------------


def test_a_card_says_all_there_is_to_know_of_a_price(board: Page, stream: StubStream):
    gold = quote(13221.39, high=13274.1, low=13116, open=13178.4, previousClose=13201.18)
    open_board(board, stream, price_update(1, gold=gold), status())
    shown = card(board)
    for text in ("Gold", "24K · 999", "per g", "₹13,221.39", "Live", "▲", "+20.21", "+0.15%", "from gold-api.com"):
        expect(shown).to_contain_text(text)
    figures = [term.split("\n") for term in shown.locator("dl div:visible").all_inner_texts()]
    assert figures == [
        ["Low", "13,116.00"],
        ["High", "13,274.10"],
        ["Open", "13,178.40"],
        ["Prev. close", "13,201.18"],
    ]


def test_a_card_says_how_many_sources_agree_and_how_closely(board: Page, stream: StubStream):
    gold = quote(13221.39, source="consensus", contributors=3, dispersionPercent=0.05)
    open_board(board, stream, price_update(1, gold=gold), status())
    expect(card(board).locator("footer")).to_contain_text("3 sources, ±0.05%")


def test_a_mark_shows_where_in_the_days_range_the_price_is(board: Page, stream: StubStream):
    connection = open_board(board, stream, price_update(1, gold=quote(130, low=100, high=140)))
    expect(card(board).locator("[data-part=at]")).to_have_attribute("d", "M75 0v8")
    connection.send(price_update(2, gold=quote(100, low=100, high=140)))
    expect(card(board).locator("[data-part=at]")).to_have_attribute("d", "M0 0v8")
    connection.send(price_update(3, gold=quote(100, low=100, high=100)))
    expect(card(board).locator("[data-part=range]")).to_have_attribute("hidden", "")


def test_the_name_of_a_source_is_text_whatever_it_holds(board: Page, stream: StubStream):
    open_board(board, stream, price_update(1, gold=quote(100, source="<img src=x onerror=alert(1)>")))
    expect(card(board).locator("footer")).to_contain_text("from <img src=x onerror=alert(1)>")


@pytest.mark.parametrize(
    ("change", "percent", "direction", "arrow", "texts"),
    [
        (20.21, 0.15, "up", "▲", ["+20.21", "+0.15%"]),
        (-20.21, -0.15, "down", "▼", ["-20.21", "-0.15%"]),
        (0, 0, "none", "", ["0.00", "0.00%"]),
    ],
)
def test_a_change_has_a_sign_and_an_arrow_beside_its_colour(
    board: Page, stream: StubStream, change: float, percent: float, direction: str, arrow: str, texts: list[str]
):
    open_board(board, stream, price_update(1, gold=quote(100, change=change, changePercent=percent)))
    row = card(board).locator(".change")
    expect(row).to_have_attribute("data-direction", direction)
    expect(row.locator(".arrow")).to_have_text(arrow)
    for text in texts:
        expect(row).to_contain_text(text)


def test_a_price_leads_to_its_receipt_as_of_the_newest_update_and_none_to_nothing(board: Page, stream: StubStream):
    connection = open_board(board, stream, price_update(18230, gold=quote(100)))
    why = card(board).get_by_role("link", name="Why? Gold 24K · 999")
    expect(why).to_have_attribute("href", "/why/18230/#gold")
    connection.send(price_update(18231, gold=quote(101)))
    expect(why).to_have_attribute("href", "/why/18231/#gold")
    expect(card(board, "silver").locator(".why")).to_be_hidden()


def test_without_a_previous_close_there_is_a_dash_and_no_change(board: Page, stream: StubStream):
    open_board(board, stream, price_update(1, gold=quote(100, change=0, changePercent=0, previousClose=None)))
    expect(card(board).locator(".change")).to_contain_text("—")
    expect(card(board).locator(".change")).to_contain_text("no previous close yet")
    expect(card(board).locator("dl div", has_text="Prev. close")).to_contain_text("—")


def test_small_prices_and_other_currencies_keep_their_decimals(board: Page, stream: StubStream):
    open_board(board, stream, price_update(1, silver=quote(1.6543, change=-0.0021), currency="USD"))
    expect(card(board, "silver")).to_contain_text("$1.6543")
    expect(card(board, "silver")).to_contain_text("-0.0021")


def test_an_update_changes_the_price_and_glows(board: Page, stream: StubStream):
    connection = open_board(board, stream, price_update(1, gold=quote(100)))
    connection.send(price_update(2, gold=quote(99)))
    expect(card(board)).to_contain_text("₹99.00")
    expect(card(board)).to_have_attribute("data-flash", "down")


def test_reduced_motion_is_respected(board: Page, stream: StubStream):
    board.emulate_media(reduced_motion="reduce")
    connection = open_board(board, stream, price_update(1, gold=quote(100)))
    connection.send(price_update(2, gold=quote(101)))
    expect(card(board)).to_contain_text("₹101.00")
    assert board.evaluate("document.getAnimations().length") == 0


def test_a_metal_without_a_price_waits_for_one(board: Page, stream: StubStream):
    open_board(board, stream, price_update(1, gold=quote(100)))
    expect(card(board, "silver")).to_contain_text("Waiting for a price")
    expect(card(board, "silver")).not_to_contain_text("Live")


@pytest.mark.parametrize(
    ("seconds", "age"),
    [(0, "just now"), (12, "12 s ago"), (60, "1 min ago"), (3 * 3600, "3 h ago"), (86400, "of 1 Nov 2026")],
)
def test_the_age_of_a_price_counts_from_its_quote(board: Page, stream: StubStream, seconds: int, age: str):
    connection = open_board(board, stream)
    quoted_at = dt.datetime(2026, 11, 1, 18, 31, 42, tzinfo=dt.UTC) - dt.timedelta(seconds=seconds)
    connection.send({"type": "pong", "timestamp": "2026-11-01T18:31:42.000Z"})
    connection.send(price_update(1, gold=quote(100, timestamp=quoted_at.isoformat())))
    expect(card(board)).to_contain_text(age)


def test_the_age_goes_on_by_the_second_and_by_the_servers_clock(board: Page, stream: StubStream):
    connection = open_board(board, stream)
    # This reader's clock is ten minutes slow.
    connection.send({"type": "pong", "timestamp": "2026-11-01T18:41:42.000Z"})
    connection.send(price_update(1, gold=quote(100, timestamp="2026-11-01T18:41:30.000Z")))
    expect(card(board)).to_contain_text("12 s ago")
    board.clock.run_for(5000)
    expect(card(board)).to_contain_text("17 s ago")


# --- the page as the server wrote it -------------------------------------------------------------------------------


@pytest.fixture
def priced(stream: StubStream) -> StubStream:
    """A server whose page has the price of publication 7 and a move."""
    change = Change(metal=Metal.GOLD, old_price=Decimal(90), new_price=Decimal(100), change_percent=Decimal("11.11"))
    gold = published(gold_quote(price="100", at=PUBLISHED_AT), previous_close="90")
    shown = current([gold], seq=7, moves=[Move(change, PUBLISHED_AT)])
    stream.pages["/"] = lambda: board_page("gold", shown)
    return stream


def test_a_move_that_was_missed_is_listed_above_those_that_the_server_wrote(board: Page, priced: StubStream):
    board.goto(priced.http_url)
    connection = priced.connection()
    connection.wait_for("subscribe")
    expect(board.locator("#moves li")).to_have_count(1)
    connection.send(
        subscribed("gold", id="resume"),
        price_update(9, gold=quote(102, change=12), epoch="first", changes=[move("gold", 100, 101)]),
    )
    expect(card(board).locator(".amount")).to_have_text("₹102.00")
    expect(board.locator("#moves li")).to_have_count(2)
    expect(board.locator("#moves li").first).to_contain_text("100.00 → 101.00")


def test_a_price_that_cannot_be_shown_takes_live_off_the_one_that_stands_there_and_off_no_other(
    board: Page, stream: StubStream, expected_errors: list[str]
):
    expected_errors.append("is not a price")
    connection = open_board(board, stream, prices(), status())
    nonsense = quote(111, high="1e3", timestamp=NOW)
    connection.send(price_update(2, gold=nonsense, silver=quote(222), platinum=quote(333)))
    expect(card(board, "silver").locator(".amount")).to_have_text("₹222.00")
    expect(card(board, "silver").locator(".marks")).to_have_text("Live")
    expect(card(board).locator(".amount")).to_have_text("₹100.00")
    expect(card(board).locator(".marks")).to_have_text("Last known")
    expect(card(board).locator("time")).to_have_text("1 min ago")


def test_a_device_that_slept_takes_what_it_missed_from_the_page_of_now(board: Page, priced: StubStream):
    board.add_init_script("Math.random = () => 0.5")
    board.goto(priced.http_url)
    connection = priced.connection()
    connection.wait_for("subscribe")
    expect(board.locator("#moves li")).to_have_count(1)
    priced.pages["/"] = lambda: board_page("gold", current([published(gold_quote(price="120"))], seq=99))
    connection.send(
        subscribed("gold", id="resume"),
        price_update(99, gold=quote(120), epoch="first", snapshot=True, timestamp="2026-11-01T19:31:00.000Z"),
    )
    expect(card(board).locator(".amount")).to_have_text("₹120.00")
    board.clock.run_for(RENEWAL)
    expect(board.locator("#moves li")).to_have_count(0)
    expect(board.locator("#nomoves")).to_be_visible()


def test_a_page_that_stays_open_names_the_threshold_of_moves_as_staff_have_set_it(
    board: Page, priced: StubStream, expected_errors: list[str]
):
    expected_errors += [SERVER_GONE, "404"]
    board.goto(priced.http_url)
    priced.connection().wait_for("subscribe")
    title = board.locator("#moves-title")
    expect(title).to_have_text("Moves of 1% and more")
    priced.pages["/"] = lambda: board_page("gold", current(threshold_percent="2.5"))
    board.clock.fast_forward("01:00:00")
    expect(title).to_have_text("Moves of 2.5% and more")


def test_a_page_of_now_that_knows_less_takes_nothing_away(board: Page, priced: StubStream):
    board.add_init_script("Math.random = () => 0.5")
    board.goto(priced.http_url)
    connection = priced.connection()
    connection.wait_for("subscribe")
    # The server read its moves before the newest one; of the one before, it has the very time.
    late = dt.datetime(2026, 11, 1, 19, 30, 58, tzinfo=dt.UTC)
    change = Change(metal=Metal.GOLD, old_price=Decimal(100), new_price=Decimal(110), change_percent=Decimal(10))
    shown = current([published(gold_quote(price="120"))], seq=99, moves=[Move(change, late)])
    priced.pages["/"] = lambda: board_page("gold", shown)
    connection.send(
        subscribed("gold", id="resume"),
        price_update(99, gold=quote(120), epoch="first", timestamp="2026-11-01T19:31:00.000Z")
        | {"changes": [move("gold", 100, 110), move("gold", 110, 120)]},
    )
    expect(board.locator("#moves li")).to_have_count(3)
    with board.expect_response(lambda response: response.request.resource_type == "fetch"):
        board.clock.run_for(RENEWAL)
    moves = board.locator("#moves .move-prices")
    expect(moves).to_have_text(["110.00 → 120.00", "100.00 → 110.00"])


def test_a_price_that_staff_set_is_no_part_of_the_markets_sparkline(board: Page, stream: StubStream):
    quarter = int(PUBLISHED_AT.timestamp() * 1000) // 900_000 * 900_000
    sparkline = Sparkline((quarter - 900_000, quarter), (Decimal(100), Decimal(110)))
    stream.pages["/"] = lambda: board_page("gold", current(listed=[Metal.GOLD], sparklines={Metal.GOLD: sparkline}))
    path = card(board).locator(".sparkline path")
    connection = open_board(board, stream, price_update(1, gold=quote(500, source="fallback")))
    expect(card(board)).to_contain_text("₹500.00")
    expect(path).to_have_attribute("d", "M0 32L96 0")
    connection.send(price_update(2, gold=quote(105)))
    expect(path).to_have_attribute("d", "M0 32L48 0L96 0")


def test_a_move_has_its_weekday_only_while_that_is_known_to_be_within_six_days(
    board: Page, priced: StubStream, expected_errors: list[str]
):
    expected_errors += [SERVER_GONE, "404"]
    board.goto(priced.http_url)
    connection = priced.connection()
    connection.wait_for("subscribe")
    connection.send(
        subscribed("gold", id="resume"),
        price_update(9, gold=quote(102), epoch="first", changes=[move("gold", 100, 102)]),
    )
    expect(board.locator("#moves li")).to_have_count(2)
    time = board.locator("#moves time").first
    expect(time).to_have_text("2 Nov 2026, 12:00 am")
    connection.send({"type": "pong", "timestamp": NOW})
    expect(time).to_have_text("Mon, 12:00 am")
    board.clock.fast_forward(7 * 86_400_000)
    expect(time).to_have_text("2 Nov 2026, 12:00 am")


def test_a_page_that_wakes_up_without_a_network_says_no_age_that_leaves_out_its_sleep(
    board: Page, stream: StubStream, expected_errors: list[str]
):
    expected_errors += [SERVER_GONE, "404"]
    open_board(board, stream, price_update(1, gold=quote(100)), status())
    expect(card(board)).to_contain_text("1 min ago")
    stream.stop()
    expect(card(board)).to_contain_text("Last known")
    # Its steady clock stood still for eight hours.
    board.clock.set_system_time("2026-11-02T02:31:42.000Z")
    board.clock.run_for(1_000)
    expect(card(board)).to_contain_text("as of 2 Nov 2026, 12:00 am")


def test_a_price_that_comes_again_with_another_metals_or_is_stale_is_no_news_of_the_market(
    board: Page, stream: StubStream
):
    quarter = int(PUBLISHED_AT.timestamp() * 1000) // 900_000 * 900_000
    sparkline = Sparkline((quarter - 900_000, quarter), (Decimal(100), Decimal(110)))
    stream.pages["/"] = lambda: board_page("gold", current(listed=[Metal.GOLD], sparklines={Metal.GOLD: sparkline}))
    path = card(board).locator(".sparkline path")
    connection = open_board(board, stream, price_update(1, gold=quote(110)))
    expect(path).to_have_attribute("d", "M0 32L48 0L96 0")
    connection.send(price_update(2, gold=quote(110, high=999), timestamp="2026-11-01T18:46:00.000Z"))
    expect(card(board)).to_contain_text("999.00")
    expect(path).to_have_attribute("d", "M0 32L48 0L96 0")
    stale = quote(110, timestamp="2026-11-01T18:40:00.000Z", stale=True)
    connection.send(price_update(3, gold=stale, timestamp="2026-11-01T19:01:00.000Z"))
    expect(card(board)).to_contain_text("Stale")
    expect(path).to_have_attribute("d", "M0 32L48 0L96 0")
    fresh = quote(110, timestamp="2026-11-01T19:02:00.000Z")
    connection.send(price_update(4, gold=fresh, timestamp="2026-11-01T19:02:00.000Z"))
    expect(path).to_have_attribute("d", "M0 32L32 0L64 0L96 0")


def test_all_metals_are_those_that_are_listed_by_now(board: Page, stream: StubStream):
    stream.pages["/"] = lambda: new_page(Metal.GOLD, Metal.SILVER)
    metals = {"gold": "stale", "silver": "stale"}
    update = price_update(1, gold=quote(100, stale=True), silver=quote(100, stale=True))
    connection = open_board(board, stream, update, status(metals=metals))
    expect(board.get_by_role("status")).to_contain_text("Stale: all metals.")
    connection.send(status(metals=metals | {"platinum": "live"}))
    expect(board.get_by_role("status")).to_contain_text("Stale: Gold and Silver.")


def test_an_old_tab_is_loaded_anew_once_its_server_is_another_version(
    board: Page, priced: StubStream, expected_errors: list[str]
):
    expected_errors.append("502")

    def served(release: str) -> None:
        page = board_page("gold", current(seq=7)).replace('data-release=""', f'data-release="{release}"')
        priced.pages |= {"/": lambda: page, "/client/v1/release.json": lambda: json.dumps({"release": release})}

    served("old")
    board.goto(priced.http_url)
    connection = priced.connection()
    connection.wait_for("subscribe")
    expect(board.locator("#connection")).to_contain_text("Connected")
    served("new")
    address = f"{priced.http_url}/*"
    board.route(address, lambda route: route.fulfill(status=502, body="Bad Gateway"))
    connection.close(1011)
    with board.expect_response(lambda response: response.status == 502):
        let_it_retry(board)
    # Its server has no page yet: what it shows is worth more than a proxy's error.
    connection = priced.connection()
    connection.wait_for("subscribe")
    expect(board.locator("#connection")).to_contain_text("Connected")
    board.unroute(address)
    connection.close(1011)
    let_it_retry(board)
    expect(board.locator("html")).to_have_attribute("data-release", "new")


def test_a_sheet_is_printed_with_its_date_and_without_what_cannot_be_pressed(board: Page, priced: StubStream):
    board.goto(priced.http_url)
    board.emulate_media(media="print")
    expect(board.locator("#asof")).to_have_text("2 Nov 2026, 12:00:01 am")
    expect(card(board).locator(".amount")).to_be_visible()
    for control in ("#edit", "#connection", "#languages"):
        expect(board.locator(control)).to_be_hidden()


# --- what must be known before it is used --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "mark", "headline"),
    [
        ({"source": "fallback", "stale": True}, "Fallback", "Fallback: all metals."),
        ({"source": "fallback", "stale": True, "example": True}, "Example", "Example: all metals."),
        ({"source": "simulated"}, "Simulated", "Simulated: all metals."),
        ({"stale": True}, "Stale", "Stale: all metals."),
    ],
)
def test_a_price_that_is_not_live_says_so_on_its_card_and_in_a_banner(
    board: Page, stream: StubStream, fields: dict[str, Any], mark: str, headline: str
):
    open_board(board, stream, prices(**fields))
    for metal in METALS:
        expect(card(board, metal).locator(".marks")).to_have_text(mark)
    expect(board.get_by_role("status")).to_contain_text(headline)
    expect(board.get_by_role("status")).to_contain_text("do not price sales by")


def test_a_banner_names_the_metals_that_it_is_about(board: Page, stream: StubStream):
    update = price_update(1, gold=quote(1, stale=True), silver=quote(2, stale=True), platinum=quote(3))
    open_board(board, stream, update, status())
    expect(board.get_by_role("status")).to_contain_text("Stale: Gold and Silver.")
    expect(card(board, "platinum").locator(".marks")).to_have_text("Live")


def test_a_banner_goes_when_the_prices_are_live_again(board: Page, stream: StubStream):
    connection = open_board(board, stream, prices(stale=True), status())
    expect(board.get_by_role("status")).to_contain_text("Stale")
    connection.send(prices(2))
    expect(board.get_by_role("status")).to_be_empty()


def test_a_closed_market_and_no_prices_at_all_are_said(board: Page, stream: StubStream):
    open_board(board, stream, status("down", market="closed"))
    expect(board.get_by_role("status")).to_contain_text("No prices.")
    expect(board.get_by_role("status")).to_contain_text("Market closed.")
    expect(board.locator("#market")).to_contain_text("Market closed")


def test_simulated_prices_are_not_said_to_stand_while_the_real_market_is_closed(board: Page, stream: StubStream):
    open_board(board, stream, prices(source="simulated"), status("simulated", market="closed"))
    expect(board.locator("#market")).to_contain_text("Market closed")
    expect(board.get_by_role("status")).to_contain_text("Simulated")
    expect(board.get_by_role("status")).not_to_contain_text("Market closed")


# --- the market ----------------------------------------------------------------------------------------------------


def test_the_market_says_when_it_changes_in_the_servers_time_zone(board: Page, stream: StubStream):
    # A minute into Monday in India. New York closes on Monday at 17:00, which is 22:00 UTC.
    connection = open_board(board, stream, prices(), status(nextChange="2026-11-02T22:00:00.000Z"))
    expect(board.locator("#market")).to_have_text("Market open · closes Tue, 3:30 am")
    connection.send(status(market="closed", nextChange="2026-11-02T23:00:00.000Z"))
    expect(board.locator("#market")).to_have_text("Market closed · opens Tue, 4:30 am")
    connection.send(status(nextChange="2026-11-03T22:00:00.000Z"))
    expect(board.locator("#market")).to_have_text("Market open · closes Wed, 3:30 am")


def test_why_prices_stand_still_is_said_while_the_market_is_closed(board: Page, stream: StubStream):
    closed = status(market="closed", nextChange="2026-11-02T23:00:00.000Z")
    connection = open_board(board, stream, prices(), closed)
    notice = board.get_by_role("status").locator(".notice")
    expect(notice).to_have_text("Market closed. Nothing is traded, so prices stand still until Tue, 4:30 am.")
    expect(notice).to_have_attribute("data-tone", "plain")
    connection.send(status(nextChange="2026-11-03T22:00:00.000Z"))
    expect(board.get_by_role("status")).to_be_empty()


def test_a_price_is_not_called_live_before_the_status_says_so(board: Page, stream: StubStream):
    connection = open_board(board, stream, prices())
    expect(card(board).locator(".amount")).to_contain_text("100")
    expect(card(board).locator(".marks")).to_be_empty()
    expect(card(board)).to_have_attribute("data-trust", "none")
    connection.send(status(market="closed"))
    expect(card(board).locator(".marks")).to_have_text("Last close")


def test_a_price_that_the_server_does_not_have_any_more_is_not_called_live(board: Page, stream: StubStream):
    connection = open_board(board, stream, prices(), status())
    expect(card(board).locator(".marks")).to_have_text("Live")
    connection.send(status("down"))
    expect(card(board).locator(".marks")).to_have_text("Last known")
    expect(board.get_by_role("status")).to_contain_text("No prices.")


@pytest.mark.parametrize("market", ["closed", "open"], ids=["while it is closed", "until somebody quotes"])
def test_a_price_of_the_close_is_not_called_live_and_says_of_when_it_is(board: Page, stream: StubStream, market: str):
    friday = "2026-10-30T20:59:00.000Z"  # on Saturday in India
    feeds = dict.fromkeys(METALS, "stale")
    connection = open_board(board, stream, prices(timestamp=friday), status("stale", market, metals=feeds))
    expect(card(board).locator(".marks")).to_have_text("Last close")
    expect(card(board)).to_contain_text("as of Sat, 2:29 am")
    connection.send(prices(2), status(metals=dict.fromkeys(METALS, "live")))
    expect(card(board).locator(".marks")).to_have_text("Live")
    expect(card(board)).not_to_contain_text("as of")


def test_serious_marks_are_shown_while_the_market_is_closed_too(board: Page, stream: StubStream):
    closed = status("fallback", "closed", metals={"gold": "stale", "silver": "fallback"})
    open_board(board, stream, price_update(1, gold=quote(1, stale=True), silver=quote(2, source="fallback")), closed)
    expect(card(board).locator(".marks")).to_have_text("Stale")
    expect(card(board, "silver").locator(".marks")).to_have_text("Fallback")


def test_the_close_of_a_week_ago_has_its_date(board: Page, stream: StubStream):
    open_board(board, stream, prices(timestamp="2026-10-23T20:59:00.000Z"), status(market="closed"))
    expect(card(board)).to_contain_text("as of 24 Oct 2026, 2:29 am")


def test_a_change_a_week_away_has_its_date(board: Page, stream: StubStream):
    open_board(board, stream, status(market="closed", nextChange="2026-11-08T23:00:00.000Z"))
    expect(board.locator("#market")).to_have_text("Market closed · opens 9 Nov 2026, 4:30 am")


def test_a_server_that_does_not_say_when_is_understood_too(board: Page, stream: StubStream):
    open_board(board, stream, prices(), status(market="closed"))
    expect(board.locator("#market")).to_have_text("Market closed")
    expect(board.get_by_role("status")).to_contain_text("prices stand still until trading resumes.")


def test_nothing_is_said_of_the_market_without_a_connection(
    board: Page, stream: StubStream, expected_errors: list[str]
):
    expected_errors.append(SERVER_GONE)
    open_board(board, stream, prices(), status(nextChange="2026-11-02T22:00:00.000Z"))
    expect(board.locator("#market")).to_contain_text("closes")
    stream.stop()
    expect(board.locator("#connection")).to_contain_text("Reconnecting in")
    expect(board.locator("#market")).to_be_empty()


# --- the connection ------------------------------------------------------------------------------------------------


def test_a_lost_connection_takes_live_off_the_prices_at_once(board: Page, stream: StubStream):
    connection = open_board(board, stream, prices(), status())
    expect(card(board).locator(".marks")).to_have_text("Live")
    connection.close(1011)
    expect(board.locator("#connection")).to_contain_text("Reconnecting in")
    expect(card(board).locator(".marks")).to_have_text("Last known")
    expect(board.get_by_role("status")).to_be_empty()


def test_a_long_interruption_is_a_banner_with_the_time_of_the_last_prices(
    board: Page, stream: StubStream, expected_errors: list[str]
):
    expected_errors.append(SERVER_GONE)
    open_board(board, stream, prices(), status())
    stream.stop()
    expect(board.locator("#connection")).to_contain_text("Reconnecting in")
    board.clock.run_for(6000)
    expect(board.get_by_role("status")).to_contain_text("last prices, from 2 Nov 2026, 12:00:01 am")
    # A server that comes back during a retry, after WebSocket's turn, is asked for events that this one does not have.
    expect(board.locator("#connection")).to_contain_text("Reconnecting in")
    stream.start()
    let_it_retry(board)
    expect(board.locator("#connection")).to_contain_text("Connected")
    expect(board.get_by_role("status")).to_be_empty()
    expect(card(board).locator(".marks")).to_have_text("Live")


def test_a_readers_clock_that_is_put_back_hides_no_interruption(
    board: Page, stream: StubStream, expected_errors: list[str]
):
    expected_errors.append(SERVER_GONE)
    open_board(board, stream, prices(), status())
    stream.stop()
    expect(board.locator("#connection")).to_contain_text("Reconnecting in")
    board.clock.set_system_time("2026-11-01T17:31:42Z")
    board.clock.run_for(6000)
    expect(board.get_by_role("status")).to_contain_text("Not connected.")
    expect(board.locator("#connection")).to_contain_text(re.compile(r"Connecting…|Reconnecting in \d\d? s"))


def test_a_rejection_says_why_and_the_reader_may_reconnect(board: Page, stream: StubStream):
    open_board(board, stream, prices()).close(1008, "Server at capacity")
    expect(board.locator("#connection")).to_contain_text("Offline: Server at capacity")
    expect(board.get_by_role("status")).to_contain_text("Not connected.")
    board.get_by_role("button", name="Reconnect").press("Enter")
    expect(board.locator("#connection")).to_contain_text("Connected")
    expect(board.get_by_role("button", name="Reconnect")).to_be_hidden()


def test_the_board_reconnects_to_a_full_server_by_itself_after_a_while(board: Page, stream: StubStream):
    open_board(board, stream, prices()).close(1008, "Server at capacity")
    expect(board.locator("#connection")).to_contain_text("Offline")
    board.clock.run_for(65_000)
    expect(board.locator("#connection")).to_contain_text("Connected")


def test_the_board_waits_for_as_long_as_a_full_server_says(board: Page, stream: StubStream):
    connection = open_board(board, stream, prices())
    connection.send({"type": "error", "code": "at_capacity", "retry": "later", "afterMs": 90_000, "message": ""})
    connection.close(1008, "Server at capacity")
    expect(board.locator("#connection")).to_contain_text(re.compile(r"Reconnecting in \d+ s"))
    board.clock.run_for(89_000)
    expect(board.locator("#connection")).to_contain_text("Reconnecting in")
    assert not stream.has_connection()
    let_it_retry(board)
    expect(board.locator("#connection")).to_contain_text("Connected")


@pytest.mark.parametrize(
    ("blocked", "words"), [(["websocket"], "Connected by events"), (["websocket", "sse"], "Connected by polling")]
)
def test_the_board_goes_round_a_block_and_says_so(
    board: Page, expected_errors: list[str], blocked: list[str], words: str
):
    expected_errors += [SERVER_GONE, "403"]
    market = Market()
    market.publish()
    with StubStream({"/": lambda: new_page(*METALS)}, market) as stream, bad_proxy(stream.port) as proxy:
        proxy.faults = dict.fromkeys(blocked, "forbid")
        board.goto(proxy.http_url)
        expect(board.locator("#connectiontext")).to_have_text(words)
        expect(card(board)).to_contain_text("₹101.00")
        expect(board.locator("#market")).to_contain_text("Market open")
        market.publish()
        board.clock.run_for(1000)
        expect(card(board)).to_contain_text("₹102.00")


def test_a_second_rejection_is_waited_out_in_full(board: Page, stream: StubStream):
    open_board(board, stream, prices()).close(1008, "Server at capacity")
    expect(board.locator("#connection")).to_contain_text("Offline")
    board.clock.run_for(30_000)
    board.get_by_role("button", name="Reconnect").click()
    connection = stream.connection()
    connection.wait_for("subscribe")
    connection.close(1008, "Rate limit exceeded")
    expect(board.locator("#connection")).to_contain_text("Offline: Rate limit exceeded")
    # When the first rejection would have been over, the second is not.
    board.clock.run_for(64_000)
    expect(board.locator("#connection")).to_contain_text("Offline: Rate limit exceeded")
    board.clock.run_for(1_000)
    expect(board.locator("#connection")).to_contain_text("Connected")
    assert stream.connection().wait_for("subscribe")
    assert not stream.has_connection()


def test_a_login_that_ends_leaves_a_board_that_needs_none_with_its_prices(board: Page, stream: StubStream):
    open_board(board, stream, prices(), status()).close(1008, "Unauthorized")
    expect(board.locator("#connection")).to_contain_text("Offline: Unauthorized")
    board.clock.run_for(1000)
    stream.connection().wait_for("subscribe")
    expect(board.locator("#connection")).to_contain_text("Connected")
    expect(card(board).locator(".marks")).to_have_text("Live")


def test_a_server_that_ends_each_login_at_once_is_left_alone_for_a_while(board: Page, stream: StubStream):
    open_board(board, stream, prices()).close(1008, "Unauthorized")
    expect(board.locator("#connection")).to_contain_text("Offline: Unauthorized")
    board.clock.run_for(1000)
    again = stream.connection()
    again.wait_for("subscribe")
    again.close(1008, "Unauthorized")
    expect(board.locator("#connection")).to_contain_text("Offline: Unauthorized")
    board.clock.run_for(60_000)
    assert not stream.has_connection()
    board.clock.run_for(5_000)
    stream.connection()


def test_a_board_that_needs_a_login_says_so_and_does_not_reconnect(board: Page, stream: StubStream):
    connection = open_board(board, stream, prices())
    stream.greeting = []
    connection.close(1008, "Unauthorized")
    expect(board.locator("#connection")).to_contain_text("Offline: Unauthorized")
    board.clock.run_for(1000)
    # As whoever its reader is without that login, it is not accepted either.
    connection = stream.connection()
    connection.wait_for("subscribe")
    connection.close(1008, "Unauthorized")
    expect(board.get_by_role("status")).to_contain_text("Not signed in. Sign in, then press Reconnect.")
    expect(board.get_by_role("status")).to_contain_text("do not price sales by them")
    board.clock.run_for(3_600_000)
    expect(board.locator("#connection")).to_contain_text("Offline: Unauthorized")
    assert not stream.has_connection()
    board.get_by_role("button", name="Reconnect").click()
    expect(board.locator("#connection")).to_contain_text("Connected")


def restart(connection: StubConnection, after_ms: int) -> None:
    connection.send({"type": "restart", "afterMs": after_ms})
    connection.close(1012, "Service restart")


def test_an_announced_restart_is_said_calmly_while_prices_keep_their_age(board: Page, stream: StubStream):
    connection = open_board(board, stream, prices(timestamp=NOW), status())
    connection.send({"type": "pong", "timestamp": "2026-11-01T18:31:42.000Z"})
    restart(connection, 12_000)
    expect(board.locator("#connection")).to_contain_text("Restarting, back in 12 s")
    expect(card(board).locator(".marks")).to_have_text("Last known")
    board.clock.run_for(6_000)
    expect(board.locator("#connection")).to_contain_text("Restarting, back in 6 s")
    notice = board.get_by_role("status").locator(".notice")
    expect(notice).to_contain_text("The server is restarting. New prices follow soon.")
    expect(notice).to_contain_text("last prices, from 2 Nov 2026, 12:00:01 am: do not price sales by them")
    expect(notice).to_have_attribute("data-tone", "plain")
    expect(card(board)).to_contain_text("₹100.00")
    expect(card(board)).to_contain_text("36 s ago")
    board.clock.run_for(6_000)
    expect(board.locator("#connection")).to_contain_text("Connected")
    expect(board.get_by_role("status")).to_be_empty()
    expect(card(board).locator(".marks")).to_have_text("Live")


@pytest.mark.parametrize(
    ("after_ms", "calm_ms"), [(12_000, 16_000), (120_000, 59_000)], ids=["not back in time", "much too long"]
)
def test_a_restart_that_takes_too_long_is_an_interruption_like_any_other(
    board: Page, stream: StubStream, expected_errors: list[str], after_ms: int, calm_ms: int
):
    expected_errors.append(SERVER_GONE)
    restart(open_board(board, stream, prices()), after_ms)
    expect(board.locator("#connection")).to_contain_text("Restarting")
    stream.stop()
    board.clock.run_for(calm_ms)
    notice = board.get_by_role("status").locator(".notice")
    expect(notice).to_have_attribute("data-tone", "plain")
    board.clock.run_for(2_000)
    expect(notice).to_contain_text("Not connected.")
    expect(notice).to_have_attribute("data-tone", "danger")


def test_the_board_never_gives_up_by_itself(board: Page, stream: StubStream, expected_errors: list[str]):
    expected_errors.append(SERVER_GONE)
    open_board(board, stream, prices())
    stream.stop()
    for _ in range(10):
        let_it_retry(board)
    expect(board.locator("#connection")).to_contain_text("Reconnecting in")
    stream.start()
    let_it_retry(board)
    expect(board.locator("#connection")).to_contain_text("Connected")


# --- significant moves ---------------------------------------------------------------------------------------------


def test_the_last_five_significant_moves_are_listed_newest_first(board: Page, stream: StubStream):
    connection = open_board(board, stream, prices())
    expect(board.locator("#nomoves")).to_be_visible()
    for seq in range(2, 9):
        connection.send(prices(seq) | {"changes": [move("gold", 100, 100 + seq if seq % 2 else 100 - seq)]})
    items = board.locator("#moves li")
    expect(items).to_have_count(5)
    expect(items.first).to_contain_text("▼ -8.00%")
    expect(items.first).to_contain_text("100.00 → 92.00")
    expect(items.last).to_contain_text("-4.00%")
    expect(board.locator("#nomoves")).to_be_hidden()


def test_a_move_that_was_missed_is_listed_once_when_the_board_is_back(board: Page, stream: StubStream):
    connection = open_board(board, stream, prices())
    connection.close(1011)
    expect(board.locator("#connection")).to_contain_text("Reconnecting in")
    stream.greeting = [prices(2) | {"snapshot": True}, prices(3) | {"changes": [move("gold", 103, 105)]}]
    let_it_retry(board)
    connection = stream.connection()
    assert connection.wait_for("subscribe")["since"] == 1
    missed = [move("gold", 100, 103), move("gold", 103, 105)]
    connection.send(subscribed(*METALS, id="resume"), prices(3) | {"changes": missed})
    items = board.locator("#moves li")
    expect(items).to_have_count(2)
    expect(items.first).to_contain_text("103.00 → 105.00")
    expect(items.last).to_contain_text("100.00 → 103.00")


# --- which rows ----------------------------------------------------------------------------------------------------


def open_editor(board: Page) -> Locator:
    button = board.get_by_role("button", name="Choose rows")
    if button.get_attribute("aria-expanded") == "false":
        button.click()
    expect(board.locator("#editor li").first).to_be_visible()
    return board.locator("#editor")


def test_the_editor_is_named_and_closes_in_a_browser_that_has_no_properties_of_aria(board: Page, stream: StubStream):
    board.add_init_script(
        "for (const name in Element.prototype) if (/^aria/.test(name)) delete Element.prototype[name]"
    )
    open_board(board, stream, prices(), status())
    editor = open_editor(board)
    expect(editor.get_by_role("combobox", name=re.compile("Gold")).first).to_be_visible()
    button = board.get_by_role("button", name="Choose rows")
    expect(button).to_have_attribute("aria-expanded", "true")
    button.click()
    expect(editor).to_be_hidden()


def shown_rows(board: Page) -> list[str | None]:
    return [each.get_attribute("data-row") for each in board.locator(".card").all()]


def test_a_row_can_be_put_away_and_brought_back_by_keyboard(board: Page, stream: StubStream):
    connection = open_board(board, stream, prices())
    expect(card(board, "silver")).to_contain_text("₹200.00")
    board.get_by_role("button", name="Choose rows").press("Enter")
    board.get_by_role("button", name=re.compile("Remove: Silver")).press("Enter")
    expect(card(board, "silver")).to_have_count(0)
    assert connection.wait_for("unsubscribe")["metals"] == ["silver"]
    board.get_by_role("button", name="Add a row").press("Enter")
    row = board.locator("#editor li").last
    expect(row.get_by_role("combobox", name="Metal")).to_be_focused()
    row.get_by_role("combobox", name="Metal").select_option("silver")
    assert connection.wait_for("subscribe", 2)["metals"] == ["silver"]
    # What it showed before may be old by now.
    expect(card(board, "silver")).to_contain_text("Waiting for a price")
    connection.send(prices(1) | {"snapshot": True})
    expect(card(board, "silver")).to_contain_text("₹200.00")


def test_rows_are_put_in_another_order_and_the_focus_stays_on_the_row(board: Page, stream: StubStream):
    open_board(board, stream, prices())
    open_editor(board)
    down = board.get_by_role("button", name=re.compile("Move down: Gold"))
    down.press("Enter")
    expect(down).to_be_focused()
    down.press("Enter")
    assert shown_rows(board) == ["silver:999:gram", "platinum:999:gram", "gold:999:gram", "palladium:999:gram"]


def test_the_choice_is_written_in_the_address_and_in_the_cookie(board: Page, stream: StubStream):
    open_board(board, stream, prices())
    express(board, "10gram", "916")
    for name in ("Silver", "Platinum", "Palladium"):
        board.get_by_role("button", name=re.compile(f"Remove: {name}")).click()
    expect(board.get_by_role("button", name=re.compile("Remove: Gold"))).to_be_disabled()
    expect(board).to_have_url(f"{stream.http_url}/?rows=gold:916:10gram&lang=en")
    (cookie,) = board.context.cookies()
    assert cookie["name"] == "swarna_board"
    assert parse_qs(unquote(cookie["value"])) == {"rows": ["gold:916:10gram"]}
    assert (cookie["sameSite"], cookie["path"]) == ("Lax", "/")


def test_the_usual_rows_come_back_at_a_press(board: Page, stream: StubStream):
    open_board(board, stream, prices())
    open_editor(board).get_by_role("button", name="Usual rows").click()
    assert ",".join(filter(None, shown_rows(board))) == written(default_sheet("INR"))


def test_a_language_is_remembered_beside_the_rows(board: Page, stream: StubStream):
    open_board(board, stream, prices())
    express(board, "kg", metal="silver")
    hindi = board.get_by_role("link", name="हिन्दी")
    expect(hindi).to_have_attribute(
        "href", "?rows=gold:999:gram,silver:999:kg,platinum:999:gram,palladium:999:gram&lang=hi"
    )
    hindi.evaluate("(link) => link.addEventListener('click', (event) => event.preventDefault())")
    hindi.click()
    (cookie,) = board.context.cookies()
    assert parse_qs(unquote(cookie["value"])) == {
        "rows": ["gold:999:gram,silver:999:kg,platinum:999:gram,palladium:999:gram"],
        "lang": ["hi"],
    }


def test_the_address_shows_others_the_rows_and_the_language_that_it_shows_here(board: Page, stream: StubStream):
    stream.pages["/"] = lambda: board_page("silver:925:kg,gold", current(), "hi")
    board.goto(stream.http_url)
    stream.connection().wait_for("subscribe")
    expect(board).to_have_url(f"{stream.http_url}/?rows=silver:925:kg,gold:999:gram&lang=hi")
    expect(card(board).locator("h2 a")).to_have_attribute("href", "/gold/?unit=gram&purity=999&lang=hi")


def test_what_an_address_says_stays_in_it_whatever_it_is(board: Page, stream: StubStream):
    board.goto(f"{stream.http_url}/?rows=gold,a%26b&lang=x%23y&more=1#here")
    stream.connection().wait_for("subscribe")
    assert board.evaluate("location.href") == f"{stream.http_url}/?rows=gold,a%26b&lang=x%23y&more=1#here"


def test_rows_that_cannot_be_chosen_now_can_be_chosen_later(
    board: Page, stream: StubStream, expected_errors: list[str]
):
    expected_errors.append("net::ERR_FAILED")
    open_board(board, stream, prices())
    board.route("**/board-editor.js", lambda route: route.abort())
    button = board.get_by_role("button", name="Choose rows")
    button.click()
    expect(board.locator("#editor").get_by_role("alert")).to_contain_text("The choice of rows could not be loaded")
    board.unroute("**/board-editor.js")
    button.click()
    expect(board.locator("#editor")).to_be_hidden()
    button.click()
    expect(board.locator("#editor li").first).to_be_visible()
    expect(board.locator("#editor").get_by_role("alert")).to_have_count(0)


def test_only_the_listed_metals_are_on_it(page: Page):
    pages = {"/": lambda: new_page(Metal.SILVER, Metal.GOLD)}
    with StubStream(pages) as stream:
        page.goto(stream.http_url)
        assert stream.connection().wait_for("subscribe")["metals"] == ["silver", "gold"]
        editor = open_editor(page)
        assert editor.get_by_role("combobox", name="Metal").first.locator("option").all_inner_texts() == [
            "Silver",
            "Gold",
        ]


# --- per what ------------------------------------------------------------------------------------------------------


def express(board: Page, unit: str = "gram", purity: str = "999", metal: str = "gold") -> None:
    open_editor(board)
    weight(board, metal).select_option(unit)
    fineness(board, metal).select_option(purity)


def weight(board: Page, metal: str = "gold") -> Locator:
    return board.get_by_role("combobox", name=re.compile(f"Weight: {metal.capitalize()}"))


def fineness(board: Page, metal: str = "gold") -> Locator:
    return board.get_by_role("combobox", name=re.compile(f"Purity: {metal.capitalize()}"))


def figures(board: Page, metal: str = "gold") -> list[str]:
    """A card's price, change, low, high, open and previous close."""
    return card(board, metal).locator('.amount, [data-part="difference"], dd:visible').all_inner_texts()


def test_all_figures_of_a_card_follow_the_unit_and_the_purity(board: Page, stream: StubStream):
    gold = quote(13221.39, change=20.21, high=13274.1, low=13116, open=13178.4, previousClose=13201.18)
    open_board(board, stream, price_update(1, gold=gold), status())
    express(board, "10gram", "916")
    per_gram = ("13221.39", "13116", "13274.1", "13178.4", "13201.18")
    price, low, high, opened, close = (converted(Decimal(each), unit="10gram", purity="916") for each in per_gram)
    assert [Decimal(re.sub("[₹,+]", "", text)) for text in figures(board)] == [
        amount.quantize(Decimal("0.01"), ROUND_HALF_UP) for amount in (price, price - close, low, high, opened, close)
    ]
    expect(card(board)).to_contain_text("+0.15%")


def test_a_new_price_comes_in_the_unit_that_was_picked(board: Page, stream: StubStream):
    connection = open_board(board, stream, price_update(1, gold=quote(100)))
    express(board, "kg", "916")
    connection.send(price_update(2, gold=quote(101)))
    expect(card(board)).to_contain_text("₹92,516.00")
    assert [card(board).get_attribute("data-flash"), figures(board)[2]] == ["up", "916.00"]


def test_another_unit_is_no_move_of_the_price(board: Page, stream: StubStream):
    # Where nothing moves, the mark of a move is not taken off again at the movement's end.
    board.emulate_media(reduced_motion="reduce")
    open_board(board, stream, price_update(1, gold=quote(100)))
    express(board, "kg", "585")
    expect(card(board)).to_contain_text("₹58,500.00")
    expect(card(board)).not_to_have_attribute("data-flash", re.compile(".*"))


def test_each_metal_has_a_weight_and_a_purity_of_its_own(board: Page, stream: StubStream):
    open_board(board, stream, prices())
    express(board, "10gram", "916")
    express(board, "kg", "925", "silver")
    assert (figures(board)[0], figures(board, "silver")[0]) == ("₹916.00", "₹1,85,000.00")
    assert figures(board, "platinum")[0] == "₹300.00"


def test_a_shop_reads_the_fineness_beside_its_own_word(board: Page, stream: StubStream):
    open_board(board, stream, prices())
    open_editor(board)
    labels = fineness(board).locator("option").all_inner_texts()
    assert labels == [purity_label(Metal.GOLD, purity) for purity in FINENESSES[Metal.GOLD]]
    fineness(board).select_option(label="22K · 916")
    expect(card(board)).to_contain_text("₹91.60")


def test_moves_are_listed_in_the_unit_that_was_picked_also_those_from_before(board: Page, stream: StubStream):
    connection = open_board(board, stream, prices() | {"changes": [move("gold", 100, 102)]})
    expect(board.locator("#moves li")).to_contain_text("100.00 → 102.00")
    express(board, "10gram", "750")
    expect(board.locator("#moves li")).to_contain_text("750.00 → 765.00")
    express(board, "10gram", "999", "silver")
    connection.send(prices(2) | {"changes": [move("silver", 200, 210)]})
    expect(board.locator("#moves li").first).to_contain_text("2,000.00 → 2,100.00")
    expect(board.locator("#moves li")).to_have_count(2)


def test_a_unit_is_picked_by_keyboard(board: Page, stream: StubStream):
    open_board(board, stream, prices())
    open_editor(board)
    weight(board).press("ArrowDown")
    expect(weight(board)).to_be_focused()
    fineness(board).press("End")
    expect(card(board)).to_contain_text("₹300.00")
    expect(weight(board)).to_have_value("8gram")
    expect(fineness(board)).to_have_value("375")
    expect(card(board, "silver")).to_contain_text("₹200.00")


def test_every_unit_and_all_that_a_metal_is_hallmarked_as_is_offered(board: Page, stream: StubStream):
    open_board(board, stream, prices())
    open_editor(board)
    values = "(all) => all.map(({ value }) => value)"
    for metal, finenesses in FINENESSES.items():
        units = weight(board, metal).locator("option").evaluate_all(values)
        assert (units[: len(WEIGHTS_OF[metal])], set(units)) == (list(WEIGHTS_OF[metal]), set(UNITS))
        assert fineness(board, metal).locator("option").evaluate_all(values) == list(finenesses)
    assert weight(board).locator("option").all_inner_texts() == ["g", "8 g", "10 g", "100 g", "tola", "kg", "troy oz"]


def test_what_was_picked_for_all_metals_on_an_older_board_holds_where_a_metal_has_it(board: Page, stream: StubStream):
    board.add_init_script("localStorage.setItem('swarna.unit', '10gram'); localStorage.setItem('swarna.purity', '22k')")
    open_board(board, stream, prices())
    expect(card(board)).to_contain_text("₹916.00")
    expect(card(board, "silver")).to_contain_text("₹2,000.00")
    assert shown_rows(board) == ["gold:916:10gram", "silver:999:10gram", "platinum:999:10gram", "palladium:999:10gram"]


def test_the_metals_that_were_picked_on_an_older_board_are_its_rows(board: Page, stream: StubStream):
    board.add_init_script(
        "localStorage.setItem('swarna.metals', 'silver gold'); localStorage.setItem('swarna.unit.silver', 'kg')"
    )
    open_board(board, stream, prices())
    assert shown_rows(board) == ["gold:999:gram", "silver:999:kg"]
    expect(card(board, "silver")).to_contain_text("₹2,00,000.00")
    assert board.evaluate("Object.keys(localStorage).filter((key) => /metals|unit/.test(key))") == []


def test_a_remembered_unit_that_there_is_not_is_forgotten(board: Page, stream: StubStream):
    board.add_init_script("localStorage.setItem('swarna.unit', 'stone'); localStorage.setItem('swarna.purity', '')")
    open_board(board, stream, prices())
    expect(card(board)).to_contain_text("₹100.00")
    assert shown_rows(board)[0] == "gold:999:gram"


@pytest.mark.parametrize(
    "forbid",
    [
        "Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('no', 'SecurityError') } })",
        "Object.defineProperty(window, 'localStorage', { value: null })",
        "Object.defineProperty(document, 'cookie', { get() { throw new DOMException('no', 'SecurityError') } })",
    ],
    ids=["forbidden", "none", "no cookies"],
)
def test_where_nothing_can_be_remembered_the_choice_still_holds(board: Page, stream: StubStream, forbid: str):
    board.add_init_script(forbid)
    open_board(board, stream, prices())
    express(board, "10gram", "916")
    board.get_by_role("button", name=re.compile("Remove: Silver")).click()
    expect(card(board)).to_contain_text("₹916.00")
    expect(card(board, "silver")).to_have_count(0)


# --- every reader --------------------------------------------------------------------------------------------------


def test_a_kilogram_of_gold_is_written_in_one_line_at_any_width(board: Page, stream: StubStream):
    gold = quote(13221.39, high=13274.1, low=13116, open=13178.4, previousClose=13201.18)
    open_board(board, stream, price_update(1, gold=gold))
    express(board, "kg")
    expect(card(board)).to_contain_text("₹1,32,21,390.00")
    lines = "(parts) => parts.map((part) => { const r = document.createRange(); r.selectNodeContents(part);"
    lines += " return r.getClientRects().length })"
    for width in (320, 375, 640, 1150, 1280):
        board.set_viewport_size({"width": width, "height": 800})
        assert set(card(board).locator(".amount, dd:visible").evaluate_all(lines)) == {1}, width


@pytest.mark.parametrize("language", settings.LANGUAGES, ids=lambda language: language[0])
def test_four_metals_are_within_two_screens_of_a_phone_and_the_first_price_on_its_first(
    board: Page, stream: StubStream, language: tuple[str, str]
):
    usual = written(default_sheet("INR"))
    with translation.override(language[0]):
        page = board_page(usual, current(), language[0])
    stream.pages["/"] = lambda: page
    board.set_viewport_size({"width": 390, "height": 844})
    # As high as cards are: each with bid and ask.
    metals = {"gold": 13221.39, "silver": 168.54, "platinum": 5621.35, "palladium": 4388.7}
    quotes = {name: quote(price, bid=price, ask=price) for name, price in metals.items()}
    stream.greeting = [price_update(1, **quotes), status()]
    board.goto(stream.http_url)
    expect(card(board, "palladium").locator(".amount")).to_have_text("₹4,388.70")
    expect(card(board).locator("[data-part=asking]").first).to_be_visible()
    first, last = card(board).locator(".price").first.bounding_box(), card(board, "palladium").bounding_box()
    assert first
    assert last
    assert first["y"] + first["height"] <= 844
    assert last["y"] + last["height"] <= 2 * 844


def test_nothing_sticks_out_at_any_width(board: Page, stream: StubStream):
    dear = {metal: quote(2345678.12, source="simulated", stale=True) for metal in METALS}
    update = price_update(1, **dear, currency="IDR", changes=[move("palladium", 2e6, 3e6)])
    open_board(board, stream, update, status("stale", market="closed", nextChange="2026-11-08T23:00:00.000Z"))
    expect(card(board)).to_contain_text("23,45,678.12")
    open_editor(board)
    for unit in ("gram", "kg"):
        for metal in METALS:
            weight(board, metal).select_option(unit)
        fineness(board).select_option("916")
        for width in (320, 360, 390, 640, 1280):  # 640 is 1280 at 200 % zoom, 320 at 400 %
            board.set_viewport_size({"width": width, "height": 800})
            assert board.evaluate("document.documentElement.scrollWidth") <= width, (unit, width)


def test_everything_is_reached_by_tab_in_the_order_it_is_read(board: Page, stream: StubStream):
    open_board(board, stream, prices()).close(1008, "Server at capacity")
    expect(board.get_by_role("button", name="Reconnect")).to_be_visible()
    reached = []
    for _ in range(19):
        board.keyboard.press("Tab")
        reached.append(board.evaluate("document.activeElement.textContent"))
    assert reached == [
        "Reconnect",
        *("Gold", "Why? Gold 24K · 999", "Silver", "Why? Silver 999"),
        *("Platinum", "Why? Platinum 999", "Palladium", "Why? Palladium 999"),
        "Choose rows",
        *dict(settings.LANGUAGES).values(),
        "Developers",
        "API",
        "Staff",
    ]
