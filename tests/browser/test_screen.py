"""The screen of a shop, as its customers see it in a real browser."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Request, Route, expect

from tests.support.axe import violations
from tests.support.pages.board import PUBLISHED_AT, current, published
from tests.support.pages.screen import screen_page
from tests.support.quotes import quote as python_quote
from tests.support.stub_stream import StubConnection, StubRequest, StubStream, price_update, quote, status

NOW = "2026-11-01T18:31:12.000Z"  # a minute into 2 November in India
SIX = "gold:999:10gram,gold:916:10gram,gold:750:10gram,silver:999:kg,platinum:999:gram,palladium:999:gram"
PRICES = {"gold": "13221.39", "silver": "168.54", "platinum": "5621.35", "palladium": "4388.70"}
HD = {"width": 1920, "height": 1080}
UHD = {"width": 3840, "height": 2160}
# A browser says so of a server that is gone, or that serves WebSockets alone, whatever a script does about it.
PONG = {"type": "pong", "timestamp": NOW}
GONE = ["ERR_CONNECTION_REFUSED", "WebSocket connection", "404"]


class Pongs:
    """Answers the pings of screens, however long a test takes, and serves nothing but WebSockets."""

    def websocket(self, connection: StubConnection) -> None:
        def answer(message: dict[str, Any]) -> None:
            if message["type"] == "ping":
                connection.send(PONG)

        connection.listen(answer)

    def stream(self, request: StubRequest) -> None:
        request.answer(404, {})

    poll = stream


class Shop:
    """A page whose clock a test moves, and the server of its screen, whose next page and greeting are the test's."""

    def __init__(self, stream: StubStream, page: Page) -> None:
        self.stream = stream
        self.page = page
        self.rows, self.name, self.language, self.release = SIX, "Shree Ganesh Jewellers", "en", ""
        # Seconds after which a browser loads the page anew, unless its script ends that.
        self.refresh = 300
        stream.greeting = [prices(), status()]

    def html(self) -> str:
        quotes = [published(python_quote(metal, price, at=PUBLISHED_AT)) for metal, price in PRICES.items()]
        page = screen_page(self.rows, current(quotes, seq=1), self.name, self.language, self.release)
        return page.replace('content="300"', f'content="{self.refresh}"')

    def open(self) -> StubConnection:
        """Switch the screen on, and wait until it is connected and knows the server's time."""
        self.page.goto(f"{self.stream.http_url}/screen/")
        return self.connected()

    def connected(self) -> StubConnection:
        connection = self.stream.connection()
        connection.wait_for("subscribe")
        # With news it shows the time at once, and not with the next second of a clock that may stand still.
        connection.send(PONG, status())
        expect(self.page.locator("#time")).not_to_be_empty()
        return connection

    def open_and_stop_the_clock(self) -> StubConnection:
        """Open the screen, and let time pass only as the test says: the silence of the jump makes it connect anew."""
        self.open()
        self.page.clock.pause_at("2026-11-01T18:33:00.000Z")
        return self.connected()

    def let_it_retry(self) -> None:
        """Move the clock to the retry that the screen announces, and no further: the network takes real time."""
        announced = self.page.locator("#connectiontext", has_text="Reconnecting in").text_content()
        found = re.search(r"in (\d+) s", announced or "")
        assert found, announced
        self.page.clock.run_for(int(found[1]) * 1000)

    @property
    def prices(self) -> Locator:
        return self.page.locator("[data-part=amount]")

    def heights(self) -> list[float]:
        """The size of each price, as a share of the screen's height, in percent."""
        return self.prices.evaluate_all(  # type: ignore[no-any-return]
            "(all) => all.map((each) => 100 * parseFloat(getComputedStyle(each).fontSize) / innerHeight)"
        )

    def overlaps(self) -> list[str]:
        """Texts that are not whole inside of their row, and rows that are not inside of the screen."""
        return self.page.evaluate(  # type: ignore[no-any-return]
            """() => [...document.querySelectorAll(".row")].flatMap((row) => {
              const outer = row.getBoundingClientRect();
              const isOutside = ({ left, right, top, bottom }, of) =>
                left < of.left - 1 || right > of.right + 1 || top < of.top - 1 || bottom > of.bottom + 1;
              const screen = { left: 0, top: 0, right: innerWidth, bottom: innerHeight };
              const texts = [...row.querySelectorAll("[data-part]")];
              const lost = texts.filter((each) => isOutside(each.getBoundingClientRect(), outer));
              return [...lost.map((each) => each.textContent), ...(isOutside(outer, screen) ? ["row"] : [])];
            })"""
        )


