"""The archives' answers for past days, good and bad."""

import datetime as dt
import json
import re
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any, TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from prices.domain.provider_table import PROVIDER_TABLE
from prices.domain.quotes import LARGEST_PRICE, Metal, Quote
from prices.providers import FETCH_DAYS, goldapi_io, metalpriceapi, metals_dev
from prices.providers.errors import (
    NoDataError,
    PermanentError,
    ProviderError,
    QuotaError,
    TemporaryError,
)
from prices.providers.http import Client
from prices.providers.parsing import Days
from tests.support.quotes import NOW
from tests.support.strange import changed, damaged, decoded, json_values

FIRST, LAST = dt.date(2025, 7, 1), dt.date(2025, 7, 3)
GOLDAPI_IO = decoded(
    """{"timestamp":1751371200000,"metal":"XAU","currency":"INR","exchange":"FOREXCOM","symbol":"FOREXCOM:XAUINR",
    "prev_close_price":286114.7,"open_price":286299.2,"low_price":285915.7,"high_price":287265.5,
    "open_time":1751328000000,"price":286877.2,"ch":762.5,"chp":0.27,"ask":286887.2,"bid":286877.2,
    "price_gram_24k":9223.3162}"""
)
METALS_DEV = decoded(
    """{"status":"success","currency":"USD","unit":"toz","start_date":"2025-07-01","end_date":"2025-07-03","rates":{
    "2025-07-01":{"date":"2025-07-01","metals":{"gold":3338.21,"silver":36.021,"platinum":1352.8,"palladium":1103.4},
      "currencies":{"USD":1,"EUR":1.17891,"INR":0.011683412}},
    "2025-07-03":{"date":"2025-07-03","metals":{"gold":3326.05,"silver":36.83,"platinum":0,"palladium":1135.2},
      "currencies":{"USD":1,"EUR":1.1762,"INR":0.0117}}}}"""
)
IN_OURS = decoded(
    """{"status":"success","currency":"INR","unit":"g","start_date":"2025-07-01","end_date":"2025-07-01","rates":{
    "2025-07-01":{"date":"2025-07-01","metals":{"gold":9223.3162,"silver":105.0461,"platinum":3824.4612,
      "palladium":3299.0955},"currencies":{"INR":1,"USD":85.6}}}}"""
)
TIMEFRAME = decoded(
    """{"success":true,"base":"INR","start_date":"2025-07-01","end_date":"2025-07-03","rates":{
    "2025-07-01":{"XAU":0.0000034858,"INRXAU":286877.2,"XAG":0.00030606,"INRXAG":3267.3},
    "2025-07-03":{"XAU":0.0000034981,"XAG":0}}}"""
)
ONE_DAY = decoded(
    """{"success":true,"base":"INR","timestamp":1751414399,"rates":{"XAU":0.0000034858,"INRXAU":286877.2,
    "XAG":0.00030606,"INRXAG":3267.3,"XPT":0.0000084066,"INRXPT":118954.04,"XPD":null}}"""
)
OHLC = decoded(
    """{"success":true,"base":"XAU","quote":"INR","timestamp":1751414399,
    "rate":{"open":286299.2,"high":287265.5,"low":285915.7,"close":286877.2}}"""
)
ALL = tuple(Metal)
Parse: TypeAlias = Callable[[Any], Days]


def of_goldapi_io(answer: Any) -> Days:
    return {(FIRST, Metal.GOLD): goldapi_io.parse_day(answer, date=FIRST, metal=Metal.GOLD, currency="INR", now=NOW)}


def of_metals_dev(answer: Any) -> Days:
    return metals_dev.parse_days(answer, first=FIRST, last=LAST, metals=ALL, currency="INR")


def of_timeframe(answer: Any) -> Days:
    return metalpriceapi.parse_days(answer, first=FIRST, last=LAST, metals=ALL, currency="INR")


def of_one_day(answer: Any) -> Days:
    return metalpriceapi.parse_day(answer, date=FIRST, metals=ALL, currency="INR", now=NOW)


def of_ohlc(answer: Any) -> Days:
    return {
        (FIRST, Metal.GOLD): metalpriceapi.parse_ohlc(answer, date=FIRST, metal=Metal.GOLD, currency="INR", now=NOW)
    }


PARSERS: dict[str, tuple[Parse, Any]] = {
    "goldapi_io": (of_goldapi_io, GOLDAPI_IO),
    "metals_dev": (of_metals_dev, METALS_DEV),
    "timeframe": (of_timeframe, TIMEFRAME),
    "one day": (of_one_day, ONE_DAY),
    "ohlc": (of_ohlc, OHLC),
}


