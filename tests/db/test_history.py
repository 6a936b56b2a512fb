"""Candles in the database, as ticks bring them and as they are made anew."""

import datetime as dt
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_django import DjangoAssertNumQueries, Settings

from prices.domain import candles
from prices.domain.candles import Counted, Interval, effective, fold
from prices.domain.quotes import FALLBACK, SIMULATED, PriceKind
from prices.history import candle_store, partitions
from prices.history.candle_store import Series
from prices.models import Candle, Head, Premium, Price
from prices.publishing import ingest
from streaming import publish
from tests.support.databases import seed
from tests.support.quotes import NOW, quote
from tests.support.world import MINUTE, forget_prices

pytestmark = pytest.mark.django_db

GOLD = Series("gold", "INR", PriceKind.LIVE)
DAY = dt.timedelta(days=1)
BEFORE, AFTER = NOW - 2 * DAY, NOW + 3 * DAY


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch, db: None) -> None:
    """A database with metals and without any tick."""
    monkeypatch.setattr(publish, "publication", lambda publication: None)
    seed()
    forget_prices()


def say(price: object, *, seconds: float = 0, source: str = "gold_api_com") -> None:
    at = NOW + dt.timedelta(seconds=seconds)
    ingest.record([quote(price=str(price), at=at, source=source)], now=at)


def kept(interval: str, series: Series = GOLD) -> list[tuple[int, ...]]:
    """Open, high, low, close and ticks of the candles of an interval, oldest first."""
    rows = series.kept(Interval(interval), BEFORE, AFTER)
    return [(int(row.open), int(row.high), int(row.low), int(row.close), row.ticks) for row in rows]


def fill_in(said: list[tuple[int, str, int]]) -> None:
    """Store ticks one by one as a backfill does: at seconds after NOW, from a source, at a price."""
    for seconds, source, price in said:
        at = NOW + dt.timedelta(seconds=seconds)
        amount = Decimal(price)
        row = Price(
            metal_id="gold",
            currency="INR",
            price=amount,
            open=amount,
            high=amount,
            low=amount,
            source=source,
            quoted_at=at,
            at=at,
        )
        corrected = GOLD.ticks(at, at + dt.timedelta(microseconds=1)).exists()
        partitions.ensure([at])
        row.save()
        candle_store.take([row], corrected={"gold"} if corrected else ())


def expected() -> dict[Interval, list[object]]:
    """The candles that the stored ticks should make."""
    ticks = [
        Counted(at=row.at, source=row.source, price=row.price, order=row.pk, seq=row.seq or 0)
        for row in Price.objects.exclude(source=FALLBACK)
    ]
    return {interval: list(fold(effective(ticks), interval, candle_store.zone())) for interval in Interval}


def found() -> dict[Interval, list[object]]:
    return {interval: [row.value() for row in GOLD.kept(interval, BEFORE, AFTER)] for interval in Interval}


def test_each_tick_is_in_a_candle_of_every_interval() -> None:
    for number, price in enumerate([100, 103, 99, 101]):
        say(price, seconds=20 * number)
    assert kept("1m") == [(100, 103, 99, 99, 3), (101, 101, 101, 101, 1)]
    assert kept("5m") == kept("15m") == kept("1h") == kept("1d") == [(100, 103, 99, 101, 4)]


def test_a_day_begins_at_midnight_of_the_time_zone(settings: Settings) -> None:
    settings.TIME_ZONE = "America/New_York"
    say(100)
    assert [row.start for row in GOLD.kept(Interval.DAY, BEFORE, AFTER)] == [NOW.replace(hour=4)]


def test_a_repeated_quote_is_no_second_tick() -> None:
    say(100)
    say(100)
    assert kept("1m") == [(100, 100, 100, 100, 1)]


def test_a_corrected_price_leaves_no_high_behind() -> None:
    say(100)
    say(900, seconds=70)
    say(101, seconds=70)
    assert kept("1m") == [(100, 100, 100, 100, 1), (101, 101, 101, 101, 1)]
    assert kept("1d") == [(100, 101, 100, 101, 2)]


def test_staffs_price_is_in_no_candle_and_a_simulated_one_in_its_own(settings: Settings) -> None:
    settings.PRICE_PROVIDERS = [SIMULATED]
    say(50, source=FALLBACK)
    say(70, source=SIMULATED)
    say(100)
    assert kept("1d") == [(100, 100, 100, 100, 1)]
    assert kept("1d", Series("gold", "INR", PriceKind.SIMULATED)) == [(70, 70, 70, 70, 1)]
    assert Candle.objects.count() == 10


