"""The parser of goldapi.io's answers, with good and bad ones."""

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given

from prices.domain.quotes import Metal, Quote
from prices.providers import goldapi_io
from prices.providers.errors import PermanentError, ProviderError, QuotaError, TemporaryError
from tests.support.quotes import NOW
from tests.support.strange import changed, check, damaged, decoded, json_values, nested

USD = decoded(
    """{"timestamp":1717178838,"metal":"XAU","currency":"USD","exchange":"FOREXCOM","symbol":"FOREXCOM:XAUUSD",
    "prev_close_price":2343.2,"open_price":2343.2,"low_price":2324.025,"high_price":2359.74,"open_time":1717113600,
    "price":2325.65,"ch":-17.55,"chp":-0.75,"ask":2326.09,"bid":2325.46,"price_gram_24k":74.7714,
    "price_gram_22k":68.5404,"price_gram_21k":65.425,"price_gram_20k":62.3095,"price_gram_18k":56.0785,
    "price_gram_16k":49.8476,"price_gram_14k":43.6166,"price_gram_10k":31.1547}"""
)
INR = decoded(
    """{"timestamp":1751356800,"metal":"XAU","currency":"INR","exchange":"FOREXCOM","symbol":"FOREXCOM:XAUINR",
    "prev_close_price":286114.7,"open_price":286299.2,"low_price":285915.7,"high_price":287265.5,
    "open_time":1751328000,"price":286877.2,"ch":762.5,"chp":0.27,"ask":286887.2,"bid":286877.2,
    "price_gram_24k":9223.3162}"""
)
# Of a newer family of answers; and of a metal whose bid and ask are null in this currency.
NEWER = {{"ch": "change", "chp": "change_percent"}.get(name, name): value for name, value in INR.items()}
PALLADIUM = INR | {"metal": "XPD", "price": Decimal("102613.34")} | dict.fromkeys(["bid", "ask", "ch", "chp"])
IN_INR = Quote(
    metal=Metal.GOLD,
    price=Decimal("9223.3162"),
    currency="INR",
    source="goldapi_io",
    quoted_at=dt.datetime(2025, 7, 1, 8, tzinfo=dt.UTC),
    bid=Decimal("9223.3162"),
    ask=Decimal("9223.6377"),
    open=Decimal("9204.7330"),
    high=Decimal("9235.8003"),
    low=Decimal("9192.4032"),
    previous_close=Decimal("9198.8012"),
)


def parse(answer: Any, *, metal: Metal = Metal.GOLD, currency: str = "INR") -> Quote:
    return goldapi_io.parse(answer, metal=metal, currency=currency, now=NOW)


# --- answers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [INR, NEWER], ids=["one family", "the newer one"])
def test_an_answer_becomes_a_quote_per_gram_with_all_that_it_holds(answer: Any) -> None:
    assert parse(answer) == IN_INR


def test_any_currency_will_do() -> None:
    assert parse(USD, currency="USD") == Quote(
        metal=Metal.GOLD,
        price=Decimal("74.7714"),
        currency="USD",
        source="goldapi_io",
        quoted_at=dt.datetime(2024, 5, 31, 18, 7, 18, tzinfo=dt.UTC),
        bid=Decimal("74.7653"),
        ask=Decimal("74.7855"),
        open=Decimal("75.3356"),
        high=Decimal("75.8674"),
        low=Decimal("74.7191"),
        previous_close=Decimal("75.3356"),
    )


@pytest.mark.parametrize(("answer", "currency"), [(USD, "USD"), (INR, "INR")])
def test_our_gram_is_the_providers_own(answer: dict[str, Decimal], currency: str) -> None:
    assert abs(parse(answer, currency=currency).price / answer["price_gram_24k"] - 1) < Decimal("1e-6")


@pytest.mark.parametrize(
    ("metal", "price", "per_gram"),
    [("silver", "3267.3", "105.0461"), ("platinum", "118954.04", "3824.4612"), ("palladium", "102613.34", "3299.0955")],
)
def test_each_metal_is_known_by_its_symbol(metal: str, price: str, per_gram: str) -> None:
    answer = PALLADIUM | {"metal": Metal(metal).symbol, "price": Decimal(price)}
    quote = parse(answer, metal=Metal(metal))
    assert (quote.price, quote.bid, quote.ask) == (Decimal(per_gram), None, None)