def prices(seq: int = 1, **fields: Any) -> dict[str, Any]:
    """An update with all four metals, each with these fields."""
    return price_update(seq, **{metal: quote(float(price), **fields) for metal, price in PRICES.items()})


@pytest.fixture
def shop(page: Page) -> Iterator[Shop]:
    shop: Shop
    pages = {
        "/screen/": lambda: shop.html(),
        "/client/v1/release.json": lambda: json.dumps({"release": shop.release}),
    }
    with StubStream(pages, Pongs()) as stream:
        page.clock.install(time=NOW)
        # The checks of its guard are 15, 25, … seconds after the start: not by chance, which keeps screens out of step.
        page.add_init_script("Math.random = () => 0.5")
        page.set_viewport_size(HD)  # type: ignore[arg-type]  # a dict is one
        shop = Shop(stream, page)
        yield shop


# --- read from across the room --------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [HD, UHD], ids=["1080p", "4K"])
def test_six_prices_have_an_eighth_of_the_screens_height_each_also_under_notices(
    shop: Shop, size: dict[str, int]
) -> None:
    shop.page.set_viewport_size(size)  # type: ignore[arg-type]
    connection = shop.open()
    assert min(shop.heights()) >= 12
    assert shop.overlaps() == []
    data = prices(stale=True)["data"] | {"gold": quote(1, source="fallback")}
    connection.send(price_update(2, **data))
    expect(shop.page.locator("#notices .notice")).to_have_count(2)
    assert min(shop.heights()) >= 12
    assert shop.overlaps() == []


@pytest.mark.parametrize(
    ("rows", "size"),
    [(1, HD), (3, HD), (8, HD), (24, HD), (6, {"width": 1080, "height": 1920}), (6, {"width": 390, "height": 844})],
    ids=["one", "three", "eight", "24", "upright", "phone"],
)
def test_any_number_of_rows_fits_any_screen_whole_in_the_language_with_the_longest_words(
    shop: Shop, rows: int, size: dict[str, int]
) -> None:
    purities = ("999", "995", "958", "916", "833", "750", "585", "375")
    shop.rows = ",".join(f"gold:{purity}:{unit}" for unit in ("100gram", "tola", "troy_ounce") for purity in purities)
    shop.rows, shop.language = ",".join(shop.rows.split(",")[:rows]), "ta"
    shop.page.set_viewport_size(size)  # type: ignore[arg-type]
    shop.open()
    expect(shop.prices).to_have_count(rows)
    assert shop.overlaps() == []


def test_on_an_upright_screen_the_words_of_a_single_price_stand_near_it(shop: Shop) -> None:
    shop.rows = "gold:999:10gram"
    shop.page.set_viewport_size({"width": 1080, "height": 1920})
    shop.open()
    above, price, below = (shop.page.locator(each).bounding_box() for each in (".what", ".price", ".about"))
    assert above
    assert price
    assert below
    assert price["y"] - (above["y"] + above["height"]) < price["height"]
    assert below["y"] - (price["y"] + price["height"]) < price["height"]


