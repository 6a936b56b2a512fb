"""Pages in another language than English, from the server's page to all that their scripts write."""

from collections.abc import Callable
from typing import Any

from django.utils import translation
from playwright.sync_api import Page, expect

from prices.domain.candles import Interval
from prices.domain.quotes import Metal
from tests.support.one_language import words_of_another
from tests.support.pages import SERVER_GONE
from tests.support.pages.board import board_page, current, published
from tests.support.pages.metal import Rest, candle, metal_page, wired
from tests.support.pages.screen import screen_page
from tests.support.quotes import quote as python_quote
from tests.support.stub_stream import StubConnection, StubStream, move, price_update, quote, status

NOW = "2026-11-01T18:31:12.000Z"
ROWS = "gold:916:10gram,silver:999:kg,platinum,palladium"
# One of each mark, and of each kind of source.
QUOTES = {
    "gold": quote(13221.39, stale=True),
    "silver": quote(165, source="fallback"),
    "platinum": quote(4900, source="simulated"),
    "palladium": quote(4300, source="consensus", contributors=3, dispersionPercent=0.05, previousClose=None),
}
FULL, LOST = "சேவையகம் முழுக் கொள்ளளவில் உள்ளது", "இணைப்பு இல்லை."


def in_tamil(write: Callable[[], str]) -> Callable[[], str]:
    """What a server writes, for a reader of Tamil."""

    def page() -> str:
        with translation.override("ta"):
            return write()

    return page


def open_page(page: Page, stream: StubStream, *greeting: dict[str, Any]) -> StubConnection:
    """Open the page of a server that greets with these messages and says which time it is."""
    stream.greeting = list(greeting)
    page.clock.install(time=NOW)
    page.goto(stream.http_url)
    connection = stream.connection()
    connection.wait_for("subscribe")
    connection.send({"type": "pong", "timestamp": NOW})
    return connection


def check(page: Page) -> None:
    """See that all that the page says now is in Tamil."""
    assert words_of_another(page.content(), "ta") == []


def test_the_board(page: Page, expected_errors: list[str]) -> None:
    expected_errors.append(SERVER_GONE)
    with StubStream({"/": in_tamil(lambda: board_page(ROWS, current(), "ta"))}) as stream:
        connection = open_page(page, stream, price_update(1, **QUOTES), status())
        gold = page.locator('.card[data-metal="gold"]')
        for text in ("தங்கம்", "22 கேரட் · 916", "பழைய விலை", "₹1,21,107.93", "gold-api.com வழங்கியது"):
            expect(gold).to_contain_text(text)
        expect(page.locator("#market")).to_contain_text("சந்தை திறந்துள்ளது")
        check(page)

        connection.send(price_update(2, gold=quote(13300), changes=[move("gold", 13221.39, 13400)]))
        expect(page.locator("#moves li")).to_contain_text("தங்கம்")
        page.get_by_role("button", name="வரிசைகளைத் தேர்ந்தெடு").click()
        expect(page.locator("#editor li").first).to_be_visible()
        check(page)

        connection.close(1008, "Server at capacity")
        expect(page.locator("#connection")).to_contain_text(FULL)
        expect(page.locator("#notices")).to_contain_text(LOST)
        check(page)


def test_a_metals_page(page: Page, expected_errors: list[str]) -> None:
    expected_errors.append(SERVER_GONE)
    rest = Rest(page)
    minutes = [candle(Interval.FIVE_MINUTES, place, 13_000 + place) for place in range(-4, 0)]
    days = [candle(Interval.DAY, place, 13_000 + 100 * place) for place in range(-11, 1)]
    rest.candles = {Interval.FIVE_MINUTES: wired(minutes, live=False), Interval.DAY: wired(days)}
    shown = current([published(python_quote(Metal.GOLD, "13000"))], seq=5)
    html = in_tamil(lambda: metal_page(shown, minutes, days[::-1][:11], "ta"))
    with StubStream({"/": html}) as stream:
        connection = open_page(page, stream, price_update(6, gold=QUOTES["gold"], epoch="first"), status())
        marks = page.locator("#now .marks")
        expect(marks).to_have_text("பழைய விலை")
        expect(page.locator("#chart canvas").first).to_be_attached()
        page.locator("#styles button").last.click()
        expect(page.locator("#legend")).to_contain_text("தொடக்கம்")
        page.locator("#measure [name=unit]").select_option("tola")
        expect(page.locator("[data-measure=per]:visible").first).to_contain_text("தோலாவுக்கு")
        check(page)

        for seq, (metal, mark) in enumerate(
            {"silver": "மாற்று விலை", "platinum": "கற்பனை", "palladium": "நேரலை"}.items(), 7
        ):
            connection.send(price_update(seq, gold=QUOTES[metal], epoch="first"))
            expect(marks).to_have_text(mark)
            check(page)

        connection.close(1008, "Server at capacity")
        expect(page.locator("#connection")).to_contain_text(FULL)
        expect(page.locator("#notices")).to_contain_text(LOST)
        check(page)


def test_a_shops_screen(page: Page, expected_errors: list[str]) -> None:
    expected_errors.append(SERVER_GONE)
    with StubStream({"/": in_tamil(lambda: screen_page(ROWS, current(), language="ta"))}) as stream:
        connection = open_page(page, stream, price_update(1, **QUOTES), status())
        expect(page.locator(".marks")).to_have_text(["பழைய விலை", "மாற்று விலை", "கற்பனை", "நேரலை"])
        expect(page.locator("#date")).to_contain_text("நவ.")
        expect(page.locator("#connectiontext")).to_have_text("இணைந்துள்ளது")
        check(page)

        connection.close(1008, "Server at capacity")
        expect(page.locator("#connection")).to_contain_text(FULL)
        expect(page.locator("#notices")).to_contain_text(LOST)
        check(page)


def test_elements_in_a_page_of_others(page: Page, expected_errors: list[str]) -> None:
    expected_errors.append(SERVER_GONE)
    html = (
        f'<!doctype html><html lang="ta"><body><swarna-sheet rows="{ROWS},wood,gold:1,gold:999:stone"></swarna-sheet>'
        '<swarna-price metal="palladium"></swarna-price><swarna-price metal="wood"></swarna-price>'
        '<script type="module" src="/static/client/element.js"></script>'
    )
    with StubStream({"/": lambda: html}) as stream:
        connection = open_page(page, stream, price_update(1, **QUOTES), status())
        sheet = page.locator("swarna-sheet")
        expect(sheet.locator(".marks")).to_have_text(["பழைய விலை", "மாற்று விலை", "கற்பனை", "நேரலை"])
        expect(sheet.locator(".age").first).to_contain_text("முன்")
        check_elements(page)

        connection.close(1008, "Server at capacity")
        expect(sheet).to_contain_text(LOST)
        check_elements(page)


def check_elements(page: Page) -> None:
    """See that all that the elements of the page say now is in Tamil."""
    elements = page.locator("swarna-sheet, swarna-price")
    said = elements.evaluate_all("(all) => all.map((each) => `<div>${each.shadowRoot.innerHTML}</div>`).join('')")
    assert words_of_another(f'<html lang="ta">{said}</html>', "ta") == []
