"""Languages in a real browser: the words and formats of pages, with the texts that the server writes."""

from collections.abc import Iterator

import pytest
from django.conf import settings
from playwright.sync_api import Browser, Page

from pages.languages import locale_of
from streaming.protocol import Close
from tests.support import notice_cases
from tests.support.browser import new_page
from tests.support.format_cases import cases
from tests.support.pages import open_test_page
from tests.support.stub_stream import StubStream

CURRENCIES = ["INR", "USD", "EUR", "GBP", "AED", "SGD", "JPY", "CHF"]


@pytest.fixture(scope="module")
def lab(browser: Browser) -> Iterator[Page]:
    """A page that has the modules as `words`, `format` and `marks`."""
    with StubStream() as stream, new_page(browser) as page:
        open_test_page(page, stream.http_url, "client.html")
        for name in ("words", "format", "marks"):
            page.evaluate(f"import('/static/client/{name}.js').then((module) => {{ window.{name} = module }})")
        yield page


def test_browsers_write_as_python_does(lab: Page):
    """tests/unit/test_formats.py has the same cases."""
    everything = cases()
    written = lab.evaluate(
        """async (cases) => {
            const texts = [];
            for (const { call, of, locale } of cases) {
                const formats = format.formats(await words.wordsIn(locale), { locale, timeZone: "Asia/Kolkata" });
                texts.push(formats[call](...of.map((it) => /^\\d{4}-\\d\\d-\\d\\dT/.test(it) ? Date.parse(it) : it)));
            }
            return texts;
        }""",
        [{"call": case.call, "of": case.of, "locale": case.locale} for case in everything],
    )
    differences = [(case, text) for case, text in zip(everything, written, strict=True) if text != case.text]
    assert differences == []


def test_scripts_say_of_prices_what_the_server_says(lab: Page):
    """tests/unit/test_notices.py has the same cases."""
    everything = notice_cases.cases()
    given = [
        {
            "quotes": list(case.quotes.items()),
            "areAll": len(case.quotes) == len(case.listed),
            "status": {
                "feed": case.feed,
                "market": case.market,
                "nextChange": notice_cases.NEXT_CHANGE,
                "metals": case.feeds,
            },
        }
        for case in everything
    ]
    said = lab.evaluate(
        """([cases, now]) => {
            const english = format.formats(words.ENGLISH, { locale: "en-IN", timeZone: "Asia/Kolkata" });
            return cases.map(({ quotes, areAll, status }) => {
                const usual = { source: "gold_api_com", stale: false };
                const wired = quotes.map(([metal, of]) => [metal, of && { ...usual, ...of }]);
                const shown = { status, quotes: wired, areAll, now: Date.parse(now), interruption: null };
                const marksOf = ([metal, quote]) => marks.marksShown(quote, true, marks.markAtBest(status, metal));
                return [wired.map(marksOf), marks.notices(shown, english)];
            });
        }""",
        [given, notice_cases.NOW.isoformat()],
    )
    assert said == [[case.marks, case.notices] for case in everything]


def test_languages_and_locales_are_the_servers(lab: Page):
    assert lab.evaluate("Object.entries(words.LANGUAGES)") == [list(pair) for pair in settings.LANGUAGES]
    pairs = [(code, currency) for code, _ in settings.LANGUAGES for currency in CURRENCIES]
    located = lab.evaluate("(pairs) => pairs.map((pair) => format.localeOf(...pair))", pairs)
    assert located == [locale_of(*pair) for pair in pairs]


def test_the_reasons_of_the_server_are_translated(lab: Page):
    shown = {close.reason for close in Close} - {Close.RESTART.reason}
    assert set(lab.evaluate("marks.REASONS")) == shown


def test_values_stand_in_place_of_their_names_as_text(lab: Page):
    said = lab.evaluate("words.ENGLISH._('{a} and {b}, {c}', { a: '$&', b: '<b>{a}</b>' })")
    assert said == "$& and <b>{a}</b>, {c}"


def test_a_number_chooses_the_form(lab: Page):
    say = """async (language) => {
        const { plural } = await words.wordsIn(language);
        return [0, 1, 2].map((count) => plural("{count} h ago", "{count} h ago", count));
    }"""
    assert lab.evaluate(say, "hi") == ["0 घंटा पहले", "1 घंटा पहले", "2 घंटे पहले"]
    assert lab.evaluate(say, "te") == ["0 గంటల క్రితం", "1 గంట క్రితం", "2 గంటల క్రితం"]


def test_a_catalog_that_cannot_be_loaded_leaves_english(browser: Browser):
    with StubStream() as stream, new_page(browser, ["Failed to load resource"]) as page:
        page.route("**/words/hi.js", lambda route: route.abort())
        open_test_page(page, stream.http_url, "client.html")
        page.evaluate("import('/static/client/words.js').then((module) => { window.words = module })")
        assert page.evaluate("words.wordsIn('hi').then(({ language, _ }) => [language, _('Gold')])") == ["en", "Gold"]