def test_all_that_is_read_has_the_contrast_of_aaa_whatever_the_device_prefers(shop: Shop) -> None:
    shop.page.emulate_media(color_scheme="light")
    connection = shop.open()
    assert violations(shop.page, "color-contrast-enhanced") == {}
    data = {"gold": quote(1, stale=True), "silver": quote(1, source="fallback", example=True), "platinum": quote(1)}
    connection.send(price_update(2, **data, palladium=quote(1, change=-1)))
    expect(shop.page.locator("#notices .notice")).to_have_count(2)
    assert violations(shop.page, "color-contrast-enhanced") == {}


def test_a_screen_is_never_at_one_place_for_long_and_never_cut_off(shop: Shop) -> None:
    shop.open()
    places = set()
    for minute in range(10):
        shop.page.evaluate(
            """(at) => document.getAnimations().find((each) => each.animationName === "wander").currentTime = at""",
            minute * 60_000 + 1,
        )
        box = shop.page.locator(".rows").bounding_box()
        assert box is not None
        places.add((round(box["x"]), round(box["y"])))
        assert shop.overlaps() == []
    assert len(places) == 10


def test_the_clock_is_the_servers_in_its_time_zone(shop: Shop) -> None:
    shop.page.clock.set_fixed_time("2026-10-31T03:00:00.000Z")  # the device's is wrong by more than a day
    shop.open()
    expect(shop.page.locator(".clock")).to_have_text("2 Nov 2026 12:01:12 am")


# --- not of now -----------------------------------------------------------------------------------------------------


def test_a_screen_that_lost_its_server_says_so_in_plain_sight_and_recovers_by_itself(
    shop: Shop, expected_errors: list[str]
) -> None:
    expected_errors.extend(GONE)
    shop.open_and_stop_the_clock()
    marks, notices = shop.page.locator(".marks"), shop.page.locator("#notices")
    expect(marks).to_have_text(["Live"] * 6)
    shop.stream.stop()
    expect(marks).to_have_text(["Last known"] * 6)
    shop.page.clock.run_for(6_000)
    expect(notices).to_contain_text("Not connected. These are the last prices, from 2 Nov 2026, 12:00:01 am")
    shop.stream.start()
    shop.let_it_retry()
    shop.connected()
    expect(marks).to_have_text(["Live"] * 6)
    expect(notices).to_be_empty()


def test_each_row_says_what_kind_of_price_it_is(shop: Shop) -> None:
    connection = shop.open()
    data = {"gold": quote(1, stale=True), "silver": quote(1, source="fallback"), "platinum": quote(1)}
    connection.send(price_update(2, **data))
    marks = ["Stale", "Stale", "Stale", "Fallback", "Live", ""]
    expect(shop.page.locator(".marks")).to_have_text(marks)
    expect(shop.prices.last).to_have_text("—")


def test_prices_that_cannot_be_shown_are_no_longer_said_to_be_live(shop: Shop, expected_errors: list[str]) -> None:
    expected_errors.append("is not a price")
    connection = shop.open()
    connection.send(prices(2, high="nonsense"))
    shop.page.clock.run_for(1_000)
    expect(shop.page.locator(".marks").first).to_have_text("Last known")


# --- nobody touches it ----------------------------------------------------------------------------------------------


def mark(shop: Shop) -> Locator:
    """Mark the page that is open; the mark is gone with it."""
    shop.page.evaluate("document.documentElement.dataset.marked = ''")
    return shop.page.locator("html[data-marked]")


def test_a_screen_whose_script_does_not_start_says_so_and_is_loaded_anew_once_the_server_answers(
    shop: Shop, expected_errors: list[str]
) -> None:
    expected_errors.extend([*GONE, "ERR_FAILED"])
    shop.page.route("**/marks.js", lambda route: route.abort())
    shop.page.goto(f"{shop.stream.http_url}/screen/")
    notice = "This page does not update. These are the last prices, from 2 Nov 2026, 12:00:01 am"
    expect(shop.page.locator("#unstarted")).to_contain_text(notice)
    marked = mark(shop)
    shop.stream.stop()
    with shop.page.expect_event("requestfailed"):
        shop.page.clock.run_for(65_000)
    expect(marked).to_be_attached()
    shop.page.unroute("**/marks.js")
    shop.stream.start()
    shop.page.clock.run_for(10_000)
    expect(marked).not_to_be_attached()
    shop.connected()