@pytest.mark.parametrize("name", ["open_price", "low_price", "high_price", "prev_close_price", "bid", "ask"])
@pytest.mark.parametrize("said", [None, ..., Decimal(0), Decimal(-1), "NaN", "", [], Decimal("9223.3"), nested(10_000)])
def test_a_figure_that_is_none_is_left_out_and_nothing_else_is(name: str, said: Any) -> None:
    field = {"prev_close_price": "previous_close"}.get(name, name.removesuffix("_price"))
    quote = parse(changed(INR, name, said))
    assert {each: getattr(quote, each) for each in FIGURES} == FIGURES | {field: None}
    assert quote.price == IN_INR.price


FIGURES = {each: getattr(IN_INR, each) for each in ("bid", "ask", "open", "high", "low", "previous_close")}


@pytest.mark.parametrize(
    ("contradicting", "left_out"),
    [
        ({"bid": "286900"}, {"bid", "ask"}),
        ({"high_price": "285000"}, {"high", "low"}),
        ({"open_price": "290000"}, {"open"}),
        ({"open_price": "280000"}, {"open"}),
        ({"ask": "28688720"}, {"ask"}),
    ],
    ids=["a bid above the ask", "a high below the low", "an open above", "an open below", "another currency's ask"],
)
def test_figures_that_contradict_each_other_are_left_out(contradicting: dict[str, str], left_out: set[str]) -> None:
    quote = parse(INR | contradicting)
    assert quote.price == IN_INR.price
    assert {name for name in FIGURES if getattr(quote, name) is None} == left_out


@pytest.mark.parametrize(
    "said", [Decimal(1751356800), Decimal(1751356800000), "1751356800", "2025-07-01T08:00:00Z"], ids=str
)
def test_a_time_may_be_written_in_many_ways(said: Any) -> None:
    assert parse(INR | {"timestamp": said}) == IN_INR


# --- answers that are none -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("with_this", "kind", "detail"),
    [
        ({"error": "You have reached your monthly quota"}, QuotaError, "answers with an error: 'You have reached your"),
        ({"error": "Monthly quota exceeded."}, QuotaError, "answers with an error: 'Monthly quota exceeded.'"),
        ({"error": "Invalid API Key"}, PermanentError, "answers with an error: 'Invalid API Key'"),
        ({"error": "No data available"}, TemporaryError, "answers with an error: 'No data available'"),
        ({"error": ["?"]}, TemporaryError, "answers with an error: a list"),
        ({"metal": "XAG"}, TemporaryError, "answers for 'XAG', not for XAU"),
        ({"metal": ...}, TemporaryError, "answers for nothing, not for XAU"),
        ({"currency": "USD"}, PermanentError, "quotes in 'USD', not in INR"),
        ({"price": Decimal(0)}, TemporaryError, "gives '0' as price, which is not a positive number"),
        ({"price": Decimal(-1)}, TemporaryError, "gives '-1' as price, which is not a positive number"),
        ({"price": None}, TemporaryError, "gives nothing as price"),
        ({"price": ...}, TemporaryError, "gives nothing as price"),
        ({"price": "NaN"}, TemporaryError, "gives 'NaN' as price"),
        ({"price": Decimal("1e14")}, TemporaryError, "gives a price that cannot be"),
        ({"timestamp": None}, TemporaryError, "gives nothing as timestamp, which is not a time"),
        ({"timestamp": Decimal(1)}, TemporaryError, "which cannot be when it was quoted"),
    ],
)
def test_what_cannot_be_a_quote_is_refused_in_words(
    with_this: dict[str, Any], kind: type[ProviderError], detail: str
) -> None:
    answer = INR
    for path, value in with_this.items():
        answer = changed(answer, path, value) if path in answer else answer | {path: value}
    with pytest.raises(kind) as raised:
        parse(answer)
    assert detail in str(raised.value)


@pytest.mark.parametrize("field", ["metal", "currency", "error", "price", "timestamp"])
@pytest.mark.parametrize("said", ["x" * 200_000, Decimal("9" * 200_000), "one\ntwo", nested(10_000)], ids=lambda _: "")
def test_an_error_is_one_short_line(field: str, said: Any) -> None:
    with pytest.raises(ProviderError) as raised:
        parse(INR | {field: said})
    assert len(str(raised.value)) < 250
    assert len(str(raised.value).splitlines()) == 1


@given(damaged(INR) | json_values)
def test_whatever_comes_is_a_quote_or_an_error(answer: Any) -> None:
    said: Quote | ProviderError
    try:
        said = parse(answer)
    except ProviderError as error:
        said = error
    check(said, source="goldapi_io")
