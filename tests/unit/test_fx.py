"""Exchange rates: the provider that is called, how long its rate is kept, and when it is too old."""

import datetime as dt
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from pytest_django import Settings
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from infra import clock
from prices.providers import fx
from prices.providers.errors import PermanentError, ProviderError, TemporaryError
from prices.providers.http import Client
from tests.support.quotes import NOW
from tests.support.sources import hangs, raw_source
from tests.support.strange import changed, damaged, decoded, json_values

ECB = decoded('{"amount":1.0,"base":"USD","date":"2026-09-24","rates":{"INR":95.96}}')
DAILY = decoded(
    """{"result":"success","time_last_update_unix":1790208152,"base_code":"USD","rates":{"USD":1,"AED":3.6725,
    "INR":95.5}}"""
)
MIDNIGHT = dt.datetime(2026, 9, 24, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
MINUTE = dt.timedelta(minutes=1)

# --- what they say -------------------------------------------------------------------------------------------------


def frankfurter(answer: Any, *, quote: str = "INR") -> fx.Rate:
    return fx.frankfurter(answer, base="USD", quote=quote, now=NOW)


def open_er_api(answer: Any, *, quote: str = "INR") -> fx.Rate:
    return fx.open_er_api(answer, base="USD", quote=quote, now=NOW)


def test_an_answer_of_frankfurter_is_a_rate_of_its_day() -> None:
    assert frankfurter(ECB) == fx.Rate(Decimal("95.96"), MIDNIGHT, "frankfurter")


def test_an_answer_of_open_er_api_is_a_rate_of_its_time() -> None:
    at = dt.datetime(2026, 9, 24, 0, 2, 32, tzinfo=dt.UTC)
    assert open_er_api(DAILY) == fx.Rate(Decimal("95.5"), at, "open_er_api")
    assert open_er_api(DAILY, quote="AED").value == Decimal("3.6725")


@pytest.mark.parametrize(
    ("read", "answer", "detail"),
    [
        (frankfurter, {"message": "not found"}, "answers for nothing, not for USD"),
        (frankfurter, changed(ECB, "base", "EUR"), "answers for 'EUR', not for USD"),
        (frankfurter, changed(ECB, "amount", Decimal(10)), "gives '10' as amount"),
        (frankfurter, changed(ECB, "rates", ...), "gives nothing as rates"),
        (frankfurter, changed(ECB, "rates.INR", ...), "gives nothing as INR"),
        (frankfurter, changed(ECB, "rates.INR", Decimal(0)), "gives '0' as INR, which is not a positive number"),
        (frankfurter, changed(ECB, "rates.INR", "NaN"), "gives 'NaN' as INR, which is not a positive number"),
        (frankfurter, changed(ECB, "date", "2026-09-25"), "gives 2026-09-25T00:00:00Z as date, which cannot be"),
        (frankfurter, changed(ECB, "date", None), "gives nothing as date, which is not a time"),
        (frankfurter, [], "answers with a list where an object was expected"),
        (open_er_api, {"result": "error", "error-type": "malformed-request"}, "answers with an error: 'malformed-req"),
        (open_er_api, {"error": "?"}, "answers with an error: '?'"),
        (open_er_api, changed(DAILY, "base_code", "EUR"), "answers for 'EUR', not for USD"),
        (open_er_api, changed(DAILY, "rates.INR", Decimal(-1)), "gives '-1' as INR, which is not a positive number"),
        (open_er_api, changed(DAILY, "rates.INR", None), "gives nothing as INR"),
        (open_er_api, changed(DAILY, "time_last_update_unix", ...), "gives nothing as time_last_update_unix"),
        (open_er_api, "USD", "answers with a str where an object was expected"),
    ],
)
def test_what_is_no_rate_is_refused_with_the_reason(read: Callable[[Any], fx.Rate], answer: Any, detail: str) -> None:
    with pytest.raises(TemporaryError) as raised:
        read(answer)
    assert detail in str(raised.value)


def test_a_currency_that_nobody_knows_is_for_a_person_to_mend() -> None:
    with pytest.raises(PermanentError, match="answers with an error: 'unsupported-code'"):
        open_er_api({"result": "error", "error-type": "unsupported-code"})


@given(damaged(ECB) | damaged(DAILY) | json_values)
def test_whatever_comes_is_a_rate_or_an_error(answer: Any) -> None:
    for read in (frankfurter, open_er_api):
        try:
            rate = read(answer)
        except ProviderError as error:
            assert len(str(error).splitlines()) == 1
        else:
            assert 0 < rate.value < Decimal("1e18")
            assert dt.datetime(2000, 1, 1, tzinfo=dt.UTC) <= rate.as_of <= NOW


# --- which is called -----------------------------------------------------------------------------------------------


class RateProviders:
    """Both providers as real servers; `calls` has their names in the order of the calls."""

    def __init__(self, server: HTTPServer) -> None:
        self.calls: list[str] = []
        self.answers: dict[str, Response] = {}
        self.may_answer = threading.Event()
        self.may_answer.set()
        server.expect_request("/v1/latest", query_string="base=USD&symbols=INR").respond_with_handler(self._frankfurter)
        server.expect_request("/v6/latest/USD").respond_with_handler(self._open_er_api)
        self.answer(95.96)

    def answer(self, rate: float, day: str = "2026-09-24") -> None:
        """Both are well, with rates a rupee apart."""
        at = int(dt.datetime.fromisoformat(day).replace(tzinfo=dt.UTC).timestamp())
        body = f'{{"amount":1.0,"base":"USD","date":"{day}","rates":{{"INR":{rate}}}}}'
        self.answers["frankfurter"] = Response(body)
        body = f'{{"result":"success","time_last_update_unix":{at},"base_code":"USD","rates":{{"INR":{rate + 1}}}}}'
        self.answers["open_er_api"] = Response(body)

    def fail(self, *names: str, status: int = 503, **headers: str) -> None:
        for name in names:
            self.answers[name] = Response(
                "{}", status=status, headers={name.replace("_", "-"): value for name, value in headers.items()}
            )

    def _frankfurter(self, request: Request) -> Response:
        return self._respond("frankfurter")

    def _open_er_api(self, request: Request) -> Response:
        return self._respond("open_er_api")

    def _respond(self, name: str) -> Response:
        self.calls.append(name)
        assert self.may_answer.wait(10)
        return self.answers[name]


class _Steady:
    """The steady clock: as much time has passed since NOW as by the wall clock, unless a test says otherwise."""

    now = 0.0


_steady = _Steady()


@pytest.fixture
def providers(http: HTTPServer, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[RateProviders]:
    """Both providers, well; and a process that has not called them yet."""
    monkeypatch.setattr(fx, "_rates", fx.Rates())
    monkeypatch.setattr(clock, "steady", lambda: _steady.now)
    settings.FRANKFURTER_URL = settings.OPEN_ER_API_URL = http.url_for("").rstrip("/")
    yield RateProviders(http)
    http.check()
    http.clear()


def rate_at(now: dt.datetime, *, within: float = 10) -> fx.Rate:
    _steady.now = (now - NOW).total_seconds()
    return fx.rate("USD", "INR", client=Client(deadline=time.monotonic() + within), now=now)


def test_frankfurter_is_fetched_first_and_its_rate_is_kept_for_an_hour(providers: RateProviders) -> None:
    first = rate_at(NOW)
    providers.answer(97)
    assert first == rate_at(NOW + HOUR - MINUTE) == fx.Rate(Decimal("95.96"), MIDNIGHT, "frankfurter")
    assert providers.calls == ["frankfurter"]
    assert rate_at(NOW + HOUR).value == 97
    assert providers.calls == ["frankfurter"] * 2


def test_a_rate_is_kept_and_a_provider_left_alone_for_time_that_has_passed(providers: RateProviders) -> None:
    rate_at(NOW)
    for step in (-5 * HOUR, 5 * HOUR):
        fx.rate("USD", "INR", client=Client(deadline=time.monotonic() + 10), now=NOW + step)
    assert providers.calls == ["frankfurter"]
    providers.fail("frankfurter")
    rate_at(NOW + 2 * HOUR)
    _steady.now += 61
    rate = fx.rate("USD", "INR", client=Client(deadline=time.monotonic() + 10), now=NOW - 3 * HOUR)
    assert providers.calls == ["frankfurter", "frankfurter", "open_er_api"]
    assert rate.source == "open_er_api"


def test_a_currency_in_itself_is_one_and_nothing_is_fetched(providers: RateProviders) -> None:
    assert fx.rate("USD", "USD", client=Client(deadline=time.monotonic()), now=NOW).value == 1
    assert providers.calls == []


def test_the_calls_are_none_of_the_sources_own(providers: RateProviders) -> None:
    client = Client(deadline=time.monotonic() + 10, most_calls=0)
    assert fx.rate("USD", "INR", client=client, now=NOW).value == Decimal("95.96")
    assert client.calls == 0


def test_many_who_need_a_rate_at_once_share_one_call(providers: RateProviders) -> None:
    providers.may_answer.clear()
    with ThreadPoolExecutor(8) as pool:
        rates = [pool.submit(rate_at, NOW) for _ in range(8)]
        providers.may_answer.set()
        assert {rate.result() for rate in rates} == {fx.Rate(Decimal("95.96"), MIDNIGHT, "frankfurter")}
    assert providers.calls == ["frankfurter"]


def test_one_that_fails_is_logged_in_a_line_and_the_next_is_fetched(
    providers: RateProviders, caplog: pytest.LogCaptureFixture
) -> None:
    providers.fail("frankfurter")
    assert rate_at(NOW).source == "open_er_api"
    assert [record.getMessage() for record in caplog.records] == [
        "frankfurter gave no rate of USD in INR: answers HTTP 503"
    ]


def test_where_neither_has_a_rate_both_are_named_and_neither_is_called_again_at_once(providers: RateProviders) -> None:
    providers.fail("frankfurter")
    providers.fail("open_er_api", status=429)
    detail = "^no rate of USD in INR: frankfurter answers HTTP 503; open_er_api answers HTTP 429$"
    for seconds in (0, 59):
        with pytest.raises(TemporaryError, match=detail):
            rate_at(NOW + dt.timedelta(seconds=seconds))
    assert providers.calls == ["frankfurter", "open_er_api"]
    providers.answer(96)
    assert rate_at(NOW + MINUTE).source == "frankfurter"


def test_one_that_says_when_to_come_back_is_not_called_before(providers: RateProviders) -> None:
    providers.fail("frankfurter", status=429, Retry_After="1200")
    providers.fail("open_er_api")
    for minutes, calls in ((0, ["frankfurter", "open_er_api"]), (19, ["open_er_api"]), (20, ["frankfurter"])):
        providers.calls.clear()
        with pytest.raises(TemporaryError):
            rate_at(NOW + minutes * MINUTE)
        assert providers.calls[: len(calls)] == calls


def test_a_currency_that_neither_knows_is_for_a_person_to_mend(providers: RateProviders) -> None:
    providers.fail("frankfurter", status=404)
    providers.answers["open_er_api"] = Response('{"result":"error","error-type":"unsupported-code"}', status=404)
    with pytest.raises(PermanentError, match="frankfurter answers HTTP 404; open_er_api answers with an error: 'unsup"):
        rate_at(NOW)


def test_one_that_hangs_leaves_time_for_the_next(providers: RateProviders, settings: Settings) -> None:
    with raw_source(hangs) as settings.FRANKFURTER_URL:
        assert rate_at(NOW, within=4).source == "open_er_api"


def test_one_who_waits_for_another_waits_no_longer_than_may_be(providers: RateProviders) -> None:
    providers.may_answer.clear()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(rate_at, NOW)
        while not providers.calls:
            time.sleep(0.001)
        with pytest.raises(TemporaryError, match="^no rate of USD in INR in time$"):
            rate_at(NOW, within=0.05)
        providers.may_answer.set()
        assert first.result().value == Decimal("95.96")


# --- how old it may be ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("day", "now", "is_too_old"),
    [
        ("2026-09-25", "2026-09-28T14:00:00+00:00", False),  # a weekend
        ("2027-03-25", "2027-03-30T15:00:00+00:00", False),  # Easter, the longest pause
        ("2026-09-18", "2026-09-24T00:00:00+00:00", False),
        ("2026-09-18", "2026-09-24T00:00:01+00:00", True),
    ],
)
def test_a_rate_may_be_as_old_as_the_longest_holidays(
    providers: RateProviders, day: str, now: str, is_too_old: bool
) -> None:
    providers.answer(95, day)
    if not is_too_old:
        assert rate_at(dt.datetime.fromisoformat(now)).value == 95
        return
    with pytest.raises(TemporaryError, match=f"frankfurter gives a rate of {day}, which is too old; open_er_api gives"):
        rate_at(dt.datetime.fromisoformat(now))


def test_the_last_rate_serves_while_nobody_has_another_and_not_when_it_is_too_old(providers: RateProviders) -> None:
    first = rate_at(NOW)
    providers.fail("frankfurter", "open_er_api")
    assert rate_at(NOW + 5 * HOUR) == first
    assert providers.calls == ["frankfurter", "frankfurter", "open_er_api"]
    assert rate_at(MIDNIGHT + fx.OLDEST) == first
    with pytest.raises(TemporaryError):
        rate_at(MIDNIGHT + fx.OLDEST + MINUTE)
