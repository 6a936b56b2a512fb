"""The parser of metalpriceapi.com's answers, with good and bad ones."""

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given

from prices.domain.quotes import Metal, Quote
from prices.providers import metalpriceapi
from prices.providers.errors import PermanentError, ProviderError, QuotaError, TemporaryError
from tests.support.quotes import NOW
from tests.support.strange import changed, check, damaged, decoded, json_values, nested

USD = decoded(
    """{"success":true,"base":"USD","timestamp":1753333333,
    "rates":{"XAU":0.00053853,"USDXAU":1856.906765,"INR":83.12,"USDINR":0.01203}}"""
)
INR = decoded(
    """{"success":true,"base":"INR","timestamp":1751356800,"rates":{"XAU":3.4858e-06,"INRXAU":286877.2,"XAG":0.00030606,
    "INRXAG":3267.3,"XPT":8.4066e-06,"INRXPT":118954.04,"XPD":9.7453e-06,"INRXPD":102613.34}}"""
)
BY_RECIPROCALS = INR | {"rates": {name: rate for name, rate in INR["rates"].items() if not name.startswith("INR")}}
ALL = tuple(Metal)


def parse(answer: Any, *, currency: str = "INR") -> dict[Metal, Quote | ProviderError]:
    return metalpriceapi.parse(answer, metals=ALL, currency=currency, now=NOW)


def gold(answer: Any, *, currency: str = "INR") -> Quote | ProviderError:
    return parse(answer, currency=currency)[Metal.GOLD]


# --- answers -------------------------------------------------------------------------------------------------------


def test_one_answer_holds_a_quote_per_gram_of_each_metal() -> None:
    expected = {"gold": "9223.3162", "silver": "105.0461", "platinum": "3824.4612", "palladium": "3299.0955"}
    assert parse(INR) == {
        Metal(metal): Quote(
            metal=Metal(metal),
            price=Decimal(price),
            currency="INR",
            source="metalpriceapi",
            quoted_at=dt.datetime(2025, 7, 1, 8, tzinfo=dt.UTC),
        )
        for metal, price in expected.items()
    }


def test_any_currency_will_do_and_what_is_not_there_does_not_cost_the_others() -> None:
    found = parse(USD, currency="USD")
    assert found[Metal.GOLD] == Quote(
        metal=Metal.GOLD,
        price=Decimal("59.7009"),
        currency="USD",
        source="metalpriceapi",
        quoted_at=dt.datetime(2025, 7, 24, 5, 2, 13, tzinfo=dt.UTC),
    )
    assert [str(found[metal]) for metal in ALL[1:]] == [f"gives nothing as {each}" for each in ("XAG", "XPT", "XPD")]


def test_a_reciprocal_is_inverted_where_there_is_no_pair() -> None:
    prices = [quote.price for quote in parse(BY_RECIPROCALS).values() if isinstance(quote, Quote)]
    # 1 / 3.4858e-06 / 31.1034768, and so on; the reciprocal's five digits are all that is known.
    assert prices == [Decimal(price) for price in ("9223.3480", "105.0472", "3824.4649", "3299.1028")]


def test_all_digits_of_a_reciprocal_count() -> None:
    reciprocal = 1 / Decimal("286877.2")
    quote = gold(changed(BY_RECIPROCALS, "rates.XAU", reciprocal))
    assert isinstance(quote, Quote)
    assert quote.price == Decimal("9223.3162")


def test_a_pair_is_preferred_though_its_reciprocal_has_a_digit_only() -> None:
    quote = gold(changed(INR, "rates.XAU", Decimal("3e-06")))
    assert isinstance(quote, Quote)
    assert quote.price == Decimal("9223.3162")


