"""`<swarna-price>` and `<swarna-sheet>` in pages of others, in a real browser."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from prices.domain.marks import LABELS
from tests.support.pages import SERVER_GONE
from tests.support.product import ROOT
from tests.support.stub_stream import StubConnection, StubStream, price_update, quote, status

NOW = "2026-11-01T18:31:12.000Z"
SCRIPT = '<script type="module" src="/static/client/element.js"></script>'
GREETING = [price_update(7, gold=quote(12000), silver=quote(150, stale=True)), status(nextChange=NOW)]


class Site:
    """A page of a shop, and the server whose prices it shows."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self._html = ""
        self.stream = StubStream({"/": lambda: f'<!doctype html><html lang="en"><body>{self._html}{SCRIPT}'})

    def open(self, html: str, *greeting: dict[str, object]) -> StubConnection:
        """Open the page with this in it, and return its connection."""
        self._html = html
        self.stream.greeting = list(greeting or GREETING)
        self.page.clock.install(time=NOW)
        self.page.goto(self.stream.http_url)
        return self.stream.connection()

    def element(self, name: str = "swarna-price") -> Locator:
        return self.page.locator(name)


@pytest.fixture
def site(page: Page) -> Iterator[Site]:
    site = Site(page)
    with site.stream:
        yield site


def test_a_price_is_shown_in_its_unit_and_purity_with_how_far_it_can_be_trusted(site: Site) -> None:
    site.open('<swarna-price metal="gold" purity="916" unit="10gram"></swarna-price>')
    price = site.element()
    for text in ("Gold", "22K · 916", "₹1,09,920.00", "per 10 g", "▲ +185.12 (+0.15%)", "Live", "from gold-api.com"):
        expect(price).to_contain_text(text)
    expect(price.locator("a")).to_have_attribute("href", f"{site.stream.http_url}/why/7/#gold")


def test_where_a_browser_does_not_know_colours_of_light_and_dark_a_mark_has_one(site: Site) -> None:
    style = (ROOT / "clients/js/client/element.js").read_text().replace("light-dark(", "of-the-future(")
    site.page.route("**/element.js", lambda route: route.fulfill(content_type="text/javascript", body=style))
    site.open('<swarna-price metal="gold"></swarna-price>')
    expect(site.element().locator(".marks")).to_have_text("Live")
    expect(site.element().locator(".marks")).to_have_css("color", "rgb(10, 106, 58)")


def test_in_a_sentence_a_price_is_its_amount_with_its_mark_unless_it_is_live(site: Site) -> None:
    site.open('<swarna-price compact metal="gold"></swarna-price><swarna-price compact metal="silver"></swarna-price>')
    for price, amount in zip(site.element().all(), ("₹12,000.00", "₹150.00"), strict=True):
        expect(price.locator(".amount")).to_have_text(amount)
        for name in (".name", ".unit", ".change", ".age"):
            expect(price.locator(name)).to_be_hidden()
    live, stale = site.element().locator(".marks").all()
    expect(live).to_be_hidden()
    expect(stale).to_be_visible()
    expect(stale).to_have_text("Stale")


def test_a_sheet_shows_its_rows_in_their_order_and_names_what_it_does_not_understand(site: Site) -> None:
    site.open('<swarna-sheet rows="XAG:999:kg,copper,gold:750:gram"></swarna-sheet>')
    rows = site.element("swarna-sheet").locator(".row")
    expect(rows).to_contain_text([re.compile("Silver.*Stale.*1,50,000.00", re.S), re.compile("Gold.*9,000.00", re.S)])
    expect(site.element("swarna-sheet").locator(".notice")).to_contain_text(
        [
            "Not all rows are understood. “copper” names no metal that is listed here.",
            "Stale: Silver. The source has not confirmed",
        ]
    )


def test_a_sheet_without_rows_shows_what_is_usual_in_the_currency_of_what_has_a_price(site: Site) -> None:
    site.open("<swarna-sheet></swarna-sheet>")
    names = site.element("swarna-sheet").locator("dt")
    expect(names).to_contain_text(["24K · 999", "22K · 916", "18K · 750", "Silver 999"])


