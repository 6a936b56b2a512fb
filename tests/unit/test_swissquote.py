"""The parser of Swissquote's answers, with good and bad ones."""

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prices.domain.quotes import Metal, Quote
from prices.providers import fx, swissquote
from prices.providers.errors import ProviderError, TemporaryError
from tests.support.quotes import NOW
from tests.support.strange import changed, check, damaged, decoded, json_values, nested

GOLD = decoded(
    """[{"topo":{"platform":"SwissquoteLtd","server":"Live5"},"spreadProfilePrices":[
    {"spreadProfile":"premium","bidSpread":25.60,"askSpread":25.60,"bid":4389.049,"ask":4389.711},
    {"spreadProfile":"prime","bidSpread":24.20,"askSpread":24.20,"bid":4389.063,"ask":4389.697}],"ts":1787059781075}]"""
)
QUOTED_AT = dt.datetime(2026, 8, 18, 13, 29, 41, 75000, tzinfo=dt.UTC)


def platform(ts: int, *bids_and_asks: tuple[str, str]) -> dict[str, Any]:
    """One platform's part of an answer."""
    return {
        "topo": {"platform": "AT", "server": "AT"},
        "spreadProfilePrices": [{"bid": Decimal(bid), "ask": Decimal(ask)} for bid, ask in bids_and_asks],
        "ts": Decimal(ts),
    }


def parse(answer: Any, *, currency: str = "USD", per_dollar: str = "1") -> Quote:
    rate = fx.Rate(Decimal(per_dollar), NOW, "par" if currency == "USD" else "frankfurter")
    return swissquote.parse(answer, metal=Metal.GOLD, currency=currency, rate=rate, now=NOW)


# --- answers -------------------------------------------------------------------------------------------------------


def test_the_middle_of_the_closest_bid_and_ask_becomes_a_quote_per_gram() -> None:
    assert parse(GOLD) == Quote(
        metal=Metal.GOLD,
        price=Decimal("141.1218"),  # (4389.063 + 4389.697) / 2 / 31.1034768
        currency="USD",
        source="swissquote",
        quoted_at=QUOTED_AT,
        bid=Decimal("141.1117"),
        ask=Decimal("141.1320"),
    )


def test_in_another_currency_all_of_it_is_that_times_the_rate_and_the_time_is_the_metals() -> None:
    assert parse(GOLD, currency="INR", per_dollar="95.96") == Quote(
        metal=Metal.GOLD,
        price=Decimal("13542.0521"),  # 4389.38 x 95.96 / 31.1034768, rounded once
        currency="INR",
        source="swissquote",
        quoted_at=QUOTED_AT,
        bid=Decimal("13541.0741"),
        ask=Decimal("13543.0302"),
    )


def test_of_several_platforms_the_newest_counts() -> None:
    older = platform(1787059780000, ("4000.00", "4000.01"))
    newer = platform(1787059781000, ("4100", "4102"), ("4100", "4101"))
    for answer in ([older, newer], [newer, older]):
        quote = parse(answer)
        assert (quote.bid, quote.ask) == (Decimal("131.8181"), Decimal("131.8502"))


def test_a_platform_that_makes_no_sense_does_not_cost_the_others() -> None:
    broken = [{}, None, {"error": "?"}, platform(1787059781076), changed(GOLD, "0.ts", None)[0]]
    assert parse([*broken, *GOLD]) == parse(GOLD)


# --- answers that are none -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        ([], "gives no bid and ask"),
        ([platform(1787059781075)], "gives no bid and ask"),
        ({}, "answers with a dict where a list was expected"),
        ({"error": "Not found"}, "answers with a dict where a list was expected"),
        (None, "answers with a NoneType where a list was expected"),
        ([None], "answers with a NoneType where an object was expected"),
        ([platform(1787059781075, ("4389.7", "4389.0"))], "gives '4389.7' as bid and '4389.0' as ask"),
        ([platform(1787059781075, ("1", "4389.0"))], "gives '1' as bid and '4389.0' as ask"),
        ([platform(1787059781075, ("0", "4389.0"))], "gives '0' as bid, which is not a positive number"),
        ([platform(1787059781075, ("-4389.0", "4389.0"))], "gives '-4389.0' as bid, which is not a positive number"),
        ([platform(1787059781075, ("1e15", "1e15"))], "gives a price that cannot be"),
        ([platform(0, ("4389.0", "4389.7"))], "gives 1970-01-01T00:00:00Z as ts, which cannot be when it was quoted"),
    ],
)
def test_what_cannot_be_a_quote_is_refused_in_words(answer: Any, detail: str) -> None:
    with pytest.raises(TemporaryError) as raised:
        parse(answer)
    assert detail in str(raised.value)


@pytest.mark.parametrize(
    ("path", "said", "detail"),
    [
        ("0.ts", ..., "gives nothing as ts, which is not a time"),
        ("0.ts", "now", "gives 'now' as ts, which is not a time"),
        ("0.spreadProfilePrices", ..., "gives nothing as spreadProfilePrices"),
        ("0.spreadProfilePrices", {}, "gives an object as spreadProfilePrices"),
        ("0.spreadProfilePrices.0", "?", "answers with a str where an object was expected"),
        ("0.spreadProfilePrices.0.bid", None, "gives nothing as bid"),
        ("0.spreadProfilePrices.0.ask", "NaN", "gives 'NaN' as ask, which is not a positive number"),
        ("0.spreadProfilePrices.0.ask", nested(10_000), "gives a list as ask"),
        ("0.ts", "x" * 200_000, "gives 'xxx"),
    ],
)
def test_a_field_that_makes_no_sense_is_named(path: str, said: Any, detail: str) -> None:
    with pytest.raises(TemporaryError) as raised:
        parse(changed(changed(GOLD, "0.spreadProfilePrices.1", ...), path, said))
    assert detail in str(raised.value)
    assert len(str(raised.value)) < 250


@given(damaged(GOLD) | json_values, st.decimals(min_value="1e-17", max_value="1e17", allow_nan=False))
def test_whatever_comes_is_a_quote_or_an_error(answer: Any, per_dollar: Decimal) -> None:
    said: Quote | ProviderError
    try:
        said = parse(answer, currency="INR", per_dollar=str(per_dollar))
    except ProviderError as error:
        said = error
    check(said, source="swissquote")
