"""`manage.py backfill`: the candles that it writes or leaves alone, and how it goes on after an interruption."""

import datetime as dt
import io
import json
import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.core.management import CommandError, call_command
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from prices.domain.candles import Interval
from prices.domain.quota import Quota
from prices.domain.quotes import Metal
from prices.history import backfill, csv_import
from prices.history.backfill import DaysRequest
from prices.models import Candle, FallbackPrice, Head, LatestPrice, Premium, Price, ProviderState
from prices.providers.http import TRIES, Client
from prices.publishing import ingest
from streaming import publish
from tests.support.quotes import NOW, quote

MONDAY = dt.date(2026, 9, 14)
SUNDAY = dt.date(2026, 9, 20)
YESTERDAY = NOW.date() - dt.timedelta(days=1)
PER_GRAM = {"gold": 9223.3162, "silver": 105.0461, "platinum": 3824.4612, "palladium": 3299.0955}
ALL = tuple(Metal)


@pytest.fixture
def database(either_database: None) -> Iterator[None]:
    """A seeded database, and a clock that stands."""
    with time_machine.travel(NOW, tick=False):
        yield


class MetalsDev:
    """metals.dev as a real server with a price for each day but those in `no_data`; `requests` has each call's days."""

    def __init__(self, server: HTTPServer) -> None:
        self.requests: list[tuple[str, str]] = []
        self.no_data: set[str] = set()
        self.refuses: Any = None
        server.expect_request("/v1/timeseries").respond_with_handler(self._respond)

    def _respond(self, request: Request) -> Response:
        first, last = (dt.date.fromisoformat(request.args[name]) for name in ("start_date", "end_date"))
        self.requests.append((f"{first:%m-%d}", f"{last:%m-%d}"))
        if self.refuses is not None:
            return Response(json.dumps(self.refuses), content_type="application/json")
        days = [first + dt.timedelta(days=number) for number in range((last - first).days + 1)]
        rates = {
            day.isoformat(): {"date": day.isoformat(), "metals": PER_GRAM, "currencies": {"INR": 1}}
            for day in days
            if f"{day:%m-%d}" not in self.no_data
        }
        answer = {"status": "success", "currency": "INR", "unit": "g", "rates": rates}
        return Response(json.dumps(answer), content_type="application/json")


@pytest.fixture
def metals_dev(httpserver: HTTPServer, settings: Settings) -> MetalsDev:
    settings.METALS_DEV_URL, settings.METALS_DEV_KEY = httpserver.url_for("").rstrip("/"), "k3y-of-metals-dev"
    settings.METALS_DEV_QUOTA = Quota(100, "month")
    return MetalsDev(httpserver)


def run(*words: str) -> str:
    """The output of the command."""
    out = io.StringIO()
    call_command("backfill", *words, stdout=out, stderr=out)
    return out.getvalue()


def days(*words: str, first: dt.date = MONDAY, last: dt.date = SUNDAY) -> str:
    return run("--provider=metals_dev", f"--from={first}", f"--to={last}", *words)


def refusal(*words: str) -> str:
    with pytest.raises(CommandError) as refused:
        run(*words)
    return str(refused.value)


def candles(metal: str = "gold", interval: str = "1d") -> list[tuple[dt.datetime, str, str]]:
    """When each candle begins, its close and its source."""
    rows = Candle.objects.filter(metal=metal, interval=interval).order_by("start")
    return [(row.start, str(row.close), row.source) for row in rows]


def midnight(date: dt.date) -> dt.datetime:
    """Of India, in UTC."""
    return dt.datetime.combine(date, dt.time(), dt.UTC) - dt.timedelta(hours=5, minutes=30)


def everything() -> list[Any]:
    """All of history that the database holds."""
    return [*Candle.objects.order_by("pk").values(), *Price.objects.order_by("pk").values()]


# --- which calls are made --------------------------------------------------------------------------------------------

missing = st.dictionaries(st.dates(MONDAY, MONDAY + dt.timedelta(days=60)), st.sets(st.sampled_from(Metal)))