def test_all_elements_of_a_page_share_one_connection_which_ends_with_the_last_of_them(site: Site) -> None:
    connection = site.open("<swarna-sheet></swarna-sheet>" + '<swarna-price metal="gold"></swarna-price>' * 3)
    expect(site.element().last).to_contain_text("₹12,000.00")
    # A framework that moves elements takes them away and puts them back.
    site.page.evaluate("document.body.append(...document.querySelectorAll('swarna-price, swarna-sheet'))")
    site.page.clock.run_for(2_000)
    connection.send(price_update(8, gold=quote(12001)))
    expect(site.element().last).to_contain_text("₹12,001.00")
    assert not site.stream.has_connection()
    site.page.evaluate("document.querySelectorAll('swarna-price, swarna-sheet').forEach((each) => each.remove())")
    site.page.clock.run_for(2_000)
    connection.wait_until_closed()


def test_an_element_follows_its_attributes_and_its_language(site: Site) -> None:
    site.open('<swarna-price metal="gold">Gold: ask us.</swarna-price>')
    price = site.element()
    expect(price).to_contain_text("₹12,000.00")
    price.evaluate("(price) => { price.setAttribute('purity', '750'); price.setAttribute('lang', 'hi') }")
    expect(price).to_contain_text("₹9,000.00")
    expect(price).to_contain_text("सोना")
    expect(price.locator(".view")).to_have_attribute("lang", "hi")
    # The price of before is not one of copper.
    price.evaluate("(price) => { price.setAttribute('metal', 'copper'); price.setAttribute('lang', 'xx') }")
    expect(price).to_contain_text("Gold: ask us.")
    expect(price).to_contain_text("“copper:750:gram” names no metal that is listed here.")
    expect(price).not_to_contain_text("₹")


def test_where_others_test_their_pages_elements_show_their_price(site: Site) -> None:
    site.page.add_init_script("delete Element.prototype.part")  # as jsdom and happy-dom, which have none
    site.open('<swarna-price metal="gold"></swarna-price>')
    expect(site.element()).to_contain_text("₹12,000.00")


def test_a_frameworks_false_is_no_compact(site: Site) -> None:
    # Some write `compact={false}` so, as they do not know the attribute.
    site.open('<swarna-price metal="gold" compact="false"></swarna-price>')
    expect(site.element().locator(".name")).to_be_visible()
    expect(site.element().locator(".change")).to_be_visible()


def test_within_other_elements_an_element_has_the_language_around_them(site: Site) -> None:
    site.open('<div lang="hi"><p></p></div><swarna-price metal="silver"></swarna-price>')
    part = "document.querySelector('p').attachShadow({ mode: 'open' })"
    site.page.evaluate(f"{part}.innerHTML = '<swarna-price metal=gold></swarna-price>'")
    expect(site.element("[metal=gold]")).to_contain_text("सोना")
    expect(site.element("[metal=silver]")).to_contain_text("Silver")


def test_the_address_of_the_stream_names_a_server_too(site: Site) -> None:
    # As the client is given it.
    stream = site.stream.http_url.replace("http", "ws")
    site.open(f'<swarna-price metal="gold"></swarna-price><swarna-sheet server="{stream}" rows="gold"></swarna-sheet>')
    board = site.element("swarna-sheet").locator("a")
    expect(board).to_have_attribute("href", re.compile(f"^{site.stream.http_url}/"))
    assert not site.stream.has_connection()


def test_before_its_first_price_an_element_shows_what_stands_in_it_and_says_why(site: Site) -> None:
    site.open('<swarna-price metal="gold">Gold: ask us.</swarna-price>', status("down"))
    expect(site.element()).to_contain_text("Gold: ask us.")
    expect(site.element().locator(".notice")).to_have_text("No prices. No source has answered yet.")


def test_without_content_of_its_own_an_element_is_as_high_before_its_prices_as_after(site: Site) -> None:
    elements = '<swarna-price metal="gold"></swarna-price><swarna-sheet rows="gold,silver:999:kg"></swarna-sheet>'
    connection = site.open(elements, status())
    expect(site.element()).to_contain_text("Waiting for a price")
    expect(site.element("swarna-sheet")).to_contain_text("Waiting for a price")
    height = "document.querySelector('swarna-sheet').getBoundingClientRect().bottom"
    before = site.page.evaluate(height)
    connection.send(price_update(7, gold=quote(12000), silver=quote(150)))
    expect(site.element()).to_contain_text("₹12,000.00")
    expect(site.element("swarna-sheet")).to_contain_text("₹1,50,000.00")
    assert site.page.evaluate(height) == before