@pytest.mark.parametrize("files", ["**/*.js", "**/screen*"], ids=["scripts", "all"])
def test_a_screen_of_which_only_the_page_came_is_loaded_anew_by_the_browser(
    shop: Shop, expected_errors: list[str], files: str
) -> None:
    expected_errors.append("ERR_FAILED")
    assert '<meta http-equiv="refresh" content="300">' in shop.html()
    shop.refresh = 1
    shop.page.route(files, lambda route: route.fallback() if route.request.is_navigation_request() else route.abort())
    shop.page.goto(f"{shop.stream.http_url}/screen/")
    with shop.page.expect_event("load"):
        shop.page.unroute(files)
        shop.refresh = 300
    shop.connected()


def test_a_screen_that_runs_is_not_loaded_anew_by_the_browser(shop: Shop) -> None:
    shop.page.add_init_script("const end = stop; globalThis.stop = () => end(globalThis.hasStopped = true)")
    shop.open()
    expect(shop.page.locator('meta[http-equiv="refresh"]')).to_have_count(0)
    # Without its element, too, a browser would load the page anew.
    assert shop.page.evaluate("hasStopped")


def test_a_screen_does_not_wait_for_a_file_that_hangs(shop: Shop) -> None:
    html = shop.html().replace("</footer>", '<img src="/hangs.svg" alt=""></footer>')
    shop.stream.pages["/screen/"] = lambda: html
    held: list[Route] = []
    shop.page.route("**/hangs.svg", lambda route: held.append(route))
    shop.page.goto(f"{shop.stream.http_url}/screen/", wait_until="commit")
    connection = shop.connected()
    expect(shop.page.locator("#unstarted")).to_have_count(0)
    expect(shop.page.locator(".marks")).to_have_text(["Live"] * 6)
    refresh = shop.page.locator('meta[http-equiv="refresh"]')
    expect(refresh).to_have_count(1)
    held[0].fulfill(content_type="image/svg+xml", body='<svg xmlns="http://www.w3.org/2000/svg"/>')
    # The connection is not ended with it.
    expect(refresh).to_have_count(0)
    connection.send(prices(2, stale=True))
    expect(shop.page.locator(".marks")).to_have_text(["Stale"] * 6)


def test_a_screen_without_metals_says_so_alone_and_shows_the_first_that_is_listed(
    shop: Shop, expected_errors: list[str]
) -> None:
    expected_errors.extend(GONE)
    html = screen_page("", current(listed=[]))
    shop.stream.pages["/screen/"] = lambda: html
    shop.page.goto(f"{shop.stream.http_url}/screen/")
    expect(shop.page.locator("#unstarted")).to_have_count(0)
    expect(shop.page.get_by_text("No metal is listed here yet.")).to_be_visible()
    assert not shop.stream.has_connection()
    shop.stream.pages["/screen/"] = shop.html
    shop.page.clock.run_for(65_000)
    expect(shop.prices).to_have_count(6)
    expect(shop.page.locator("#time")).not_to_be_empty()


def test_a_screen_without_its_style_sheet_is_loaded_anew(shop: Shop, expected_errors: list[str]) -> None:
    expected_errors.extend([*GONE, "ERR_FAILED"])
    shop.page.route("**/screen.css", lambda route: route.abort())
    shop.open()
    marked = mark(shop)
    shop.page.unroute("**/screen.css")
    shop.page.clock.run_for(65_000)
    expect(marked).not_to_be_attached()
    expect(shop.page.locator(".screen")).to_have_css("display", "grid")


def test_a_screen_is_loaded_anew_when_another_version_is_served(shop: Shop, expected_errors: list[str]) -> None:
    expected_errors.extend(GONE)
    shop.release = "first"
    shop.open()
    marked = mark(shop)
    with shop.page.expect_response("**/client/v1/release.json"):
        shop.page.clock.run_for(65_000)
    expect(marked).to_be_attached()
    shop.release = "second"
    shop.page.clock.run_for(60_000)
    expect(marked).not_to_be_attached()
    expect(shop.page.locator("html")).to_have_attribute("data-release", "second")


