"""Units and purities in a real browser: the digits that the API gives, for every price that can be on the wire."""

from collections.abc import Iterator
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from playwright.sync_api import Browser, Error, Page

from infra import formats
from prices.domain.fineness import PURITIES_OF, WEIGHTS_OF, finenesses, purity_labels
from prices.domain.quotes import LARGEST_PRICE, DayFigures, Metal, PublishedQuote
from prices.domain.units import PRICE_STEP, PURITIES, UNITS, converted
from tests.support.browser import new_page
from tests.support.measures import PAIRS, pairs, prices, prices_halfway
from tests.support.pages import open_test_page
from tests.support.quotes import quote
from tests.support.stub_stream import StubStream

again_and_again = settings(max_examples=50)
AMOUNTS = ("price", "high", "low", "open", "previousClose", "change")


@pytest.fixture(scope="module")
def lab(browser: Browser) -> Iterator[Page]:
    """A page that has the module as `units`, for all tests: converting is pure."""
    with StubStream() as stream, new_page(browser) as page:
        open_test_page(page, stream.http_url, "client.html")
        page.evaluate("import('/client/v1/units.js').then((units) => { window.units = units })")
        yield page


def in_browser(lab: Page, amounts: list[Decimal], unit: str, purity: str) -> list[str]:
    """These amounts as the page converts them, read from JSON as the client library reads a message."""
    json = "[" + ",".join(str(formats.number(amount)) for amount in amounts) + "]"
    convert = "([json, measure]) => JSON.parse(json).map((price) => units.convert(price, measure))"
    return list(lab.evaluate(convert, [json, {"unit": unit, "purity": purity}]))


def from_api(amounts: list[Decimal], unit: str, purity: str) -> list[str]:
    """The digits of the API's answers."""
    return [str(formats.number(converted(amount, unit=unit, purity=purity))) for amount in amounts]


def test_units_and_purities_are_the_servers_in_its_order(lab: Page):
    assert lab.evaluate("[units.UNITS, units.PURITIES]") == [list(UNITS), list(PURITIES)]
    theirs = [{metal.value: list(names[metal]) for metal in Metal} for names in (PURITIES_OF, WEIGHTS_OF)]
    assert lab.evaluate("[units.PURITIES_OF, units.WEIGHTS_OF]") == theirs
    named = "Object.fromEntries(Object.keys(units.PURITIES_OF).map((metal) => [metal, units.finenesses(metal)]))"
    assert lab.evaluate(named) == {metal.value: finenesses(metal) for metal in Metal}


def test_purities_have_the_servers_labels(lab: Page):
    labels = "(metal) => units.PURITIES_OF[metal].map((purity) => [purity, units.purityLabel(metal, purity)])"
    for metal in Metal:
        assert dict(lab.evaluate(labels, metal)) == purity_labels(metal)


def test_the_least_the_largest_and_halfway_prices_have_the_servers_digits(lab: Page):
    # A difference in the last digit of any factor is seen in the largest price.
    ends = [PRICE_STEP, LARGEST_PRICE, LARGEST_PRICE / 3 // PRICE_STEP * PRICE_STEP]
    for unit, purity in PAIRS:
        amounts = ends + prices_halfway(unit, purity)
        assert in_browser(lab, amounts, unit, purity) == from_api(amounts, unit, purity)


@given(amounts=st.lists(prices, min_size=1, max_size=100), pair=pairs)
@again_and_again
def test_any_price_has_the_servers_digits(lab: Page, amounts: list[Decimal], pair: tuple[str, str]):
    assert in_browser(lab, amounts, *pair) == from_api(amounts, *pair)


@given(
    in_order=st.lists(prices, min_size=3, max_size=3).map(sorted),
    opened=prices,
    close=st.none() | prices,
    pair=pairs,
)
@again_and_again
def test_a_quote_is_converted_as_the_server_converts_it(
    lab: Page, in_order: list[Decimal], opened: Decimal, close: Decimal | None, pair: tuple[str, str]
):
    low, middle, high = in_order
    day = DayFigures(open=opened, high=high, low=low, previous_close=close)
    published = PublishedQuote(seq=1, quote=quote(price=str(middle)), day=day)
    unit, purity = pair
    theirs = figures(published.in_units(unit=unit, purity=purity))
    streamed = "{" + ",".join(f'"{name}":{text or "null"}' for name, text in figures(published).items()) + "}"
    convert = "([wire, measure]) => units.convertQuote(JSON.parse(wire), measure)"
    assert lab.evaluate(convert, [streamed, {"unit": unit, "purity": purity}]) == theirs


def figures(published: PublishedQuote) -> dict[str, str | None]:
    """A quote's amounts by their names on the wire, in the digits of the wire."""
    day = published.day
    amounts = (published.quote.price, day.high, day.low, day.open, day.previous_close, published.change)
    digits = [None if amount is None else str(formats.number(amount)) for amount in amounts]
    return dict(zip(AMOUNTS, digits, strict=True))


def test_all_else_of_a_quote_stays_and_nothing_is_added(lab: Page):
    quoted = {"price": 100, "bid": 99.5, "changePercent": 0.15, "source": "gold_api_com", "stale": False, "of": [1]}
    shown = lab.evaluate("(quote) => units.convertQuote(quote, { unit: 'tola', purity: '995' })", quoted)
    assert shown == quoted | {"price": "1161.7102", "bid": "1155.9016"}


def test_the_seeds_quote_without_a_previous_close_has_its_change_converted(lab: Page):
    quoted = {"price": 5420.5, "change": -25.3, "changePercent": -0.47, "high": 5435, "low": 5380}
    shown = lab.evaluate("(quote) => units.convertQuote(quote, { purity: '22k' })", quoted)
    assert (shown["change"], shown["changePercent"]) == ("-23.1917", -0.47)


def test_the_default_measure_is_as_streamed(lab: Page):
    calls = ["13221.39", "13221.39, {}", "13221.39, { unit: undefined }", "'13221.39', { purity: '999' }"]
    assert {lab.evaluate(f"units.convert({call})") for call in calls} == {"13221.39"}
    assert lab.evaluate("units.convert(1, { unit: 'kg' })") == "1000"
    assert lab.evaluate("units.convert(1, { purity: '925', metal: 'silver' })") == "0.925"


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (
            "1, { unit: 'stone' }",
            "Unknown unit stone. Choose from gram, 8gram, 10gram, 100gram, tola, kg, troy_ounce",
        ),
        ("1, { purity: '21k' }", "Unknown purity 21k. Choose from 24k, 23k"),
        ("1, { purity: '22k', metal: 'silver' }", "silver has no purity 22k. Choose from 24k, 999, 990"),
        ("1, { metal: 'constructor' }", "Unknown metal constructor. Choose from gold, silver"),
        ("1, { unit: 'constructor' }", "Unknown unit constructor"),
        ("NaN", "NaN is not a price"),
        ("null", "null is not a price"),
        ("'1,000'", "1,000 is not a price"),
        ("1e21", "1e+21 is not a price"),
    ],
)
def test_an_invalid_conversion_is_rejected_with_the_reason(lab: Page, call: str, reason: str):
    with pytest.raises(Error, match="RangeError") as raised:
        lab.evaluate(f"units.convert({call})")
    assert reason in str(raised.value)


def test_a_number_made_of_a_price_per_gram_is_that_price(lab: Page):
    prices_per_gram = [str(LARGEST_PRICE), "99999999999.9998", "13221.39", "0.0001"]
    back = "(texts) => texts.map((text) => String(Number(units.convert(text))))"
    assert lab.evaluate(back, prices_per_gram) == prices_per_gram