@given(missing, st.integers(1, 40), st.booleans())
def test_calls_bring_all_that_is_missing_and_none_is_for_too_many_days(
    missing: dict[dt.date, set[Metal]], most: int, brings_all: bool
) -> None:
    requests = list(backfill.plan(missing, days_per_call=most if brings_all else 1, brings_all=brings_all))
    brought = {
        (request.first + dt.timedelta(days=number), metal)
        for request in requests
        for number in range((request.last - request.first).days + 1)
        for metal in request.metals
    }
    assert {(date, metal) for date, metals in missing.items() for metal in metals} <= brought
    assert all((request.last - request.first).days < most for request in requests if brings_all)
    assert all(len(request.metals) == 1 and request.first == request.last for request in requests if not brings_all)


def test_nothing_is_fetched_where_nothing_is_missing() -> None:
    assert list(backfill.plan({MONDAY: set()}, days_per_call=30, brings_all=True)) == []
    assert list(backfill.plan({MONDAY: {Metal.GOLD}}, days_per_call=30, brings_all=True)) == [
        DaysRequest((Metal.GOLD,), MONDAY, MONDAY)
    ]


# --- a provider's days -----------------------------------------------------------------------------------------------


def test_each_day_becomes_a_candle_that_names_its_provider(database: None, metals_dev: MetalsDev) -> None:
    said = days()
    assert metals_dev.requests == [("09-14", "09-20")]
    open_days = [MONDAY + dt.timedelta(days=number) for number in range(7) if number != 5]  # a Saturday has no market
    written = [each for each in candles() if each[2]]
    assert [start for start, *_ in written] == [midnight(date) for date in open_days]
    assert {(close, source) for _, close, source in written} == {("9223.3162", "metals_dev")}
    assert "24 written, 0 there already, 0 unusable" in said


def test_days_that_are_there_are_not_fetched_again(database: None, metals_dev: MetalsDev) -> None:
    days(last=MONDAY + dt.timedelta(days=2))
    before = everything()
    days(last=MONDAY + dt.timedelta(days=2))
    assert metals_dev.requests == [("09-14", "09-16")]
    assert everything() == before
    days(last=MONDAY + dt.timedelta(days=4))
    assert metals_dev.requests[1:] == [("09-17", "09-18")]


def test_a_no_data_day_costs_one_call_once_it_is_long_over(database: None, metals_dev: MetalsDev) -> None:
    metals_dev.no_data = {"09-15", "09-18"}  # nine and six days ago
    assert "4 without data at metals_dev" in days("--days-per-call=1", "--metal=gold", "--metal=silver")
    metals_dev.requests.clear()
    assert "4 without data at metals_dev" in days("--days-per-call=1", "--metal=gold", "--metal=silver")
    assert metals_dev.requests == [("09-18", "09-18")]
    metals_dev.requests.clear()
    metals_dev.no_data = set()
    assert "1 written, 4 there already, 0 unusable, 1 without" in days("--metal=silver")
    assert "2 written" in days("--again", "--metal=gold")
    assert candles()[1] == (midnight(dt.date(2026, 9, 15)), "9223.3162", "metals_dev")


def test_that_a_provider_has_no_data_for_several_days_is_not_believed_for_good(
    database: None, metals_dev: MetalsDev
) -> None:
    metals_dev.no_data = {"09-01", "09-02", "09-03", "09-04"}
    first, last = dt.date(2026, 9, 1), dt.date(2026, 9, 4)
    days(first=first, last=last)
    metals_dev.no_data = set()
    assert "16 written" in days(first=first, last=last)


def test_what_was_interrupted_goes_on(database: None, metals_dev: MetalsDev, monkeypatch: pytest.MonkeyPatch) -> None:
    real = backfill.fill
    calls = iter(range(10))

    def interrupted(*arguments: Any, **options: Any) -> Any:
        if next(calls) == 2:
            raise KeyboardInterrupt
        return real(*arguments, **options)

    monkeypatch.setattr(backfill, "fill", interrupted)
    with pytest.raises(KeyboardInterrupt):
        days("--days-per-call=1", last=MONDAY + dt.timedelta(days=3))
    days("--days-per-call=1", last=MONDAY + dt.timedelta(days=3))
    assert metals_dev.requests == [(f"09-{day}", f"09-{day}") for day in (14, 15, 16, 17)]


def test_a_candle_of_our_own_ticks_stays_unless_it_is_to_be_replaced(database: None, metals_dev: MetalsDev) -> None:
    at = dt.datetime(2026, 9, 14, 8, tzinfo=dt.UTC)
    ingest.record([quote("gold", "9000", at=at)], now=at)
    days(last=MONDAY)
    assert (midnight(MONDAY), "9000.0000", "") in candles()
    assert (midnight(MONDAY), "105.0461", "metals_dev") in candles("silver")
    days("--replace", last=MONDAY)
    assert (midnight(MONDAY), "9223.3162", "metals_dev") in candles()
    assert metals_dev.requests == [("09-14", "09-14")] * 2
    days("--replace", last=MONDAY)
    assert len(metals_dev.requests) == 2


