"""`manage.py export` and `manage.py candles rebuild`: history out of the database, and rebuilt in it."""

import datetime as dt
import io
import tracemalloc
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.db import connection
from pytest_django import Settings

from prices.domain.quotes import Metal
from prices.history import export as export_lines
from prices.history import partitions
from prices.models import Candle, Price
from prices.publishing import ingest
from streaming import publish
from tests.support.quotes import NOW, quote


@pytest.fixture(autouse=True)
def database(either_database: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A seeded database, and a clock that stands."""
    monkeypatch.setattr(publish, "publication", lambda publication: None)
    with time_machine.travel(NOW, tick=False):
        yield


def run(*words: str) -> str:
    """The output of a command."""
    out = io.StringIO()
    call_command(*words, stdout=out, stderr=out)
    return out.getvalue()


def export(*words: str, first: str = "2026-09-23", last: str = "2026-09-24") -> str:
    return run("export", f"--from={first}", f"--to={last}", *words)


def publish_some() -> None:
    """A few ticks of two metals around India's midnight, which is at 18:30 in UTC."""
    for seconds, price in ((0, "9000.5"), (1800, "9003"), (3600, "8999.25")):
        at = dt.datetime(2026, 9, 22, 18, 0, 0, 123456, tzinfo=dt.UTC) + dt.timedelta(seconds=seconds)
        ingest.record([quote("gold", price, at=at, bid="8990"), quote("silver", "105", at=at)], now=at)


def everything() -> list[Any]:
    """All candles, and all prices without their numbers."""
    without = ("metal", "at", "price", "bid", "ask", "source")
    return [*Candle.objects.order_by("pk").values(), *Price.objects.order_by("metal", "at").values(*without)]


def test_ticks_of_whole_days_are_written_metal_by_metal() -> None:
    publish_some()
    assert export("--interval=ticks", first="2026-09-23", last="2026-09-23").splitlines() == [
        "metal,at,price,bid,ask,source,currency",
        "gold,2026-09-22T18:30:00.123456Z,9003.0000,8990.0000,,gold_api_com,INR",
        "gold,2026-09-22T19:00:00.123456Z,8999.2500,8990.0000,,gold_api_com,INR",
        "silver,2026-09-22T18:30:00.123456Z,105.0000,,,gold_api_com,INR",
        "silver,2026-09-22T19:00:00.123456Z,105.0000,,,gold_api_com,INR",
    ]


def test_candles_of_an_interval_and_a_metal_are_written() -> None:
    publish_some()
    assert export("--interval=1d", "--metal=gold").splitlines() == [
        "metal,interval,start,open,high,low,close,currency",
        "gold,1d,2026-09-22T18:30:00.000000Z,9003.0000,9003.0000,8999.2500,8999.2500,INR",
    ]
    assert len(export("--metal=silver").splitlines()) == 3


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    publish_some()
    out = tmp_path / "ticks.csv"
    export("--interval=ticks", f"--out={out}", first="2026-09-01")
    before = everything()
    run("backfill", f"--csv={out}")
    assert everything() == before  # what is there stays
    Candle.objects.all().delete()
    Price.objects.exclude(source="fallback").delete()
    run("backfill", f"--csv={out}")
    found = everything()
    assert [each | {"seq": 0} for each in before if "seq" in each] == [each for each in found if "seq" in each]
    assert [each for each in before if "seq" not in each] == [each for each in found if "seq" not in each]


def say_within_a_second(*said: tuple[str, str]) -> None:
    """Publish prices of gold by their sources, all quoted at the same moment."""
    at = NOW - dt.timedelta(minutes=5)
    for source, price in said:
        ingest.record([quote("gold", price, at=at, source=source)], now=at)


def empty() -> None:
    Candle.objects.all().delete()
    Price.objects.all().delete()


def history_without_numbers() -> list[Any]:
    """All candles, and all prices in the order in which they were recorded."""
    without = ("metal", "at", "price", "bid", "ask", "source")
    candles = [{**row, "seq": 0} for row in Candle.objects.order_by("pk").values()]
    ticks = Price.objects.exclude(source="fallback").order_by("metal", "at", "pk")
    return [*candles, *ticks.values(*without)]


@pytest.mark.parametrize("kept_for", [dt.timedelta(days=400), None], ids=str)
def test_ticks_of_one_second_come_back_in_their_order(
    tmp_path: Path, settings: Settings, kept_for: dt.timedelta | None
) -> None:
    settings.TICKS_KEPT_FOR = kept_for
    publish_some()
    say_within_a_second(("gold_api_com", "9100"), ("metals_dev", "9101"), ("gold_api_com", "9102"))
    export("--interval=ticks", f"--out={tmp_path / 'ticks.csv'}", first="2026-09-01")
    before = history_without_numbers()
    minute = Candle.objects.filter(metal="gold", interval="1m").order_by("start").last()
    assert minute
    assert (minute.open, minute.close, minute.ticks) == (Decimal(9101), Decimal(9102), 2)
    empty()
    for words in ((), (), ("--replace",)):
        run("backfill", f"--csv={tmp_path / 'ticks.csv'}", *words)
        assert history_without_numbers() == before
    run("candles", "rebuild")
    assert history_without_numbers() == before


def test_ticks_of_one_second_that_are_too_old_to_be_kept_are_counted_in_their_order(
    tmp_path: Path, settings: Settings
) -> None:
    say_within_a_second(("gold_api_com", "9100"), ("metals_dev", "9101"), ("gold_api_com", "9102"))
    export("--interval=ticks", f"--out={tmp_path / 'ticks.csv'}")
    before = [row for row in history_without_numbers() if "interval" in row]
    empty()
    settings.TICKS_KEPT_FOR = dt.timedelta(days=1)
    with time_machine.travel(NOW + dt.timedelta(days=5), tick=False):
        run("backfill", f"--csv={tmp_path / 'ticks.csv'}")
    assert history_without_numbers() == before


def test_a_slip_that_a_file_corrects_does_not_come_back_when_it_is_to_replace_what_is_there(tmp_path: Path) -> None:
    say_within_a_second(("gold_api_com", "9100"), ("gold_api_com", "9102"))
    export("--interval=ticks", f"--out={tmp_path / 'ticks.csv'}")
    before = history_without_numbers()
    run("backfill", f"--csv={tmp_path / 'ticks.csv'}", "--replace")
    assert history_without_numbers() == before


def test_simulated_prices_are_written_where_they_are_shown(settings: Settings) -> None:
    ingest.record([quote("gold", "9000", at=NOW, source="simulated")], now=NOW)
    assert "simulated" not in export("--interval=ticks")
    settings.PRICE_PROVIDERS = ["simulated"]
    assert "simulated" in export("--interval=ticks")
    assert "9000.0000" in export("--interval=1h")


def test_a_file_is_there_when_it_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish_some()
    out = tmp_path / "minutes.csv"
    out.write_text("yesterday's")

    def interrupted(*arguments: Any) -> Iterator[str]:
        yield "metal"
        assert out.read_text() == "yesterday's"
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(export_lines, "candles", interrupted)
        with pytest.raises(KeyboardInterrupt):
            export(f"--out={out}")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["yesterday's"]
    export(f"--out={out}")
    assert len(out.read_text().splitlines()) == 5


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--from=2026-09-01",), "Say which days"),
        (("--from=2026-09-02", "--to=2026-09-01"), "--from 2026-09-02 is after --to 2026-09-01"),
        (("--from=0000-01-01", "--to=2026-09-01"), "'0000-01-01' is no date"),
        (("--from=2026-09-01", "--to=9999-12-31"), "9999-12-31 is no day of prices"),
        (("--from=2026-09-01", "--to=2026-09-02", "--interval=2m"), "invalid choice: '2m'"),
        (
            ("--from=2026-09-01", "--to=2026-09-02", "--out=/nowhere/at/all.csv"),
            "/nowhere/at/all.csv cannot be written",
        ),
    ],
)
def test_what_cannot_be_written_is_refused_with_the_reason(words: tuple[str, ...], said: str) -> None:
    with pytest.raises(CommandError, match=said.replace("'", ".")):
        run("export", *words)


