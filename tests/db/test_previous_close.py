"""The previous close from history, where the prices so far have none of the day before: of day candles, at spot."""

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
from django.core.management import call_command
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from prices.domain.quotes import SIMULATED, Metal, PriceKind
from prices.history import demonstration
from prices.models import Candle, LatestPrice, Premium
from prices.providers import simulated
from prices.publishing import ingest, snapshot
from tests.support.desk import Broadcasts
from tests.support.quotes import NOW, quote

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("broadcasts")]

DAY = dt.timedelta(days=1)
MINUTE = dt.timedelta(minutes=1)
MIDNIGHT = dt.datetime(2026, 9, 23, 18, 30, tzinfo=dt.UTC)  # in India, on the day of NOW


def day_candle(days_ago: int, close: str, *, kind: PriceKind = PriceKind.LIVE, currency: str = "INR") -> None:
    """A day candle of gold that a provider gave, as a backfill writes it."""
    start = MIDNIGHT - days_ago * DAY
    amounts = dict.fromkeys(("open", "high", "low", "close"), Decimal(close))
    times = {"first_at": start, "last_at": start + DAY - dt.timedelta(microseconds=1)}
    series = {"metal": "gold", "currency": currency, "lane": kind, "interval": "1d"}
    Candle.objects.create(**series, start=start, ticks=0, seq=0, source="metals_dev", **amounts, **times)


def closed(price: str = "13200", at: dt.datetime = NOW, **options: str) -> Decimal | None:
    """The previous close on screens after a quote of gold."""
    publication = ingest.record([quote(price=price, at=at, **options)], now=at)
    assert publication is not None
    (published,) = publication.quotes
    return published.day.previous_close


# --- which day counts ----------------------------------------------------------------------------------------------


def test_the_first_price_of_an_installation_has_the_close_of_yesterdays_candle() -> None:
    day_candle(2, "13000")
    day_candle(1, "13100")
    assert closed() == 13100
    assert closed("13250", NOW + MINUTE) == 13100
    gold = snapshot.read().quotes[quote().metal]
    assert (gold.change, gold.day.previous_close) == (Decimal(150), Decimal(13100))


def test_a_candle_of_today_is_no_close() -> None:
    day_candle(0, "13100")
    assert closed() is None


@pytest.mark.parametrize(("days_ago", "close"), [(7, Decimal(13100)), (8, None)])
def test_the_last_day_with_a_candle_counts_if_it_is_of_this_week(days_ago: int, close: Decimal | None) -> None:
    day_candle(days_ago, "13100")
    assert closed() == close


def test_after_days_without_prices_a_filled_in_day_since_then_is_the_day_before() -> None:
    closed("12000", NOW - 20 * DAY)
    day_candle(1, "13100")
    assert closed() == 13100


def test_without_one_the_last_price_stays_the_previous_close() -> None:
    closed("12000", NOW - 20 * DAY)
    assert closed() == 12000


def test_yesterdays_own_last_price_counts_whatever_history_says() -> None:
    closed("12000", NOW - DAY)
    Candle.objects.filter(interval="1d").update(close=11000)
    assert closed() == 12000


def test_a_close_that_the_source_gives_itself_counts() -> None:
    day_candle(1, "13100")
    assert closed(previous_close="13050") == 13050


def test_only_candles_of_the_same_kind_and_currency_count() -> None:
    day_candle(1, "9000", kind=PriceKind.SIMULATED)
    day_candle(1, "150", currency="USD")
    assert closed() is None


# --- premiums ------------------------------------------------------------------------------------------------------


def test_a_close_is_at_spot_and_goes_out_under_the_premium_of_today() -> None:
    for multiplier, began in (("1.06", MIDNIGHT - 30 * DAY), ("1.15", MIDNIGHT)):
        Premium.objects.create(metal_id="gold", multiplier=Decimal(multiplier), effective_from=began)
    day_candle(1, "13992")  # 13,200 with yesterday's 6 %
    assert closed("13200") == 15180
    assert snapshot.read().quotes[quote().metal].change == 0


def test_under_the_same_premium_it_is_the_close_of_the_candle_to_the_last_digit() -> None:
    Premium.objects.create(metal_id="gold", multiplier=Decimal("1.063"), effective_from=MIDNIGHT - 30 * DAY)
    day_candle(1, "13987.6543")
    assert closed() == Decimal("13987.6543")


# --- history that comes later ---------------------------------------------------------------------------------------


def csv_of_yesterday(folder: Path, close: str) -> str:
    """A file with gold's day candle of yesterday."""
    file = folder / "days.csv"
    file.write_text(
        "metal,currency,interval,start,open,high,low,close\n"
        f"gold,INR,1d,{(MIDNIGHT - DAY):%Y-%m-%dT%H:%M:%SZ},{close},{close},{close},{close}\n"
    )
    return str(file)