def test_a_premium_is_on_the_days_on_which_it_was_current(database: None, metals_dev: MetalsDev) -> None:
    Premium.objects.create(
        metal_id="gold", multiplier=Decimal(2), effective_from=midnight(MONDAY + dt.timedelta(days=1))
    )
    days(last=MONDAY + dt.timedelta(days=1))
    assert [close for start, close, _ in candles() if start <= midnight(MONDAY + dt.timedelta(days=1))] == [
        "9223.3162",
        "18446.6324",
    ]


def test_nothing_is_published_and_no_current_price_changes(
    database: None, metals_dev: MetalsDev, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published: list[Any] = []
    monkeypatch.setattr(publish, "publication", published.append)
    for at in (NOW - dt.timedelta(days=1), NOW):  # the first one is the previous close
        ingest.record([quote("gold", "9000", at=at)], now=at)
    published.clear()
    before = [list(LatestPrice.objects.order_by("pk").values()), list(Head.objects.values())]
    days()
    file = tmp_path / "ticks.csv"
    file.write_text(f"metal,at,price\ngold,{(NOW - dt.timedelta(minutes=1)).isoformat()},9100\n")
    run(f"--csv={file}")
    assert [list(LatestPrice.objects.order_by("pk").values()), list(Head.objects.values())] == before
    assert published == []


def test_a_call_is_out_of_the_quota_before_it_is_made(
    database: None, metals_dev: MetalsDev, monkeypatch: pytest.MonkeyPatch
) -> None:
    used: list[int] = []
    get_json = Client.get_json

    def watched(client: Client, *args: Any, **options: Any) -> Any:
        used.append(ProviderState.objects.get(name="metals_dev").calls)
        return get_json(client, *args, **options)

    monkeypatch.setattr(Client, "get_json", watched)
    days()
    assert used == [TRIES]
    assert ProviderState.objects.get(name="metals_dev").calls == 1


def test_it_stops_before_the_quota_ends_and_says_when_to_go_on(
    database: None, metals_dev: MetalsDev, settings: Settings
) -> None:
    settings.METALS_DEV_QUOTA = Quota(12, "month")
    with pytest.raises(CommandError) as stopped:
        days("--days-per-call=1", last=MONDAY + dt.timedelta(days=4))
    assert str(stopped.value) == (
        "8 days written. 10 calls are left of metals_dev's 12/month, and 10 are left to its refreshes. "
        "The quota begins anew on 2026-10-01: give the same command then, and it goes on."
    )
    assert ProviderState.objects.get(name="metals_dev").calls == 2


def test_a_no_data_day_is_no_failure(seeded: None, httpserver: HTTPServer, settings: Settings) -> None:
    settings.GOLDAPI_IO_URL, settings.GOLDAPI_IO_KEY = httpserver.url_for("").rstrip("/"), "k3y-of-goldapi-io"
    httpserver.expect_request(re.compile("/api/.*")).respond_with_json({"error": "No data available for this date."})
    with time_machine.travel(NOW):
        said = run("--provider=goldapi_io", f"--from={MONDAY}", f"--to={MONDAY}", "--metal=gold")
    assert "0 written, 0 there already, 0 unusable" in said
    assert ProviderState.objects.get(name="goldapi_io").calls_total == 1


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (
            {"status": "failure", "error_code": 1203, "error_message": "k3y-of-metals-dev is used up"},
            "give the same command when its quota begins anew",
        ),
        ({"status": "failure", "error_code": 1101, "error_message": "No."}, "The same command goes on from there."),
        ({}, "gives nothing as status. The same command goes on from there."),
    ],
)
def test_a_provider_that_refuses_is_quoted_without_the_key(
    seeded: None, metals_dev: MetalsDev, failure: Any, said: str
) -> None:
    metals_dev.refuses = failure
    with time_machine.travel(NOW), pytest.raises(CommandError) as refused:
        days()
    assert str(refused.value).startswith("0 days written")
    assert said in str(refused.value)
    assert "k3y" not in str(refused.value)
    assert ProviderState.objects.get(name="metals_dev").calls == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "Say where from"),
        (("--provider=metals_dev", "--csv=x"), "Say where from"),
        (("--provider=swissquote",), "invalid choice: 'swissquote'"),
        (("--provider=metals_dev",), "Say which days"),
        (("--provider=metals_dev", "--from=2026-02-30", "--to=2026-03-01"), "'2026-02-30' is no date: write it as"),
        (
            ("--provider=metals_dev", "--from=0001-01-01", "--to=2026-03-01"),
            "0001-01-01 is no day of prices: from 1900-01-01",
        ),
        (
            ("--provider=metals_dev", "--from=2026-03-02", "--to=2026-03-01"),
            "--from 2026-03-02 is after --to 2026-03-01",
        ),
        (("--provider=metals_dev", "--from=2026-03-02", "--to=2999-12-31"), f"so {YESTERDAY} at most"),
        (("--provider=metals_dev", "--from=2026-09-24", "--to=2026-09-24"), f"so {YESTERDAY} at most"),
        (("--provider=metals_dev", "--from=2026-09-01", "--to=2026-09-02", "--metal=lead"), "invalid choice: 'lead'"),
        (("--provider=metals_dev", "--from=2026-09-01", "--to=2026-09-02", "--days-per-call=31"), "from 1 to 30"),
        (("--provider=metals_dev", "--from=2026-09-01", "--to=2026-09-02", "--leave=-1"), "0 or more"),
        (("--provider=metals_dev", "--from=2026-09-01", "--to=2026-09-02"), "METALS_DEV_KEY is empty"),
        (("--csv=/nowhere/at.csv",), "/nowhere/at.csv cannot be read"),
    ],
)
def test_what_cannot_be_done_is_refused_with_the_reason(seeded: None, words: tuple[str, ...], said: str) -> None:
    with time_machine.travel(NOW):
        assert said in refusal(*words)


