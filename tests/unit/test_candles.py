"""Candles against the most literal reading of what they are, in time zones whose days are 23, 24 and 25 hours long."""

import datetime as dt
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prices.domain.candles import Candle, Counted, Interval, effective, fold, widened

ZONES = ["UTC", "Asia/Kolkata", "America/New_York", "Africa/Cairo", "Atlantic/Azores", "Australia/Lord_Howe"]
zones = st.sampled_from([ZoneInfo(name) for name in ZONES])
# Around the days on which clocks are changed in New York (8 March and 1 November 2026), and so in other places.
moments = st.builds(
    lambda begin, seconds: begin + dt.timedelta(seconds=seconds),
    st.sampled_from([dt.datetime(2026, month, day, 12, tzinfo=dt.UTC) for month, day in ((3, 7), (10, 24), (10, 31))]),
    st.integers(0, 3 * 86_400),
)
said = st.tuples(moments, st.sampled_from("ab"), st.integers(1, 9))


def ticks_of(said_in_turn: list[tuple[dt.datetime, str, int]]) -> list[Counted]:
    return [
        Counted(at=at, source=source, price=Decimal(price), order=order, seq=order)
        for order, (at, source, price) in enumerate(said_in_turn, 1)
    ]


def literally(ticks: list[Counted], interval: Interval, zone: ZoneInfo) -> dict[dt.datetime, tuple[Decimal, ...]]:
    """Open, high, low, close and number by each candle's start: every tick is looked up in every bucket."""
    last_word = {(tick.source, tick.at): tick for tick in ticks}.values()
    buckets: dict[dt.datetime, list[Counted]] = {}
    for tick in last_word:
        local = tick.at.astimezone(zone)
        if interval is Interval.DAY:
            # The first moment that shows this date on a clock there.
            moment = tick.at.replace(minute=tick.at.minute // 15 * 15, second=0, microsecond=0)
            while (moment - dt.timedelta(minutes=15)).astimezone(zone).date() == local.date():
                moment -= dt.timedelta(minutes=15)
            start = moment
        else:
            length = {"1m": 60, "5m": 300, "15m": 900, "1h": 3600}[interval]
            start = dt.datetime.fromtimestamp(int(tick.at.timestamp()) // length * length, dt.UTC)
        buckets.setdefault(start, []).append(tick)
    return {
        start: (
            min(within, key=lambda tick: (tick.at, tick.order)).price,
            max(tick.price for tick in within),
            min(tick.price for tick in within),
            max(within, key=lambda tick: (tick.at, tick.order)).price,
            Decimal(len(within)),
        )
        for start, within in buckets.items()
    }


def figures(candles: list[Candle]) -> dict[dt.datetime, tuple[Decimal, ...]]:
    return {each.start: (each.open, each.high, each.low, each.close, Decimal(each.ticks)) for each in candles}


@given(said=st.lists(said, max_size=30), zone=zones)
def test_candles_are_made_of_their_ticks_however_late_repeated_or_corrected(
    said: list[tuple[dt.datetime, str, int]], zone: ZoneInfo
) -> None:
    ticks = ticks_of(said)
    for interval in Interval:
        candles = list(fold(effective(ticks), interval, zone))
        assert figures(candles) == literally(ticks, interval, zone)
        assert candles == sorted(candles, key=lambda candle: candle.start)


@given(said=st.lists(said, min_size=1, max_size=30), zone=zones)
def test_longer_candles_can_be_made_of_minutes(said: list[tuple[dt.datetime, str, int]], zone: ZoneInfo) -> None:
    ticks = effective(ticks_of(said))
    minutes = list(fold(ticks, Interval.MINUTE, zone))
    for interval in Interval:
        for candle in fold(ticks, interval, zone):
            end = interval.end(candle.start, zone)
            assert (
                widened((each for each in minutes if candle.start <= each.start < end), interval, candle.start)
                == candle
            )


@given(at=moments, zone=zones, interval=st.sampled_from(Interval))
def test_each_moment_is_in_one_candle_and_none_is_between_two(
    at: dt.datetime, zone: ZoneInfo, interval: Interval
) -> None:
    start = interval.start(at, zone)
    end = interval.end(start, zone)
    assert start <= at < end
    assert interval.start(start, zone) == start
    assert interval.start(end, zone) == end
    assert interval.start(end - dt.timedelta(microseconds=1), zone) == start


@pytest.mark.parametrize(
    ("zone", "noon", "hours"),
    [
        ("America/New_York", dt.datetime(2026, 3, 8, 16, tzinfo=dt.UTC), 23),
        ("America/New_York", dt.datetime(2026, 11, 1, 17, tzinfo=dt.UTC), 25),
        ("Africa/Cairo", dt.datetime(2026, 4, 24, 10, tzinfo=dt.UTC), 23),  # clocks leap over this midnight
        ("Asia/Kolkata", dt.datetime(2026, 11, 1, 17, tzinfo=dt.UTC), 24),
    ],
)
def test_a_day_is_as_long_as_it_is_there(zone: str, noon: dt.datetime, hours: int) -> None:
    there = ZoneInfo(zone)
    start = Interval.DAY.start(noon, there)
    assert Interval.DAY.end(start, there) - start == dt.timedelta(hours=hours)