def prices(days: Days) -> dict[tuple[int, str], str]:
    """Each price, by day of the month and metal."""
    return {(date.day, metal): str(said.price) for (date, metal), said in days.items() if isinstance(said, Quote)}


# --- answers -------------------------------------------------------------------------------------------------------


def test_a_dated_answer_of_goldapi_io_is_the_days_figures_and_its_times_are_milliseconds() -> None:
    (said,) = of_goldapi_io(GOLDAPI_IO).values()
    assert said == Quote(
        metal=Metal.GOLD,
        price=Decimal("9223.3162"),
        currency="INR",
        source="goldapi_io",
        quoted_at=dt.datetime(2025, 7, 1, 12, tzinfo=dt.UTC),
        bid=Decimal("9223.3162"),
        ask=Decimal("9223.6377"),
        open=Decimal("9204.7330"),
        high=Decimal("9235.8003"),
        low=Decimal("9192.4032"),
        previous_close=Decimal("9198.8012"),
    )


def test_days_in_dollars_an_ounce_are_converted_by_the_rate_beside_them() -> None:
    days = of_metals_dev(METALS_DEV)
    # 3338.21 / 31.1034768 / 0.011683412, and so on
    assert prices(days) == {
        (1, "gold"): "9186.1815",
        (1, "silver"): "99.1236",
        (1, "platinum"): "3722.6736",
        (1, "palladium"): "3036.3676",
    }
    assert {said.quoted_at for said in days.values() if isinstance(said, Quote)} == {
        dt.datetime(2025, 7, 1, 23, 59, 59, tzinfo=dt.UTC)
    }
    for metal in ("gold", "silver", "palladium"):
        assert str(days[LAST, Metal(metal)]) == "gives '0.0117' as INR, which has too few digits for a price"


def test_days_in_our_currency_and_unit_are_taken_as_they_are() -> None:
    expected = {"gold": "9223.3162", "silver": "105.0461", "platinum": "3824.4612", "palladium": "3299.0955"}
    assert prices(of_metals_dev(IN_OURS)) == {(1, metal): price for metal, price in expected.items()}


def test_a_timeframe_is_read_by_pairs_and_by_reciprocals() -> None:
    assert prices(of_timeframe(TIMEFRAME)) == {
        (1, "gold"): "9223.3162",
        (1, "silver"): "105.0461",
        (3, "gold"): "9190.9169",  # 1 / 0.0000034981 / 31.1034768
    }


def test_one_day_has_the_providers_own_time() -> None:
    days = of_one_day(ONE_DAY)
    assert prices(days) == {(1, "gold"): "9223.3162", (1, "silver"): "105.0461", (1, "platinum"): "3824.4612"}
    assert {said.quoted_at for said in days.values() if isinstance(said, Quote)} == {
        dt.datetime(2025, 7, 1, 23, 59, 59, tzinfo=dt.UTC)
    }


def test_the_price_of_a_days_figures_is_its_close() -> None:
    (said,) = of_ohlc(OHLC).values()
    assert isinstance(said, Quote)
    assert (said.open, said.high, said.low, said.price) == tuple(
        map(Decimal, ("9204.7330", "9235.8003", "9192.4032", "9223.3162"))
    )


# --- days of which there is nothing ----------------------------------------------------------------------------------


@pytest.mark.parametrize("price", [Decimal(0), Decimal("0.00"), "0", "", None, ...], ids=str)
def test_a_price_of_nothing_stands_for_a_day_without_one(price: Any) -> None:
    for parse, answer, path in (
        (of_goldapi_io, GOLDAPI_IO, "price"),
        (of_ohlc, OHLC, "rate.close"),
    ):
        with pytest.raises(NoDataError):
            parse(changed(answer, path, price))
    assert (FIRST, Metal.GOLD) not in of_metals_dev(changed(METALS_DEV, "rates.2025-07-01.metals.gold", price))
    none = changed(changed(ONE_DAY, "rates.XAU", price), "rates.INRXAU", price)
    assert (FIRST, Metal.GOLD) not in of_one_day(none)


@pytest.mark.parametrize("parse", ["metals_dev", "timeframe"])
def test_a_day_that_is_missing_is_not_there_and_costs_no_other(parse: str) -> None:
    of, answer = PARSERS[parse]
    assert {date for date, _ in of(answer)} == {FIRST, LAST}
    assert {date for date, _ in of(changed(answer, "rates.2025-07-01", ...))} == {LAST}
    assert {date for date, _ in of(changed(answer, "rates.2025-07-01", None))} == {LAST}
    assert of(answer | {"rates": {}}) == {}


