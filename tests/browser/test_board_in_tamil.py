"""The board in another language than English, from the server's page to all that its script writes."""

from django.utils import translation
from playwright.sync_api import Page, expect

from tests.support.one_language import words_of_another
from tests.support.pages import SERVER_GONE
from tests.support.pages.board import board_page, current
from tests.support.stub_stream import StubStream, move, price_update, quote, status

NOW = "2026-11-01T18:31:12.000Z"


def tamil_page() -> str:
    with translation.override("ta"):
        return board_page("gold:916:10gram,silver:999:kg,platinum,palladium", current(), "ta")


def test_the_script_writes_in_the_pages_language(page: Page, expected_errors: list[str]) -> None:
    expected_errors.append(SERVER_GONE)
    with StubStream({"/": tamil_page}) as stream:
        # One of each mark, and of each kind of source.
        stream.greeting = [
            price_update(
                1,
                gold=quote(13221.39, stale=True),
                silver=quote(165, source="fallback"),
                platinum=quote(4900, source="simulated"),
                palladium=quote(4300, source="consensus", contributors=3, dispersionPercent=0.05, previousClose=None),
            ),
            status(),
        ]
        page.clock.install(time=NOW)
        page.goto(stream.http_url)
        connection = stream.connection()
        connection.wait_for("subscribe")
        connection.send({"type": "pong", "timestamp": NOW})
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
        expect(page.locator("#connection")).to_contain_text("சேவையகம் முழுக் கொள்ளளவில் உள்ளது")
        expect(page.locator("#notices")).to_contain_text("இணைப்பு இல்லை.")
        check(page)


def check(page: Page) -> None:
    """See that all that the page says now is in Tamil."""
    assert words_of_another(page.content(), "ta") == []