def test_a_premium_is_in_candles_from_when_it_was_shown() -> None:
    say(100)
    Premium.objects.create(metal_id="gold", multiplier=2, effective_from=NOW)
    ingest.apply_premiums(now=NOW + 5 * MINUTE)
    assert kept("1m") == [(100, 100, 100, 100, 1), (200, 200, 200, 200, 1)]
    # Quoted before the premium was shown, and seen after it.
    ingest.record([quote(price="101", at=NOW + 2 * MINUTE)], now=NOW + 6 * MINUTE)
    assert kept("1m") == [(100, 100, 100, 100, 1), (202, 202, 202, 202, 1)]


@pytest.mark.parametrize("quoted_after", [0, 240], ids=["the same quote", "a newer quote"])
def test_a_premium_that_a_refresh_brings_is_in_candles_from_then_on(quoted_after: int) -> None:
    say(100)
    Premium.objects.create(metal_id="gold", multiplier=2, effective_from=NOW + 5 * MINUTE)
    said = quote(price="100", at=NOW + dt.timedelta(seconds=quoted_after))
    ingest.record([said], now=NOW + 6 * MINUTE)
    assert kept("1m") == [(100, 100, 100, 100, 1), (200, 200, 200, 200, 1)]
    assert [row.start for row in GOLD.kept(Interval.MINUTE, BEFORE, AFTER)] == [NOW, NOW + 6 * MINUTE]


@pytest.mark.django_db(transaction=True)
def test_candles_are_of_the_ticks_transaction(monkeypatch: pytest.MonkeyPatch) -> None:
    say(100)

    def fail(*args: object, **options: object) -> None:
        raise RuntimeError("the disk is full")

    monkeypatch.setattr(candle_store, "take", fail)
    with pytest.raises(RuntimeError):
        say(101, seconds=1)
    assert (Head.current().seq, Price.objects.count()) == (1, 1)


def test_four_metals_cost_one_more_statement(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    rows = [Price(metal_id=metal, currency="INR", price=Decimal(1), source="a", at=NOW) for metal in ("gold", "silver")]
    with django_assert_num_queries(1):
        assert len(candle_store.take(rows)) == 10


said = st.lists(
    st.tuples(
        st.sampled_from([0, 10, 59, 60, 299, 300, 3600, 40_000, 86_400]), st.sampled_from("ab"), st.integers(1, 9)
    ),
    max_size=12,
)
# Each example begins with what the one before left, unless it clears it away.
by_many_examples = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
by_some_examples = settings(by_many_examples, max_examples=15)


@by_many_examples
@given(said=said)
def test_candles_are_right_however_late_repeated_or_corrected_ticks_come(said: list[tuple[int, str, int]]) -> None:
    forget_prices()
    fill_in(said)
    assert found() == expected()


@by_some_examples
@given(said=said)
def test_a_rebuild_makes_the_same_candles_from_ticks_alone(said: list[tuple[int, str, int]]) -> None:
    forget_prices()
    fill_in(said)
    Candle.objects.all().delete()
    assert list(candle_store.rebuild(GOLD, NOW, NOW + DAY))
    assert found() == expected()


def test_a_rebuild_keeps_what_ticks_are_gone_for() -> None:
    for number in range(4):
        say(100 + number, seconds=40 * number)
    before = found()
    Price.objects.all().delete()
    list(candle_store.rebuild(GOLD, NOW, NOW))
    assert found() == before


def test_a_rebuild_follows_another_time_zone(settings: Settings) -> None:
    say(100)
    say(101, seconds=12 * 3600)
    settings.TIME_ZONE = "America/New_York"
    list(candle_store.rebuild(GOLD, NOW - DAY, NOW + DAY))
    assert found() == expected()


def test_a_rebuild_leaves_a_providers_days_alone() -> None:
    say(100)
    row = GOLD.row(fold_of_a_day(77), source="goldapi_io")
    row.start -= 10 * DAY
    row.save()
    list(candle_store.rebuild(GOLD, NOW - 12 * DAY, NOW))
    assert Candle.objects.filter(source="goldapi_io").get().close == 77


def fold_of_a_day(price: int) -> candles.Candle:
    tick = Counted(at=NOW, source="x", price=Decimal(price), order=1, seq=0)
    return next(fold([tick], Interval.DAY, candle_store.zone()))