@pytest.mark.parametrize(
    ("parse", "answer"),
    [
        ("goldapi_io", {"error": "No data available for this date or pair."}),
        ("ohlc", {"success": False, "error": {"statusCode": Decimal(300), "message": "No results."}}),
        ("timeframe", {"success": False, "error": {"statusCode": "300", "message": "No results."}}),
    ],
)
def test_a_failure_that_means_nothing_is_known_of_the_day_is_none(parse: str, answer: Any) -> None:
    with pytest.raises(NoDataError):
        PARSERS[parse][0](answer)


# --- answers that are none -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parse", "answer", "kind", "detail"),
    [
        ("goldapi_io", {"error": "Invalid API Key"}, PermanentError, "'Invalid API Key'"),
        ("goldapi_io", {"error": "You hit your monthly quota"}, QuotaError, "monthly quota"),
        ("metals_dev", {"status": "failure", "error_code": Decimal(1203)}, QuotaError, "failure '1203'"),
        ("metals_dev", {"status": "failure", "error_code": Decimal(2101)}, PermanentError, "failure '2101'"),
        ("timeframe", {"success": False, "error": {"statusCode": Decimal(105)}}, QuotaError, "failure '105'"),
        ("one day", {"success": False, "error": {"statusCode": Decimal(205)}}, PermanentError, "failure '205'"),
        ("ohlc", {"success": False, "error": "gone"}, TemporaryError, "failure 'nothing': 'gone'"),
        ("ohlc", [], TemporaryError, "where an object was expected"),
    ],
)
def test_a_failure_that_comes_with_http_200_is_of_its_kind(
    parse: str, answer: Any, kind: type[ProviderError], detail: str
) -> None:
    with pytest.raises(kind, match=re.escape(detail)):
        PARSERS[parse][0](answer)


@pytest.mark.parametrize(
    ("parse", "path", "said", "kind", "detail"),
    [
        ("goldapi_io", "metal", "XAG", TemporaryError, "answers for 'XAG', not for XAU"),
        ("goldapi_io", "currency", "USD", PermanentError, "quotes in 'USD', not in INR"),
        ("goldapi_io", "timestamp", Decimal(1751284800000), TemporaryError, "for 2025-06-30, not for 2025-07-01"),
        ("goldapi_io", "price", Decimal(-1), TemporaryError, "gives '-1' as price"),
        ("metals_dev", "unit", "lb", TemporaryError, "gives 'lb' as unit"),
        ("metals_dev", "rates", [], TemporaryError, "gives a list as rates"),
        ("timeframe", "base", "USD", PermanentError, "quotes in 'USD', not in INR"),
        ("one day", "base", "USD", PermanentError, "quotes in 'USD', not in INR"),
        ("one day", "timestamp", Decimal(1751500799), TemporaryError, "answers for 2025-07-02, not for 2025-07-01"),
        ("ohlc", "base", "XAG", TemporaryError, "answers for 'XAG', not for XAU"),
        ("ohlc", "quote", "USD", PermanentError, "quotes in 'USD', not in INR"),
        ("ohlc", "timestamp", Decimal(1751500799), TemporaryError, "answers for 2025-07-02, not for 2025-07-01"),
    ],
)
def test_an_answer_to_another_request_is_refused(
    parse: str, path: str, said: Any, kind: type[ProviderError], detail: str
) -> None:
    of, answer = PARSERS[parse]
    with pytest.raises(kind, match=re.escape(detail)):
        of(changed(answer, path, said))


@pytest.mark.parametrize(
    ("path", "said", "detail"),
    [
        ("rates.2025-07-01.metals.gold", Decimal(-1), "gives '-1' as gold"),
        ("rates.2025-07-01.metals.gold", "NaN", "gives 'NaN' as gold"),
        ("rates.2025-07-01.date", "2025-07-02", "gives '2025-07-02' as 2025-07-01"),
        ("rates.2025-07-01.currencies.INR", ..., "gives nothing as INR"),
        ("rates.2025-07-01.currencies.INR", Decimal(0), "gives '0' as INR"),
        ("rates.2025-07-01.currencies", None, "gives nothing as currencies"),
        ("rates.2025-07-01", "x", "gives 'x' as 2025-07-01"),
    ],
)
def test_a_day_that_cannot_be_read_says_why_and_costs_no_other(path: str, said: Any, detail: str) -> None:
    days = of_metals_dev(
        changed(changed(METALS_DEV, "rates.2025-07-03.currencies.INR", Decimal("0.01171")), path, said)
    )
    assert detail in str(days[FIRST, Metal.GOLD])
    assert isinstance(days[LAST, Metal.GOLD], Quote)