def test_a_price_that_is_not_kept_up_to_date_says_so(site: Site, expected_errors: list[str]) -> None:
    expected_errors.append(SERVER_GONE)
    site.open('<swarna-price metal="gold"></swarna-price><swarna-sheet rows="gold"></swarna-sheet>')
    expect(site.element()).to_contain_text("Live")
    site.stream.stop()
    expect(site.element()).to_contain_text("Last known")
    expect(site.element()).not_to_contain_text("Live")
    site.page.clock.run_for(6_000)
    notice = site.element("swarna-sheet").locator(".notice")
    expect(notice).to_contain_text("Not connected. These are the last prices, from 2 Nov 2026, 12:00:01 am")


def test_an_age_is_by_the_servers_clock_and_until_that_is_known_a_price_says_when_it_is_of(site: Site) -> None:
    # A snapshot may be of any time, so that it does not tell the server's.
    snapshot = price_update(7, gold=quote(12000), snapshot=True)
    connection = site.open('<swarna-price metal="gold"></swarna-price>', snapshot, status())
    expect(site.element().locator(".age")).to_have_text("as of 2 Nov 2026, 12:00 am")
    connection.send({"type": "heartbeat", "timestamp": "2026-11-01T20:30:00.000Z"})
    expect(site.element().locator(".age")).to_have_text("2 h ago")


def test_an_element_that_cannot_show_its_price_takes_live_off_it_and_off_no_other(
    site: Site, expected_errors: list[str]
) -> None:
    expected_errors.append("is not a price")
    both = '<swarna-price metal="gold"></swarna-price><swarna-price metal="silver"></swarna-price>'
    connection = site.open(both, price_update(7, gold=quote(12000), silver=quote(150)), status())
    gold, silver = site.element().all()
    expect(gold.locator(".marks")).to_have_text("Live")
    connection.send(price_update(8, gold=quote(12001, high="1e3"), silver=quote(151)))
    expect(silver.locator(".amount")).to_have_text("₹151.00")
    expect(silver.locator(".marks")).to_have_text("Live")
    expect(gold.locator(".amount")).to_have_text("₹12,000.00")
    expect(gold.locator(".marks")).to_have_text("Last known")


def test_another_server_is_named_by_an_attribute_and_a_wrong_one_leaves_what_stands_there(
    site: Site, expected_errors: list[str]
) -> None:
    expected_errors.append("<swarna-price>: Failed to construct 'URL'")
    site.open(
        '<swarna-price metal="gold" server="http://[">Ask us.</swarna-price>'
        '<swarna-price metal="gold" server="."></swarna-price>'
    )
    expect(site.element().last).to_contain_text("₹12,000.00")
    expect(site.element().first).to_have_text("Ask us.")


def test_a_page_styles_the_parts_by_how_far_a_price_can_be_trusted(site: Site) -> None:
    site.open('<swarna-price metal="silver"></swarna-price>')
    site.page.evaluate(
        "document.adoptedStyleSheets = [new CSSStyleSheet()];"
        "document.adoptedStyleSheets[0].replaceSync('swarna-price::part(stale) { color: rgb(1, 2, 3) }')"
    )
    expect(site.element().locator(".marks")).to_have_css("color", "rgb(1, 2, 3)")


def test_the_documents_name_every_part(site: Site) -> None:
    site.open('<swarna-price metal="gold"></swarna-price><swarna-sheet rows="gold,silver,copper"></swarna-sheet>')
    expect(site.element()).to_contain_text("Gold")
    expect(site.element("swarna-sheet")).to_contain_text("Silver")
    parts = "[...document.querySelectorAll('swarna-price, swarna-sheet')].flatMap((element) => "
    parts += "[...element.shadowRoot.querySelectorAll('[part]')].flatMap((each) => [...each.part]))"
    table = (ROOT / "docs/widgets.md").read_text().split("| part |")[1].split("\n\n")[0]
    documented = set(re.findall("`(.*?)`", table))
    not_here = {*LABELS, "unconnected", "plain", "danger"} - {"live", "stale"}
    assert set(site.page.evaluate(parts)) == documented - not_here
