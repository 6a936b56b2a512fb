"""Candles stay as they were when their ticks are gone: nothing rebuilds them from a part of their ticks."""

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.core.management import call_command
from django.db import connection
from pytest_django import Settings

from prices.domain.candles import Interval
from prices.domain.quotes import PriceKind
from prices.history import candle_store, retention
from prices.history.candle_store import Series
from prices.models import Candle, Price
from prices.publishing import ingest
from streaming import publish
from tests.support.databases import seed
from tests.support.quotes import NOW, quote
from tests.support.world import forget_prices

pytestmark = pytest.mark.django_db(transaction=True)  # in which alone a month can be dropped

GOLD = Series("gold", "INR", PriceKind.LIVE)
DAY = dt.timedelta(days=1)
SECOND = dt.timedelta(seconds=1)


@pytest.fixture(autouse=True)
def fresh(either_database: None, monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    """A database of each kind without any tick, which keeps them for a day."""
    monkeypatch.setattr(publish, "publication", lambda publication: None)
    seed()
    forget_prices()
    settings.TICKS_KEPT_FOR = DAY


def say(*said: tuple[dt.datetime, int]) -> None:
    for at, price in said:
        ingest.record([quote(price=str(price), at=at)], now=at)


def all_candles() -> list[Any]:
    return list(Candle.objects.order_by("pk").values())


def minutes() -> list[tuple[int, ...]]:
    """Open, high, low, close and ticks of gold's minutes, oldest first."""
    rows = Candle.objects.filter(metal="gold", interval="1m").order_by("start")
    return [(*(int(amount) for amount in (row.open, row.high, row.low, row.close)), row.ticks) for row in rows]


def rebuild(now: dt.datetime, *words: str) -> None:
    with time_machine.travel(now, tick=False):
        call_command("candles", "rebuild", *words, verbosity=0)


def fill_in(file: Path, text: str, *words: str, now: dt.datetime = NOW) -> None:
    file.write_text("metal,at,price,source\n" + text)
    with time_machine.travel(now, tick=False):
        call_command("backfill", f"--csv={file}", *words)


# --- a rebuild -------------------------------------------------------------------------------------------------------


def test_a_minute_in_whose_middle_ticks_would_be_too_old_is_kept_as_a_whole() -> None:
    say((NOW, 9000), (NOW + 20 * SECOND, 9100), (NOW + 50 * SECOND, 9050))
    before, later = all_candles(), NOW + DAY + 30 * SECOND
    retention.keep_history(now=later)
    rebuild(later)
    assert all_candles() == before
    assert minutes() == [(9000, 9100, 9000, 9050, 3)]


@pytest.mark.parametrize("zone", ["Asia/Kolkata", "America/New_York", "UTC"])
@pytest.mark.parametrize("hours", [0, 5, 19])
def test_whenever_ticks_go_a_rebuild_makes_the_same_candles(settings: Settings, zone: str, hours: int) -> None:
    """Around the end of a month, which is another moment in UTC than there."""
    settings.TIME_ZONE = zone
    begin = dt.datetime(2026, 8, 30, 0, 0, 20, tzinfo=dt.UTC)
    say(*((begin + number * dt.timedelta(minutes=141, seconds=11), 9000 + number * 37 % 100) for number in range(44)))
    before = all_candles()
    now = dt.datetime(2026, 9, 2, hours, 17, 31, tzinfo=dt.UTC)
    retention.keep_history(now=now)
    rebuild(now)
    assert all_candles() == before
    oldest = Price.objects.order_by("at").values_list("at", flat=True)[0]
    if connection.vendor == "sqlite":
        midnight = Interval.DAY.start(now - DAY, candle_store.zone())
        assert dt.timedelta(0) <= oldest - midnight < dt.timedelta(minutes=142)


def test_a_minute_that_lost_ticks_otherwise_is_not_made_of_those_that_are_left() -> None:
    """As an earlier version left one, or while they go."""
    say((NOW, 9000), (NOW + 20 * SECOND, 9100), (NOW + 50 * SECOND, 9050))
    before = all_candles()
    Price.objects.filter(at__lt=NOW + 30 * SECOND).delete()
    rebuild(NOW + 2 * DAY)
    assert all_candles() == before


def test_a_tick_that_staff_delete_while_it_is_kept_is_in_no_candle_made_anew() -> None:
    say((NOW, 9000), (NOW + 20 * SECOND, 9100), (NOW + 50 * SECOND, 9050))
    Price.objects.filter(price=9100).delete()
    rebuild(NOW + 60 * SECOND)
    assert minutes() == [(9000, 9050, 9000, 9050, 2)]


def test_a_candle_that_was_given_whole_is_made_of_our_ticks_only_with_given() -> None:
    say((NOW, 9000), (NOW + 20 * SECOND, 9100))
    Candle.objects.filter(interval="1d").update(open=Decimal(8000), source="metals_dev")
    given = all_candles()
    rebuild(NOW + 60 * SECOND)
    assert all_candles() == given
    rebuild(NOW + 60 * SECOND, "--given")
    day = Candle.objects.get(interval="1d")
    assert (day.open, day.source) == (Decimal(9000), "")


# --- files of ticks that are too old to be kept ----------------------------------------------------------------------

FIRST = "gold,2026-09-14T08:00:10Z,9000,shop\ngold,2026-09-14T08:00:50Z,9003,shop\n"
SECOND_FILE = "gold,2026-09-14T08:00:30Z,9500,other\ngold,2026-09-14T08:01:30Z,9010,other\n"


def test_the_second_file_for_a_minute_leaves_it_as_the_first_made_it_unless_it_is_to_be_replaced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill_in(tmp_path / "first.csv", FIRST)
    fill_in(tmp_path / "second.csv", SECOND_FILE)
    assert minutes() == [(9000, 9003, 9000, 9003, 2), (9010, 9010, 9010, 9010, 1)]
    assert capsys.readouterr().out.splitlines() == [
        "2 written, 0 there already, 0 unusable",
        "1 written, 1 there already, 0 unusable",
    ]
    day = Candle.objects.get(interval="1d")
    assert [f"{amount:.0f}" for amount in (day.open, day.high, day.low, day.close)] == ["9000", "9010", "9000", "9010"]
    assert day.ticks == 3
    fill_in(tmp_path / "second.csv", SECOND_FILE, "--replace")
    assert minutes() == [(9500, 9500, 9500, 9500, 1), (9010, 9010, 9010, 9010, 1)]


def test_a_minute_in_which_a_file_broke_off_is_there_when_the_file_is_whole(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="line 3, column price"):
        fill_in(tmp_path / "first.csv", FIRST.replace("9003", "-1"))
    assert minutes() == []
    fill_in(tmp_path / "first.csv", FIRST)
    assert minutes() == [(9000, 9003, 9000, 9003, 2)]


def test_a_minute_of_ticks_that_were_too_old_once_stays_when_they_are_kept_for_longer(
    tmp_path: Path, settings: Settings
) -> None:
    fill_in(tmp_path / "first.csv", FIRST)
    settings.TICKS_KEPT_FOR = 400 * DAY
    fill_in(tmp_path / "second.csv", SECOND_FILE)
    assert minutes()[0] == (9000, 9003, 9000, 9003, 2)