# --- a file ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path: Path) -> Callable[[str], str]:
    """Write a file; the word that names it."""

    def write(text: str) -> str:
        path = tmp_path / "history.csv"
        path.write_text(text)
        return f"--csv={path}"

    return write


TICKS = """metal,at,price,source
gold,2026-09-14T08:00:10Z,9000,shop
gold,2026-09-14T08:00:50Z,9003,shop
silver,2026-09-14T08:00:50Z,105,shop
gold,2026-09-14T08:59:00Z,8990,shop
gold,2026-09-15T08:00:00Z,9010,shop
"""


def figures(interval: str, metal: str = "gold") -> list[tuple[str, ...]]:
    rows = Candle.objects.filter(metal=metal, interval=interval, start__lt=NOW).order_by("start")
    return [
        (
            f"{row.start:%m-%d %H:%M}",
            *(f"{amount:.0f}" for amount in (row.open, row.high, row.low, row.close)),
            str(row.ticks),
        )
        for row in rows
    ]


@pytest.mark.parametrize("kept_for", [dt.timedelta(days=400), None, dt.timedelta(days=1)], ids=str)
def test_ticks_become_candles_of_all_intervals_and_rows_where_they_are_young_enough(
    database: None, file: Callable[[str], str], settings: Settings, kept_for: dt.timedelta | None
) -> None:
    settings.TICKS_KEPT_FOR = kept_for
    assert "5 written, 0 there already" in run(file(TICKS))
    assert figures("1m") == [
        ("09-14 08:00", "9000", "9003", "9000", "9003", "2"),
        ("09-14 08:59", "8990", "8990", "8990", "8990", "1"),
        ("09-15 08:00", "9010", "9010", "9010", "9010", "1"),
    ]
    assert figures("1h")[0] == ("09-14 08:00", "9000", "9003", "8990", "8990", "3")
    assert figures("1d") == [
        ("09-13 18:30", "9000", "9003", "8990", "8990", "3"),
        ("09-14 18:30", "9010", "9010", "9010", "9010", "1"),
    ]
    assert figures("5m", "silver") == [("09-14 08:00", "105", "105", "105", "105", "1")]
    stored = Price.objects.filter(source="shop")
    assert stored.count() == (0 if kept_for == dt.timedelta(days=1) else 5)
    assert not stored.exclude(seq=None, published_at=None).exists()
    before = everything()
    assert "0 written, 5 there already" in run(file(TICKS))
    assert everything() == before