@given(data=st.data(), name=st.sampled_from(list(PARSERS)))
def test_whatever_comes_is_quotes_or_an_error(data: st.DataObject, name: str) -> None:
    of, answer = PARSERS[name]
    try:
        days = of(data.draw(damaged(answer) | json_values))
    except ProviderError as error:
        assert len(str(error).splitlines()) == 1
        return
    for (date, metal), said in days.items():
        assert FIRST <= date <= LAST
        if isinstance(said, ProviderError):
            assert len(str(said).splitlines()) == 1
        else:
            assert 0 < said.price <= LARGEST_PRICE
            assert (said.metal, said.currency, said.quoted_at.date()) == (metal, "INR", date)


# --- the requests --------------------------------------------------------------------------------------------------


class Archives:
    """The archives' archives as one real server; `requests` has each path and query."""

    def __init__(self, server: HTTPServer, settings: Settings) -> None:
        self.answer: Any = {}
        self.status = 200
        self.requests: list[Request] = []
        for row in PROVIDER_TABLE.values():
            setattr(settings, row.setting("URL"), server.url_for("").rstrip("/"))
            setattr(settings, row.setting("KEY"), "k3y-of-the-provider")
        server.expect_request(re.compile("/.*")).respond_with_handler(self._respond)

    def _respond(self, request: Request) -> Response:
        self.requests.append(request)
        text = json.dumps(self.answer, default=float)
        return Response(text, status=self.status, content_type="application/json")


@pytest.fixture
def archives(httpserver: HTTPServer, settings: Settings) -> Archives:
    return Archives(httpserver, settings)


def fetch(name: str, first: dt.date = FIRST, last: dt.date = FIRST, metals: tuple[Metal, ...] = (Metal.GOLD,)) -> Days:
    client = Client(deadline=time.monotonic() + 10)
    return FETCH_DAYS[name](metals, first, last, client=client, now=NOW)


@pytest.mark.parametrize(
    ("archive", "last", "answer", "path", "query"),
    [
        ("goldapi_io", FIRST, GOLDAPI_IO, "/api/XAU/INR/20250701", {}),
        (
            "metals_dev",
            LAST,
            METALS_DEV,
            "/v1/timeseries",
            {
                "api_key": "k3y-of-the-provider",
                "currency": "INR",
                "unit": "g",
                "start_date": "2025-07-01",
                "end_date": "2025-07-03",
            },
        ),
        (
            "metalpriceapi",
            LAST,
            TIMEFRAME,
            "/v1/timeframe",
            {"base": "INR", "currencies": "XAU", "start_date": "2025-07-01", "end_date": "2025-07-03"},
        ),
        ("metalpriceapi", FIRST, ONE_DAY, "/v1/2025-07-01", {"base": "INR", "currencies": "XAU"}),
        ("metalpriceapi_ohlc", FIRST, OHLC, "/v1/ohlc", {"base": "XAU", "currency": "INR", "date": "2025-07-01"}),
    ],
)
def test_each_archive_is_fetched_as_it_documents(
    archives: Archives, archive: str, last: dt.date, answer: Any, path: str, query: dict[str, str]
) -> None:
    archives.answer = answer
    assert isinstance(fetch(archive, last=last)[FIRST, Metal.GOLD], Quote)
    (request,) = archives.requests
    assert (request.path, request.args.to_dict()) == (path, query)
    keys = [request.headers.get(name) for name in ("x-access-token", "X-API-KEY")]
    assert keys.count("k3y-of-the-provider") == (archive != "metals_dev")


@pytest.mark.parametrize("status", [200, 404])
@pytest.mark.parametrize(
    ("archive", "answer"),
    [
        ("goldapi_io", {"error": "No data available for this date or pair."}),
        ("metalpriceapi", {"success": False, "error": {"statusCode": 300, "message": "No results."}}),
        ("metalpriceapi_ohlc", {"success": False, "error": {"statusCode": 300, "message": "No results."}}),
    ],
)
def test_a_no_data_day_is_recognised_whatever_the_status(
    archives: Archives, archive: str, answer: Any, status: int
) -> None:
    archives.answer, archives.status = answer, status
    with pytest.raises(NoDataError):
        fetch(archive)


@pytest.mark.parametrize(
    ("archive", "answer"),
    [
        ("goldapi_io", {"error": "monthly quota of k3y-of-the-provider"}),
        (
            "metals_dev",
            {"status": "failure", "error_code": 1203, "error_message": "k3y-of-the-provider is used up"},
        ),
        (
            "metalpriceapi",
            {"success": False, "error": {"statusCode": 105, "message": "k3y-of-the-provider is used up"}},
        ),
    ],
)
def test_a_quota_that_has_ended_is_reported_without_the_key(archives: Archives, archive: str, answer: Any) -> None:
    archives.answer, archives.status = answer, 429
    with pytest.raises(QuotaError) as raised:
        fetch(archive)
    assert "k3y-of-the-provider" not in str(raised.value)
