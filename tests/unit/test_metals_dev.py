"""The parser of metals.dev's answers, with good and bad ones."""

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given

from prices.domain.quotes import Metal, Quote
from prices.providers import metals_dev
from prices.providers.errors import PermanentError, ProviderError, QuotaError, TemporaryError
from tests.support.quotes import NOW
from tests.support.strange import changed, check, damaged, decoded, json_values, nested

IN_OUNCES = decoded(
    """{"status":"success","currency":"USD","unit":"toz","metals":{"gold":1923.86,"silver":22.905,"platinum":916.569,
    "palladium":1229.684,"lbma_gold_am":1929.75,"mcx_gold":2212.307,"ibja_gold":2215.339,"copper":0.2584},
    "currencies":{"USD":1,"EUR":1.08798,"XAU":1923.88},
    "timestamps":{"metal":"2023-07-05T06:16:02.829Z","currency":"2023-07-05T06:16:04.204Z"}}"""
)
INR = decoded(
    """{"status":"success","currency":"INR","unit":"g","metals":{"gold":9223.3162,"silver":105.0461,
    "platinum":3824.4612,"palladium":3299.0955,"mcx_gold":9790.1,"copper":0.81},"currencies":{"INR":1,"USD":85.6},
    "timestamps":{"metal":"2025-07-01T08:00:00.000Z","currency":"2025-07-01T08:00:01.000Z"}}"""
)
ALL = tuple(Metal)


def parse(answer: Any, *, currency: str = "INR") -> dict[Metal, Quote | ProviderError]:
    return metals_dev.parse(answer, metals=ALL, currency=currency, now=NOW)


def prices(answer: Any, *, currency: str = "INR") -> list[Decimal]:
    return [quote.price for quote in parse(answer, currency=currency).values() if isinstance(quote, Quote)]


# --- answers -------------------------------------------------------------------------------------------------------


def test_one_answer_holds_a_quote_per_gram_of_each_metal() -> None:
    expected = {"gold": "9223.3162", "silver": "105.0461", "platinum": "3824.4612", "palladium": "3299.0955"}
    assert parse(INR) == {
        Metal(metal): Quote(
            metal=Metal(metal),
            price=Decimal(price),
            currency="INR",
            source="metals_dev",
            quoted_at=dt.datetime(2025, 7, 1, 8, tzinfo=dt.UTC),
        )
        for metal, price in expected.items()
    }


def test_an_answer_in_another_unit_is_read_in_its_own() -> None:
    per_gram = [Decimal(price) for price in ("61.8535", "0.7364", "29.4684", "39.5353")]
    assert prices(IN_OUNCES, currency="USD") == per_gram
    (gold, *_) = parse(IN_OUNCES, currency="USD").values()
    assert isinstance(gold, Quote)
    assert gold.quoted_at == dt.datetime(2023, 7, 5, 6, 16, 2, 829000, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("unit", "gold"), [("g", "9223316.2"), ("kg", "9223.3162"), ("mt", "9.2233"), ("toz", "296536.5017")]
)
def test_each_unit_is_known(unit: str, gold: str) -> None:
    assert prices(changed(INR | {"unit": unit}, "metals.gold", Decimal("9223316.2")))[0] == Decimal(gold)


def test_only_the_metals_of_the_request_are_given() -> None:
    assert list(metals_dev.parse(INR, metals=[Metal.SILVER], currency="INR", now=NOW)) == [Metal.SILVER]


@pytest.mark.parametrize(
    ("said", "detail"),
    [
        (..., "gives nothing as gold"),
        (None, "gives nothing as gold"),
        (Decimal(0), "gives '0' as gold, which is not a positive number"),
        (Decimal("-9223.3"), "gives '-9223.3' as gold, which is not a positive number"),
        ("NaN", "gives 'NaN' as gold, which is not a positive number"),
        (Decimal("1e12"), "gives a price that cannot be"),
        ({"price": Decimal(1)}, "gives an object as gold"),
    ],
    ids=str,
)
def test_a_metal_without_a_price_does_not_cost_the_others(said: Any, detail: str) -> None:
    gold, *others = parse(changed(INR, "metals.gold", said)).values()
    assert isinstance(gold, TemporaryError)
    assert detail in str(gold)
    assert [quote.price for quote in others if isinstance(quote, Quote)] == [
        Decimal("105.0461"),
        Decimal("3824.4612"),
        Decimal("3299.0955"),
    ]