def test_minutes_of_our_own_ticks_stay_unless_they_are_to_be_replaced(
    database: None, file: Callable[[str], str]
) -> None:
    at = dt.datetime(2026, 9, 14, 8, 0, 30, tzinfo=dt.UTC)
    ingest.record([quote("gold", "9001", at=at)], now=at)
    run(file(TICKS))
    assert figures("1m")[0] == ("09-14 08:00", "9001", "9001", "9001", "9001", "1")
    assert figures("1d")[0] == ("09-13 18:30", "9001", "9001", "9001", "9001", "1")
    run(file(TICKS), "--replace")
    assert figures("1m")[0] == ("09-14 08:00", "9000", "9003", "9000", "9003", "3")
    assert figures("1d")[0] == ("09-13 18:30", "9000", "9003", "8990", "8990", "4")


def test_a_correction_takes_the_place_of_a_slip_when_it_is_to(database: None, file: Callable[[str], str]) -> None:
    run(file(TICKS))
    corrected = file(TICKS.replace(",9003,", ",9002,"))
    run(corrected)
    assert figures("1d")[0][2] == "9003"
    run(corrected, "--replace")
    assert figures("1d")[0] == ("09-13 18:30", "9000", "9002", "8990", "8990", "3")


def test_candles_of_a_file_stay_where_others_are(database: None, file: Callable[[str], str]) -> None:
    text = (
        "metal,interval,start,open,high,low,close\n"
        "gold,1d,2026-09-14,9002,9003,9001,9002\ngold,1h,2026-09-14T08:00:00Z,9002,9003,9001,9002\n"
    )
    assert "2 written" in run(file(text))
    assert "0 written, 2 there already" in run(file(text))
    assert candles()[0] == (midnight(MONDAY), "9002.0000", "csv")
    run(file(text.replace("9002,9003,9001,9002", "9002,9004,9001,9002")))
    assert figures("1d")[0][2] == "9003"
    run(file(text.replace("9002,9003,9001,9002", "9002,9004,9001,9002")), "--replace")
    assert figures("1d")[0][2] == "9004"


# --- a candle that is still running when it is given -----------------------------------------------------------------


TODAY = "metal,interval,start,open,high,low,close\ngold,1d,2026-09-24,9000,9100,8900,9050\n"
THIS_HOUR = "gold,1h,2026-09-24T08:00:00Z,9000,9100,8900,9050\n"


def say(price: str, seconds: int, source: str = "gold_api_com") -> None:
    at = NOW + dt.timedelta(seconds=seconds)
    ingest.record([quote("gold", price, at=at, source=source)], now=at)


def running(interval: str) -> tuple[str, ...]:
    """Open, high, low and close of gold's candle of now, and whose it is."""
    row = Candle.objects.filter(metal="gold", interval=interval).order_by("start").last()
    assert row is not None
    return (*(f"{amount:.0f}" for amount in (row.open, row.high, row.low, row.close)), row.source)


def test_a_running_candle_that_was_given_whole_takes_the_close_of_the_market(
    database: None, file: Callable[[str], str]
) -> None:
    run(file(TODAY + THIS_HOUR))
    for number, price in enumerate(("9060", "9110", "9070")):
        say(price, number)
    assert running("1d") == running("1h") == ("9000", "9110", "8900", "9070", "csv")


def test_a_running_candle_takes_the_close_of_a_tick_that_was_quoted_before_it_was_given(
    database: None, file: Callable[[str], str]
) -> None:
    run(file(TODAY))
    say("9060", -600)
    assert running("1d") == ("9000", "9100", "8900", "9060", "csv")


@pytest.mark.parametrize("hour", [1, 3])
def test_a_providers_day_that_is_over_in_utc_and_not_here_takes_the_close_of_the_market(
    database: None, metals_dev: MetalsDev, settings: Settings, hour: int
) -> None:
    settings.TIME_ZONE = "America/New_York"  # where that day goes on until 04:00 of UTC's next
    with time_machine.travel(NOW.replace(hour=hour), tick=False):
        days("--metal=gold", first=YESTERDAY, last=YESTERDAY)
        say("9300", 3600 * (hour - 8) + 60)
    assert running("1d") == ("9223", "9300", "9223", "9300", "metals_dev")