def test_memory_does_not_grow_with_the_range(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_lines, "_CHUNK", 100)

    def store(count: int) -> None:
        begin = NOW - dt.timedelta(hours=12)
        partitions.ensure([begin])
        Price.objects.bulk_create(
            Price(
                metal_id="gold",
                currency="INR",
                source="csv",
                at=begin + dt.timedelta(milliseconds=number),
                quoted_at=begin,
                **dict.fromkeys(("price", "open", "high", "low"), Decimal(1)),
            )
            for number in range(count)
        )

    def peak() -> int:
        tracemalloc.start()
        export("--interval=ticks", f"--out={tmp_path / 'ticks.csv'}")
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    store(1_200)
    peak()  # which imports what it needs
    before = peak()
    Price.objects.filter(source="csv").delete()
    store(6_000)
    assert peak() < before * 2  # of five times the rows; garbage that waits for its collector is in it


# --- candles rebuilt -------------------------------------------------------------------------------------------------


def test_candles_are_made_anew_for_all_metals_or_for_one() -> None:
    publish_some()
    before = everything()
    Candle.objects.update(high=Decimal(99999))
    assert run("candles", "rebuild", "--metal=gold") == "3 days rebuilt\n"
    assert [row["high"] for row in Candle.objects.filter(metal="silver").values("high")] == [Decimal(99999)] * 13
    run("candles", "rebuild")
    assert everything() == before


def test_only_the_days_that_are_named_are_made_anew() -> None:
    publish_some()
    Candle.objects.filter(interval="1d").update(high=Decimal(99999))
    assert run("candles", "rebuild", "--metal=gold", "--from=2026-09-23", "--to=2026-09-23") == "1 days rebuilt\n"
    days = Candle.objects.filter(metal="gold", interval="1d").order_by("start").values_list("high", flat=True)
    assert list(days) == [Decimal(99999), Decimal(9003)]


def test_nothing_is_made_of_nothing_and_a_reversed_range_is_refused() -> None:
    assert run("candles", "rebuild") == "0 days rebuilt\n"
    with pytest.raises(CommandError, match="--from 2026-09-02 is after --to 2026-09-01"):
        run("candles", "rebuild", "--from=2026-09-02", "--to=2026-09-01")


def test_postgresql_sends_rows_from_a_cursor() -> None:
    """So that neither side holds all of them."""
    publish_some()
    if connection.vendor != "postgresql":
        return  # SQLite knows nothing else
    start = NOW - dt.timedelta(days=10)
    lines = export_lines.ticks([Metal.GOLD], start, NOW)
    assert [next(lines)[:5] for _ in range(2)] == ["metal", "gold,"]
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_cursors WHERE NOT is_holdable")
        assert cursor.fetchone()[0] >= 1
    assert len(list(lines)) == 2