def test_a_screen_stays_while_a_proxy_has_no_page_of_the_version_that_is_served(
    shop: Shop, expected_errors: list[str]
) -> None:
    expected_errors.extend([*GONE, "502"])
    shop.release = "first"
    shop.open_and_stop_the_clock()
    marked = mark(shop)
    shop.release = "second"
    shop.page.route("**/screen/", lambda route: route.fulfill(status=502, body="Bad Gateway"))
    shop.stream.stop()
    expect(shop.page.locator(".marks")).to_have_text(["Last known"] * 6)
    shop.stream.start()
    shop.let_it_retry()
    shop.connected()
    with shop.page.expect_response(lambda response: response.status == 502):
        shop.page.clock.run_for(60_000)
    expect(marked).to_be_attached()
    shop.page.unroute("**/screen/")
    shop.page.clock.run_for(60_000)
    expect(shop.page.locator("html")).to_have_attribute("data-release", "second")


def test_hosts_of_two_versions_have_a_screen_loaded_anew_once_an_hour_for_each(
    shop: Shop, expected_errors: list[str]
) -> None:
    expected_errors.extend(GONE)
    pages: list[str] = []

    def note(request: Request) -> None:
        if request.is_navigation_request():
            pages.append(request.url)

    shop.page.on("request", note)
    html = shop.page.locator("html")
    shop.release = "first"
    shop.open()
    for shop.release in ("second", "first"):
        shop.page.clock.run_for(65_000)
        expect(html).to_have_attribute("data-release", shop.release)
        # It runs.
        expect(shop.page.locator("#time")).not_to_be_empty()
    shop.release = "second"
    with shop.page.expect_response("**/screen/"):
        shop.page.clock.run_for(65_000)
    shop.page.clock.fast_forward("01:00:00")
    # Until the next look, and no further: it would be given up.
    shop.page.clock.run_for(52_000)
    expect(html).to_have_attribute("data-release", "second")
    assert len(pages) == 4


def test_a_screen_that_slept_for_an_hour_goes_on_and_is_not_loaded_anew(shop: Shop, expected_errors: list[str]) -> None:
    expected_errors.extend(GONE)
    shop.open()
    marked = mark(shop)
    shop.page.clock.fast_forward("01:00:00")
    connection = shop.stream.connection()
    connection.wait_for("subscribe")
    connection.send({"type": "pong", "timestamp": "2026-11-01T19:31:12.000Z"})
    expect(shop.page.locator("#time")).to_have_text(re.compile(r"^1:01:\d\d am$"))
    expect(shop.page.locator(".marks")).to_have_text(["Live"] * 6)
    expect(marked).to_be_attached()


def test_a_screen_keeps_its_device_awake_and_asks_again_when_that_was_ended(
    shop: Shop, expected_errors: list[str]
) -> None:
    expected_errors.extend(GONE)
    shop.page.add_init_script(
        """
        window.locks = [];
        const request = async () => locks[locks.push({ released: false }) - 1];
        Object.defineProperty(navigator, "wakeLock", { value: { request } });
        """
    )
    shop.open()
    assert shop.page.evaluate("locks.length") == 1
    shop.page.clock.run_for(60_000)
    assert shop.page.evaluate("locks.length") == 1
    shop.page.evaluate("locks[0].released = true")
    shop.page.clock.run_for(60_000)
    assert shop.page.evaluate("locks.length") == 2


def test_a_shops_name_is_text_whatever_it_holds(shop: Shop) -> None:
    shop.name = "<img src=x onerror=alert(1)>"
    shop.open()
    expect(shop.page.get_by_role("heading", level=1)).to_have_text(shop.name)
    expect(shop.page).to_have_title(f"{shop.name} · Swarna")