def test_a_day_that_was_over_when_it_was_given_keeps_its_close(database: None, metals_dev: MetalsDev) -> None:
    days("--metal=gold", first=YESTERDAY, last=YESTERDAY)
    say("9300", -24 * 3600)
    assert running("1d") == ("9223", "9300", "9223", "9223", "metals_dev")


def test_a_correction_takes_nothing_from_a_running_candle_but_the_slip(
    database: None, file: Callable[[str], str]
) -> None:
    run(file(TODAY + THIS_HOUR))
    say("9060", 0)
    say("9500", 1)
    say("9080", 1, source="metals_dev")
    say("9070", 1)
    assert running("1d") == running("1h") == ("9000", "9080", "8900", "9070", "csv")
    say("9100", 2)
    say("8800", 3)
    say("9090", 3)
    assert running("1d") == ("9000", "9100", "9000", "9090", "csv")


def test_a_line_that_cannot_be_read_is_named_and_nothing_is_filled_in(
    database: None, file: Callable[[str], str]
) -> None:
    broken = file(TICKS + "gold,2026-09-16T08:00:00Z,-1,shop\ngold,2026-09-16T08:00:01Z,9000,shop\n")
    before = everything()
    assert re.search(r"line 7, column price: '-1': .* Nothing is filled in before all", refusal(broken))
    assert everything() == before


def test_ticks_that_are_out_of_order_are_refused(database: None, file: Callable[[str], str]) -> None:
    lines = TICKS.splitlines(keepends=True)
    assert "line 3, column at: " in refusal(file("".join([lines[0], lines[5], lines[1]])))