# --- answers that are none -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (1101, PermanentError),
        (1201, PermanentError),
        (1202, PermanentError),
        (1203, QuotaError),
        (2101, PermanentError),
        (2102, PermanentError),
        (2103, PermanentError),
        (9999, TemporaryError),
    ],
)
@pytest.mark.parametrize("write", [Decimal, str], ids=["a number", "a text"])
def test_each_code_is_of_its_kind(code: int, kind: type[ProviderError], write: type) -> None:
    failure = {"status": "failure", "error_code": write(code), "error_message": "Something is wrong."}
    with pytest.raises(kind, match=f"^answers with failure '{code}': 'Something is wrong.'$"):
        parse(failure)
    assert type(metals_dev.failure(failure)) is kind


@pytest.mark.parametrize(
    ("text", "kind", "detail"),
    [
        (
            '{"status":"failure","error_code":1101,"error_message":"Unauthorized. The API Key provided is invalid."}',
            PermanentError,
            "answers with failure '1101': 'Unauthorized. The API Key provided is invalid.'",
        ),
        (
            '{"status":"failure","error_code":1203,'
            '"error_message":"The quota for the current month including the grace usage is exceeded."}',
            QuotaError,
            "answers with failure '1203': 'The quota for the current month including the grace usage is exceeded.'",
        ),
        ('{"status":"failure"}', TemporaryError, "answers with failure 'nothing': nothing"),
        ('{"status":"failure","error_code":[1203]}', TemporaryError, "answers with failure 'a list': nothing"),
        ("{}", TemporaryError, "gives nothing as status"),
        ('{"error":"gone"}', TemporaryError, "answers with an error: 'gone'"),
        ("[]", TemporaryError, "answers with a list where an object was expected"),
    ],
)
def test_a_failure_has_the_providers_own_message(text: str, kind: type[ProviderError], detail: str) -> None:
    with pytest.raises(kind) as raised:
        parse(decoded(text))
    assert str(raised.value) == detail


@pytest.mark.parametrize(
    ("path", "said", "kind", "detail"),
    [
        ("status", "partial", TemporaryError, "gives 'partial' as status"),
        ("currency", "USD", PermanentError, "quotes in 'USD', not in INR"),
        ("currency", ..., PermanentError, "quotes in nothing, not in INR"),
        ("unit", "lb", TemporaryError, "gives 'lb' as unit"),
        ("unit", ..., TemporaryError, "gives nothing as unit"),
        ("unit", ["g"], TemporaryError, "gives a list as unit"),
        ("metals", ..., TemporaryError, "gives nothing as metals"),
        ("metals", [], TemporaryError, "gives a list as metals"),
        ("timestamps", None, TemporaryError, "gives nothing as timestamps"),
        ("timestamps.metal", ..., TemporaryError, "gives nothing as metal, which is not a time"),
        ("timestamps.metal", "2027-01-01", TemporaryError, "which cannot be when it was quoted"),
    ],
)
def test_what_concerns_all_metals_is_refused_in_words(
    path: str, said: Any, kind: type[ProviderError], detail: str
) -> None:
    with pytest.raises(kind) as raised:
        parse(changed(INR, path, said))
    assert detail in str(raised.value)


@pytest.mark.parametrize("field", ["status", "currency", "unit", "metals", "timestamps", "error_code", "error_message"])
@pytest.mark.parametrize("said", ["x" * 200_000, Decimal("9" * 200_000), "one\ntwo", nested(10_000)], ids=lambda _: "")
def test_an_error_is_one_short_line(field: str, said: Any) -> None:
    with pytest.raises(ProviderError) as raised:
        parse(INR | {"status": "failure" if field.startswith("error") else "success"} | {field: said})
    assert len(str(raised.value)) < 250
    assert len(str(raised.value).splitlines()) == 1


@given(damaged(INR) | json_values)
def test_whatever_comes_is_quotes_or_an_error(answer: Any) -> None:
    try:
        found = parse(answer)
    except ProviderError as error:
        check(error, source="metals_dev")
        return
    assert list(found) == list(ALL)
    for metal, said in found.items():
        check(said, metal=metal, source="metals_dev")
