"""The parser of gold-api.com's answers, with good and bad ones."""

import datetime as dt
import json
import time
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prices.domain.quotes import Metal, Quote
from prices.providers import gold_api_com
from prices.providers.errors import PermanentError, ProviderError, TemporaryError
from prices.providers.parsing import CLOCK_SKEW
from tests.support.quotes import NOW
from tests.support.strange import check, damaged, json_values, nested

USD = """{"currency":"USD","currencySymbol":"$","exchangeRate":1.0,"name":"Gold","price":4274.299805,"symbol":"XAU",
"updatedAt":"2026-09-23T05:48:27Z","updatedAtReadable":"a few seconds ago"}"""
INR = """{"currency":"INR","currencySymbol":"₹","exchangeRate":95.96,"name":"Gold","price":286877.2,"symbol":"XAU",
"updatedAt":"2026-09-23T05:48:27Z","updatedAtReadable":"a few seconds ago"}"""
OLDER = """{"name":"Gold","price":4274.299805,"symbol":"XAU","updatedAt":"2026-09-23T05:48:27Z",
"updatedAtReadable":"a few seconds ago"}"""


def answer(text: str = INR, **changed: Any) -> dict[str, Any]:
    """An answer as `get_json` decodes it, with some fields changed, or left out where they are `...`."""
    fields: dict[str, Any] = json.loads(text, parse_float=Decimal, parse_int=Decimal) | changed
    return {name: value for name, value in fields.items() if value is not ...}


def parse(given: Any, *, metal: Metal = Metal.GOLD, currency: str = "INR") -> Quote:
    return gold_api_com.parse(given, metal=metal, currency=currency, now=NOW)


# --- answers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "currency", "per_gram"),
    [(INR, "INR", "9223.3162"), (USD, "USD", "137.4219"), (OLDER, "USD", "137.4219")],
    ids=["INR", "USD", "without a currency"],
)
def test_an_answer_becomes_a_quote_per_gram(text: str, currency: str, per_gram: str) -> None:
    assert parse(answer(text), currency=currency) == Quote(
        metal=Metal.GOLD,
        price=Decimal(per_gram),
        currency=currency,
        source="gold_api_com",
        quoted_at=dt.datetime(2026, 9, 23, 5, 48, 27, tzinfo=dt.UTC),
    )


@pytest.mark.parametrize(
    ("metal", "symbol"),
    [(Metal.GOLD, "XAU"), (Metal.SILVER, "XAG"), (Metal.PLATINUM, "XPT"), (Metal.PALLADIUM, "XPD")],
)
def test_each_metal_is_known_by_its_symbol(metal: Metal, symbol: str) -> None:
    assert parse(answer(symbol=symbol), metal=metal).metal is metal


@pytest.mark.parametrize(
    "said",
    [
        "2026-09-23T05:48:27Z",
        "2026-09-23T05:48:27.000Z",
        "2026-09-23T11:18:27+05:30",
        "2026-09-23T05:48:27",  # a source that names no zone means UTC
        Decimal(1790142507),
        Decimal(1790142507000),
        "1790142507",
    ],
)
def test_a_time_may_be_written_in_many_ways(said: Any) -> None:
    assert parse(answer(updatedAt=said)).quoted_at == dt.datetime(2026, 9, 23, 5, 48, 27, tzinfo=dt.UTC)


@pytest.mark.parametrize("price", [Decimal("286877.2"), "286877.2", " 286877.20 ", Decimal("2.868772E+5")])
def test_a_price_may_be_written_in_many_ways(price: Any) -> None:
    assert parse(answer(price=price)).price == Decimal("9223.3162")


def test_a_clock_that_runs_ahead_a_little_is_taken_for_ours() -> None:
    ahead = NOW + CLOCK_SKEW
    assert parse(answer(updatedAt=ahead.isoformat())).quoted_at == NOW


def test_an_old_quote_is_one_still() -> None:
    friday = "2026-09-18T21:00:00Z"
    assert parse(answer(updatedAt=friday)).quoted_at == dt.datetime(2026, 9, 18, 21, tzinfo=dt.UTC)