def test_a_large_file_is_filled_in_by_many_transactions_as_by_one(
    database: None, file: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = dt.datetime(2026, 9, 14, 8, tzinfo=dt.UTC)
    lines = [f"gold,{(begin + dt.timedelta(seconds=17 * n)).isoformat()},{9000 + n % 13}\n" for n in range(300)]
    text = "".join(["metal,at,price\n", *lines])
    monkeypatch.setattr(csv_import, "_TICKS", 7)
    run(file(text))
    in_parts = {interval: figures(interval) for interval in Interval}
    Candle.objects.all().delete()
    Price.objects.filter(source="csv").delete()
    monkeypatch.setattr(csv_import, "_TICKS", 10_000)
    run(file(text))
    assert {interval: figures(interval) for interval in Interval} == in_parts
    assert sum(int(each[-1]) for each in in_parts[Interval.MINUTE]) == 300


# --- what cannot be believed -----------------------------------------------------------------------------------------


def hourly(*prices: str, metal: str = "gold", columns: str = "price") -> str:
    """A file of a tick an hour; its first is on line 2."""
    begin = dt.datetime(2026, 9, 14, 8, tzinfo=dt.UTC)
    times = (begin + dt.timedelta(hours=number) for number in range(len(prices)))
    lines = (f"{metal},{at.isoformat()},{price}\n" for at, price in zip(times, prices, strict=True))
    return "".join([f"metal,at,{columns}\n", *lines])


def refused(word: str) -> list[str]:
    """The lines that are named, of a file that leaves nothing behind without --confirm, and all with it."""
    before = everything()
    _, *named, last = refusal(word).split("\n")
    assert last.startswith("Nothing is filled in.")
    assert everything() == before
    assert " 0 there already" in run(word, "--confirm")
    assert everything() != before
    return [line.strip() for line in named]


def test_a_confirmed_file_is_filled_in_as_it_is_also_where_it_was_not_checked(
    database: None, file: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prices.history.sanity.MOST", 1)
    monkeypatch.setattr("prices.management.commands.backfill.MOST", 1)
    word = file(hourly("9000", "411227.25", "9001", "411227.25"))
    assert "1 line and more cannot be believed:\n  line 3, gold" in refusal(word)
    assert "4 written" in run(word, "--confirm")
    assert Price.objects.filter(price="411227.25").count() == 2


@pytest.fixture
def without_bands(database: None) -> None:
    """A database without bands, fallback prices and history to compare a price with."""
    FallbackPrice.objects.all().delete()


@pytest.mark.parametrize("price", ["411227.25", "13.221", "132210", "13221390"])
def test_a_tick_in_another_unit_is_out_of_its_metals_band(
    database: None, file: Callable[[str], str], price: str
) -> None:
    (named,) = refused(file(hourly("9000", "9001", price, "9002")))
    assert re.fullmatch(r"line 4, gold: price [0-9,.]+ is outside 2,305.8290 to 36,893.2648, its sanity band", named)


def test_of_many_lines_the_first_are_named(database: None, file: Callable[[str], str]) -> None:
    *named, rest = refused(file(hourly(*["411227.25"] * 25)))
    assert [line.partition(":")[0] for line in named] == [f"line {number}, gold" for number in range(2, 12)]
    assert rest == "and 15 more"


@pytest.mark.parametrize(
    ("prices", "named"),
    [
        (
            ("13221", "13200", "410600", "13210"),
            ["line 4, gold: 410,600.0000 is 31.1 times the 13,200.0000 of line 3, gold: is it per troy ounce?"],
        ),
        (
            ("13221", "132210", "13200"),
            ["line 3, gold: 132,210.0000 is 10.0 times the 13,221.0000 of line 2, gold: is it per 10gram?"],
        ),
        (
            ("13221000", "13221", "13200", "13210"),
            ["line 2, gold: 13,221,000.0000 is 1,000.0 times the 13,221.0000 of line 3, gold: is it per kg?"],
        ),
        (
            ("13221", "13.221"),
            ["line 3, gold: 13.2210 is 1/1,000.0 of the 13,221.0000 of line 2, gold: is it per kg?"],
        ),
        (("13221", "4407"), ["line 3, gold: 4,407.0000 is 1/3.0 of the 13,221.0000 of line 2, gold"]),
    ],
)
def test_without_a_band_a_multiple_of_its_neighbours_in_the_file_is_refused(
    without_bands: None, file: Callable[[str], str], prices: tuple[str, ...], named: list[str]
) -> None:
    assert refused(file(hourly(*prices))) == named


def test_without_a_band_history_tells_a_whole_file_in_another_unit(
    without_bands: None, file: Callable[[str], str]
) -> None:
    run(file(hourly("13221", "13222")))
    later = hourly("410000", "410001").replace("2026-09-14", "2026-09-16")
    one, two = refused(file(later))
    there = "13,222.0000 of the 1m candle of 2026-09-14T09:00Z: is it per troy ounce?"
    assert one == f"line 2, gold: 410,000.0000 is 31.0 times the {there}"
    assert two == f"line 3, gold: 410,001.0000 is 31.0 times the {there}"


def test_without_a_band_prices_of_years_ago_are_no_multiple(without_bands: None, file: Callable[[str], str]) -> None:
    days_ = ["2005-01-03,700", "2012-01-02,2800", "2026-09-14,13221"]
    lines = (f"gold,1d,{day.split(',')[0]},{','.join([day.split(',')[1]] * 4)}\n" for day in days_)
    assert "3 written" in run(file("".join(["metal,interval,start,open,high,low,close\n", *lines])))


def test_without_anything_to_compare_with_the_first_price_is_shown(
    without_bands: None, file: Callable[[str], str]
) -> None:
    said = run(file(hourly("411227", "411228")))
    assert "line 2, gold: 411,227.0000 was compared with nothing" in said
    said = run(file(hourly("411229").replace("2026-09-14", "2026-09-16")))
    assert "compared with nothing" not in said


@pytest.mark.parametrize(
    ("columns", "values", "named"),
    [
        ("price,bid,ask", "9000,289,9001", "bid 289.0000 is outside"),
        ("price,bid,ask", "9000,8999,279000", "ask 279,000.0000 is outside"),
        ("price,bid,ask", "9000,8999,27000", "ask 27,000.0000 is 3.0 times the 9,000.0000 beside it"),
    ],
)
def test_a_ticks_bid_and_ask_are_checked_too(
    database: None, file: Callable[[str], str], columns: str, values: str, named: str
) -> None:
    (found,) = refused(file(hourly("9000,8999,9001", values, columns=columns)))
    assert found.startswith(f"line 3, gold: {named}")


@pytest.mark.parametrize(
    ("figures", "named"),
    [
        ("9000,411227,9000,9001", "high 411,227.0000 is outside"),
        ("9000,9010,289,9001", "low 289.0000 is outside"),
        ("9000,29010,8990,9001", "high 29,010.0000 is 3.2 times the 9,001.0000 beside it"),
        ("411227,411227,411000,411100", "close 411,100.0000 is outside"),
    ],
)
def test_all_figures_of_a_candle_are_checked(
    database: None, file: Callable[[str], str], figures: str, named: str
) -> None:
    good = "metal,interval,start,open,high,low,close\ngold,1d,2026-09-14,9000,9010,8990,9001\n"
    (found,) = refused(file(f"{good}gold,1d,2026-09-15,{figures}\n"))
    assert found.startswith(f"line 3, gold: {named}")


def test_prices_are_checked_without_the_premium_that_was_on_them(database: None, file: Callable[[str], str]) -> None:
    Premium.objects.create(metal_id="gold", multiplier=Decimal(8), effective_from=midnight(MONDAY))
    assert "2 written" in run(file(hourly("72000", "72001")))
    said = "line 2, gold less its premium: price 1,650.0000 is outside 2,305.8290 to 36,893.2648, its sanity band"
    assert said in refusal(file(hourly("13200")))


def test_a_providers_day_that_cannot_be_believed_is_named_and_left_out(
    database: None, metals_dev: MetalsDev, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PER_GRAM, "gold", 9223.3162 * 31.1034768)
    said = refusal("--provider=metals_dev", f"--from={MONDAY}", f"--to={MONDAY + dt.timedelta(days=1)}")
    assert said.split("\n") == [
        "2 days cannot be believed:",
        "  2026-09-14 gold: price 286,877.2014 is outside 2,305.8290 to 36,893.2648, its sanity band",
        "  2026-09-15 gold: price 286,877.2014 is outside 2,305.8290 to 36,893.2648, its sanity band",
        "The others are filled in. Give the same command with --confirm to fill these in as they are.",
    ]
    assert [source for *_, source in candles() if source] == []
    assert len([source for *_, source in candles("silver") if source]) == 2
    days("--confirm", last=MONDAY)
    assert ("286877.2014", "metals_dev") in [each[1:] for each in candles()]


# --- as spreadsheets write it ----------------------------------------------------------------------------------------

EXCEL = (
    "\ufeffmetal;at;price;bid;ask;source;currency;;\r\n"
    ";;;;;;;;\r\n"
    "gold;2026-09-14T08:00:10Z;9000,5;;;shop;INR;;\r\n"
    '"gold";"2026-09-14T08:00:50Z";"9003,25";;;"shop";INR;;\r\n'
    "silver;2026-09-14T08:00:50Z;105;;\r\n"
    ";;;;;;;;\r\n"
    "\r\n"
)


def test_what_a_german_excel_writes_is_read(database: None, tmp_path: Path) -> None:
    path = tmp_path / "excel.csv"
    path.write_bytes(EXCEL.encode())
    assert "3 written" in run(f"--csv={path}")
    assert figures("1m")[0] == ("09-14 08:00", "9000", "9003", "9000", "9003", "2")
    assert Price.objects.get(price=Decimal("9003.25")).source == "shop"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (EXCEL[1:].encode("utf-16"), "is text in UTF-16. It has to be CSV in UTF-8"),
        (b"\xfe\xff" + EXCEL[1:].encode("utf-16-be"), "is text in UTF-16. It has to be CSV in UTF-8"),
        (b"PK\x03\x04\x14\x00", "is a workbook. It has to be CSV in UTF-8"),
        ("metal,at,price,source\ngold,2026-09-14T08:00:10Z,9000,schön\n".encode("cp1252"), "cannot be read: 'utf-8'"),
    ],
)
def test_what_is_no_csv_in_utf_8_is_named(database: None, tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "excel.csv"
    path.write_bytes(content)
    assert said in refusal(f"--csv={path}")


# --- how long it takes -----------------------------------------------------------------------------------------------


def test_ticks_of_many_days_are_filled_in_by_a_few_statements(
    database: None, file: Callable[[str], str], django_assert_max_num_queries: Any
) -> None:
    prices = [str(9000 + number % 7) for number in range(9 * 24)]
    word = file(hourly(*prices))
    with django_assert_max_num_queries(40):
        assert "216 written" in run(word)
    assert len(figures("1d")) == 10
    assert sum(int(each[-1]) for each in figures("1d")) == 216


def test_a_long_file_leaves_the_head_to_others_again_and_again(
    database: None, file: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[Head] = []
    locked = Head.locked

    def watched() -> Head:
        taken.append(locked())
        return taken[-1]

    monkeypatch.setattr(Head, "locked", watched)
    monkeypatch.setattr(csv_import, "_MINUTES", 50)
    run(file(hourly(*["9000"] * 200)))
    assert 4 <= len(taken) <= 6