@pytest.mark.parametrize(
    ("pair", "reciprocal", "detail"),
    [
        ("286877.2", "286877.2", "gives '286877.2' as INRXAU and '286877.2' as XAU"),
        ("0.0000034858", "0.0000034858", "gives '0.0000034858' as INRXAU and '0.0000034858' as XAU"),
        ("286877.2", "0.0003", "gives '286877.2' as INRXAU and '0.0003' as XAU"),
        ("286877.2", "NaN", "gives 'NaN' as XAU, which is not a positive number"),
        (..., "0.0000035", "gives '0.0000035' as XAU, which has too few digits"),
        (..., "3.4e-06", "gives '0.0000034' as XAU, which has too few digits"),
        (..., "1.2345e-16", "gives '1.2345E-16' as XAU, which has too few digits"),
        (..., "1.2345e-1000001", "gives '1.2345E-1000001' as XAU, which has too few digits"),
        (..., "0", "gives '0' as XAU, which is not a positive number"),
        (..., "-0.0000034858", "gives '-0.0000034858' as XAU, which is not a positive number"),
        (..., ..., "gives nothing as XAU"),
        (None, None, "gives nothing as XAU"),
        ("0", "0.0000034858", "gives '0' as INRXAU, which is not a positive number"),
        ("-286877.2", "0.0000034858", "gives '-286877.2' as INRXAU, which is not a positive number"),
        ("NaN", "0.0000034858", "gives 'NaN' as INRXAU, which is not a positive number"),
    ],
)
def test_a_rate_that_cannot_be_believed_costs_its_metal_alone(pair: Any, reciprocal: Any, detail: str) -> None:
    found = parse(changed(changed(INR, "rates.INRXAU", pair), "rates.XAU", reciprocal))
    assert isinstance(found[Metal.GOLD], TemporaryError)
    assert detail in str(found[Metal.GOLD])
    assert all(isinstance(found[metal], Quote) for metal in ALL[1:])


# --- answers that are none -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (101, PermanentError),
        (102, PermanentError),
        (103, PermanentError),
        (104, TemporaryError),
        (105, QuotaError),
        (201, PermanentError),
        (202, PermanentError),
        (203, PermanentError),
        (205, PermanentError),
        (300, TemporaryError),
        (999, TemporaryError),
    ],
)
@pytest.mark.parametrize("write", [Decimal, str], ids=["a number", "a text"])
def test_each_code_is_of_its_kind(code: int, kind: type[ProviderError], write: type) -> None:
    failure = {"success": False, "error": {"statusCode": write(code), "message": "Something is wrong."}}
    with pytest.raises(kind, match=f"^answers with failure '{code}': 'Something is wrong.'$"):
        parse(failure)
    assert type(metalpriceapi.failure(failure)) is kind


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        (
            '{"success":false,"error":{"statusCode":101,"message":"User did not supply an API Key"}}',
            "answers with failure '101': 'User did not supply an API Key'",
        ),
        ('{"success":false}', "answers with failure 'nothing': nothing"),
        ('{"success":false,"error":"down"}', "answers with failure 'nothing': 'down'"),
        ('{"message":"Invalid authentication credentials."}', "gives nothing as success"),
        ('{"success":"yes"}', "gives 'yes' as success"),
        ("[]", "answers with a list where an object was expected"),
    ],
)
def test_a_failure_has_the_providers_own_message(text: str, detail: str) -> None:
    with pytest.raises(ProviderError) as raised:
        parse(decoded(text))
    assert str(raised.value) == detail


@pytest.mark.parametrize(
    ("path", "said", "kind", "detail"),
    [
        ("base", "USD", PermanentError, "quotes in 'USD', not in INR"),
        ("base", ..., PermanentError, "quotes in nothing, not in INR"),
        ("rates", ..., TemporaryError, "gives nothing as rates"),
        ("rates", [], TemporaryError, "gives a list as rates"),
        ("timestamp", ..., TemporaryError, "gives nothing as timestamp, which is not a time"),
        ("timestamp", Decimal(0), TemporaryError, "which cannot be when it was quoted"),
        ("timestamp", "tomorrow", TemporaryError, "gives 'tomorrow' as timestamp, which is not a time"),
    ],
)
def test_what_concerns_all_metals_is_refused_in_words(
    path: str, said: Any, kind: type[ProviderError], detail: str
) -> None:
    with pytest.raises(kind) as raised:
        parse(changed(INR, path, said))
    assert detail in str(raised.value)


@pytest.mark.parametrize("field", ["success", "base", "rates", "timestamp", "error", "error.statusCode"])
@pytest.mark.parametrize("said", ["x" * 200_000, Decimal("9" * 200_000), "one\ntwo", nested(10_000)], ids=lambda _: "")
def test_an_error_is_one_short_line(field: str, said: Any) -> None:
    failing = {"success": False, "error": {"statusCode": Decimal(101), "message": said}}
    with pytest.raises(ProviderError) as raised:
        parse(changed(failing if field.startswith("error") else INR, field, said))
    assert len(str(raised.value)) < 250
    assert len(str(raised.value).splitlines()) == 1


@given(damaged(INR) | damaged(BY_RECIPROCALS) | json_values)
def test_whatever_comes_is_quotes_or_an_error(answer: Any) -> None:
    try:
        found = parse(answer)
    except ProviderError as error:
        check(error, source="metalpriceapi")
        return
    assert list(found) == list(ALL)
    for metal, said in found.items():
        check(said, metal=metal, source="metalpriceapi")