@pytest.fixture
def fill_in(
    tmp_path: Path, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> Callable[[str], None]:
    """Fill yesterday's close in from a file."""

    def fill_in(close: str) -> None:
        with django_capture_on_commit_callbacks(execute=True):
            call_command("backfill", csv=csv_of_yesterday(tmp_path, close), confirm=True)

    return fill_in


def test_a_backfill_brings_the_shown_price_its_previous_close_at_once(
    fill_in: Callable[[str], None], broadcasts: Broadcasts
) -> None:
    closed("13150")
    closed("13200", NOW + MINUTE)
    confirmed, candles = LatestPrice.objects.get().confirmed_at, list(Candle.objects.filter(ticks__gt=0))
    broadcasts.publications.clear()
    fill_in("13100")
    ((gold,),) = [publication.quotes for publication in broadcasts.publications]
    assert (gold.quote, gold.change, gold.day.previous_close) == (
        quote(price="13200", at=NOW + MINUTE),
        Decimal(100),
        Decimal(13100),
    )
    assert LatestPrice.objects.get().confirmed_at == confirmed  # it confirms no source
    assert [(row.close, row.ticks) for row in Candle.objects.filter(ticks__gt=0)] == [
        (row.close, row.ticks) for row in candles
    ]
    assert closed("13210", NOW + 2 * MINUTE) == 13100


def test_a_backfill_leaves_a_previous_close_as_it_is(fill_in: Callable[[str], None], broadcasts: Broadcasts) -> None:
    closed("12000", NOW - DAY)
    closed("13200")
    broadcasts.publications.clear()
    fill_in("11000")
    assert broadcasts.publications == []


def test_a_backfill_puts_no_live_price_in_the_place_of_a_shown_fallback(
    fill_in: Callable[[str], None], broadcasts: Broadcasts
) -> None:
    closed("13200")
    ingest.record([quote(price="13000", source="fallback")], now=NOW + MINUTE)
    broadcasts.publications.clear()
    fill_in("13100")
    assert broadcasts.publications == []


# --- the demo ------------------------------------------------------------------------------------------------------


@pytest.fixture
def demo(settings: Settings) -> None:
    settings.PRICE_PROVIDERS = [SIMULATED]


def test_the_demo_begins_with_a_past_of_30_days_that_ends_where_its_market_begins(demo: None) -> None:
    written = demonstration.make_up(now=NOW)
    days = Candle.objects.filter(metal="gold", interval="1d").order_by("start")
    assert [day.start for day in days] == [MIDNIGHT - ago * DAY for ago in range(30, -1, -1)]
    assert set(Candle.objects.values_list("lane", "source")) == {(SIMULATED, SIMULATED)}
    assert Candle.objects.count() == written
    ends_at = Candle.objects.filter(metal="gold").latest("last_at").last_at
    assert ends_at == NOW - dt.timedelta(microseconds=1)
    ends = Candle.objects.filter(metal="gold", last_at=ends_at)
    assert {row.close for row in ends} == {simulated.price_at(Metal.GOLD, int(NOW.timestamp()))}
    assert {row.interval for row in ends} == {"1m", "5m", "15m", "1h", "1d"}


def test_each_of_its_candles_is_made_of_the_shorter_ones_in_it(demo: None) -> None:
    demonstration.make_up(now=NOW)
    for day in Candle.objects.filter(metal="silver", interval="1d").order_by("start"):
        inside = list(
            Candle.objects.filter(
                metal="silver", interval="15m", start__gte=day.start, start__lt=day.start + DAY
            ).order_by("start")
        )
        assert (day.open, day.close) == (inside[0].open, inside[-1].close)
        assert day.high == max(row.high for row in inside) >= day.low == min(row.low for row in inside)


def test_its_first_price_has_a_change_and_its_high_and_low_are_in_its_days_candle(demo: None) -> None:
    demonstration.make_up(now=NOW)
    yesterday = Candle.objects.get(metal="gold", interval="1d", start=MIDNIGHT - DAY)
    assert closed("13210", source=SIMULATED) == yesterday.close
    today = Candle.objects.get(metal="gold", interval="1d", start=MIDNIGHT)
    assert (today.close, today.ticks) == (Decimal(13210), 1)


def test_the_next_start_makes_up_nothing(demo: None) -> None:
    demonstration.make_up(now=NOW)
    assert demonstration.make_up(now=NOW + DAY) == 0


@pytest.mark.parametrize("providers", [["gold_api_com"], ["gold_api_com", SIMULATED], []])
def test_nothing_is_made_up_where_there_is_a_market(settings: Settings, providers: list[str]) -> None:
    settings.PRICE_PROVIDERS = providers
    assert demonstration.make_up(now=NOW) == 0
    assert not Candle.objects.exists()