# --- answers that are none -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "kind", "detail"),
    [
        ({"symbol": "XAG"}, TemporaryError, "answers for 'XAG', not for XAU"),
        ({"symbol": ...}, TemporaryError, "answers for nothing, not for XAU"),
        ({"symbol": ["XAU"]}, TemporaryError, "answers for a list, not for XAU"),
        ({"currency": "USD"}, PermanentError, "quotes in 'USD', not in INR"),
        ({"currency": ...}, PermanentError, "quotes in 'USD', not in INR"),
        ({"currency": None}, PermanentError, "quotes in nothing, not in INR"),
        ({"error": "Symbol not found"}, TemporaryError, "answers with an error: 'Symbol not found'"),
        ({"error": {"code": 7}}, TemporaryError, "answers with an error: an object"),
        ({"price": ...}, TemporaryError, "gives nothing as price"),
        ({"price": None}, TemporaryError, "gives nothing as price"),
        ({"price": True}, TemporaryError, "gives 'True' as price"),
        ({"price": "four"}, TemporaryError, "gives 'four' as price"),
        ({"price": "1,234.5"}, TemporaryError, "gives '1,234.5' as price"),
        ({"price": []}, TemporaryError, "gives a list as price"),
        ({"price": Decimal(0)}, TemporaryError, "gives '0' as price, which is not a positive number"),
        ({"price": Decimal(-1)}, TemporaryError, "gives '-1' as price, which is not a positive number"),
        ({"price": "NaN"}, TemporaryError, "gives 'NaN' as price, which is not a positive number"),
        ({"price": "sNaN"}, TemporaryError, "gives 'sNaN' as price, which is not a positive number"),
        ({"price": "Infinity"}, TemporaryError, "gives 'Infinity' as price, which is not a positive number"),
        ({"price": Decimal("1e999999")}, TemporaryError, "gives '1E+999999' as price, which is not a positive number"),
        ({"price": Decimal("1e14")}, TemporaryError, "gives a price that cannot be"),
        ({"price": Decimal("1e-9")}, TemporaryError, "gives a price that cannot be"),
        ({"updatedAt": ...}, TemporaryError, "gives nothing as updatedAt, which is not a time"),
        ({"updatedAt": "a few seconds ago"}, TemporaryError, "gives 'a few seconds ago' as updatedAt"),
        ({"updatedAt": {"at": 1}}, TemporaryError, "gives an object as updatedAt, which is not a time"),
        ({"updatedAt": Decimal("1e999999")}, TemporaryError, "gives '1E+999999' as updatedAt, which is not a time"),
        ({"updatedAt": "9999-12-31T23:59:59-23:59"}, TemporaryError, "which is not a time"),
        ({"updatedAt": Decimal(0)}, TemporaryError, "which cannot be when it was quoted"),
        ({"updatedAt": "1999-12-31T23:59:59Z"}, TemporaryError, "which cannot be when it was quoted"),
        ({"updatedAt": "2026-09-24T08:02:01Z"}, TemporaryError, "when it was quoted (is our clock behind?)"),
    ],
)
def test_what_cannot_be_a_quote_is_refused_in_words(
    changed: dict[str, Any], kind: type[ProviderError], detail: str
) -> None:
    with pytest.raises(kind) as raised:
        parse(answer(**changed))
    assert detail in str(raised.value)


@pytest.mark.parametrize("given", [None, [], "XAU", Decimal(1), True, [answer()]])
def test_an_answer_that_is_no_object_is_refused(given: Any) -> None:
    with pytest.raises(TemporaryError, match="where an object was expected"):
        parse(given)


@pytest.mark.parametrize("field", ["symbol", "currency", "error", "price", "updatedAt"])
@pytest.mark.parametrize(
    "said",
    ["x" * 200_000, "9" * 200_000, Decimal("9" * 200_000), "Ends here.\n2026-09-24 WARNING prices: all is well\r\n"],
    ids=["long text", "long number in a text", "long number", "two lines"],
)
def test_an_error_is_one_short_line(field: str, said: Any) -> None:
    with pytest.raises(ProviderError) as raised:
        parse(answer(**{field: said}))
    assert len(str(raised.value)) < 250
    assert len(str(raised.value).splitlines()) == 1


@pytest.mark.parametrize("field", ["symbol", "currency", "error", "price", "updatedAt"])
def test_a_field_that_is_nested_deeply_is_refused_like_any_other(field: str) -> None:
    with pytest.raises(ProviderError):
        parse(answer(**{field: nested(100_000)}))


# --- whatever comes ------------------------------------------------------------------------------------------------

likely_answers = st.fixed_dictionaries(
    {},
    optional={
        "symbol": st.just("XAU") | json_values,
        "currency": st.just("INR") | json_values,
        "price": st.just(Decimal("286877.2")) | json_values,
        "updatedAt": st.just("2026-09-23T05:48:27Z") | json_values,
        "error": st.just("") | json_values,
    },
)


@given(damaged(answer()) | likely_answers | json_values)
def test_whatever_comes_is_a_quote_or_an_error_and_soon(given: Any) -> None:
    started = time.monotonic()
    said: Quote | ProviderError
    try:
        said = parse(given)
    except ProviderError as error:
        said = error
    check(said, source="gold_api_com")
    assert time.monotonic() - started < 1
