"""A trading day, before any premium, against the most literal reading of what its quotes say."""

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from itertools import groupby
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prices.domain.days import Day, SpotQuote, day_figures, following
from prices.domain.quotes import DayFigures
from tests.support.quotes import NOW, quote

ZONES = [ZoneInfo(name) for name in ("UTC", "Asia/Kolkata", "America/New_York")]
everyday_prices = st.decimals("0.01", "10000000", places=4)
# A price, or a figure that the source does not give.
figures = st.none() | everyday_prices


def figures_of(open: str, high: str, low: str, previous_close: str | None = None) -> DayFigures:
    close = None if previous_close is None else Decimal(previous_close)
    return DayFigures(open=Decimal(open), high=Decimal(high), low=Decimal(low), previous_close=close)


def quoted(price: str, **given_figures: Any) -> SpotQuote:
    return SpotQuote.of(quote(price=price, **given_figures))


# --- the figures with one more quote ---------------------------------------------------------------------------------


quotes = st.builds(
    SpotQuote,
    source=st.sampled_from("ab"),
    price=everyday_prices,
    open=figures,
    high=figures,
    low=figures,
    previous_close=figures,
)


@given(st.lists(quotes, min_size=1, max_size=8))
def test_neither_the_price_nor_the_open_is_ever_outside_the_days_range(said: list[SpotQuote]) -> None:
    day = None
    for each in said:
        day = day_figures(each, day)
        assert day.low <= each.price <= day.high
        assert day.low <= day.open <= day.high


def test_a_source_that_gives_an_open_alone_has_it_in_its_range() -> None:
    day = day_figures(quoted("9223.3162", open="9500.0157"))
    assert day == figures_of("9500.0157", "9500.0157", "9223.3162")
    assert day_figures(quoted("9224"), day) == day
    assert day_figures(quoted("9223.3162", open="9000")) == figures_of("9000", "9223.3162", "9000")


def test_an_open_that_is_carried_on_stays_in_the_range_that_the_next_source_gives() -> None:
    day = day_figures(quoted("100", open="98"))
    assert day_figures(quoted("101", high="102", low="99"), day) == figures_of("98", "102", "98")


def test_what_the_source_says_of_the_day_stands() -> None:
    day = day_figures(quoted("100", open="98", high="103", low="97", previous_close="96"), closed=Decimal(90))
    assert day == figures_of("98", "103", "97", "96")


def test_a_range_that_contradicts_its_price_is_widened() -> None:
    day = day_figures(quoted("100", high="99", low="101"))
    assert day.low == day.high == 100


# --- days ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Said:
    """A quote of a source, so many seconds after the start."""

    source: str
    seconds: int
    price: int
    high: int | None = None
    low: int | None = None
    open: int | None = None
    previous_close: int | None = None

    @property
    def at(self) -> dt.datetime:
        return NOW + dt.timedelta(seconds=self.seconds)

    def quoted(self) -> SpotQuote:
        def amount(given: int | None) -> Decimal | None:
            return None if given is None else Decimal(given)

        return SpotQuote(
            source=self.source,
            price=Decimal(self.price),
            open=amount(self.open),
            high=amount(self.high),
            low=amount(self.low),
            previous_close=amount(self.previous_close),
        )


def after(said: list[Said], zone: dt.tzinfo) -> Day:
    """The day after all that was said, read back from the database each time."""
    day: Day | None = None
    for each in said:
        day = following(day and Day.read(day.stored()), each.quoted(), each.at, zone)
    assert day is not None
    return day


def literally(said: list[Said], zone: dt.tzinfo) -> DayFigures:
    """The figures of the last day, from all that was said: corrected quotes are crossed out, and the rest is added up
    day by day. Of quotes in time.
    """
    lasting = [
        each
        for number, each in enumerate(said)
        if not any((each.source, each.at) == (later.source, later.at) for later in said[number + 1 :])
    ]
    closed: Decimal | None = None
    found: DayFigures | None = None
    for _, of_day in groupby(lasting, key=lambda each: each.at.astimezone(zone).date()):
        day = [each.quoted() for each in of_day]
        opened = high = low = close = None
        for each in day:
            opened = each.open or opened or each.price
            high = max(filter(None, (each.high or high, opened, each.price)))
            low = min(filter(None, (each.low or low, opened, each.price)))
            close = each.previous_close or close or closed
        assert opened
        assert high
        assert low
        found = DayFigures(open=opened, high=high, low=low, previous_close=close)
        closed = day[-1].price
    assert found
    return found


amounts = st.none() | st.integers(1, 9)
said = st.lists(
    st.builds(
        Said,
        source=st.sampled_from("abc"),
        seconds=st.sampled_from([0, 1, 30_000, 60_000, 100_000, 200_000]),
        price=st.integers(1, 9),
        open=amounts,
        high=amounts,
        low=amounts,
        previous_close=amounts,
    ),
    min_size=1,
    max_size=10,
).map(lambda each: sorted(each, key=lambda one: one.seconds))


@given(said, st.sampled_from(ZONES))
def test_a_day_is_what_its_quotes_say_however_often_they_are_corrected(said: list[Said], zone: ZoneInfo) -> None:
    assert after(said, zone).figures == literally(said, zone)


def test_the_day_grows_with_its_prices() -> None:
    said = [Said("a", number, price) for number, price in enumerate((100, 105, 95, 101))]
    assert after(said, ZONES[0]).figures == figures_of("100", "105", "95")


def test_a_new_day_starts_at_its_first_price_and_closes_the_one_before() -> None:
    said = [Said("a", 0, 100), Said("a", 1, 105), Said("a", 2, 101), Said("a", 100_000, 102)]
    assert after(said, ZONES[0]).figures == figures_of("102", "102", "102", "101")


def test_a_slip_that_is_corrected_leaves_nothing_of_its_figures() -> None:
    said = [Said("a", 0, 9000), Said("a", 60, 9300, high=9400, open=9350), Said("a", 60, 9010)]
    assert after(said, ZONES[0]).figures == figures_of("9000", "9010", "9000")


def test_a_first_price_that_is_corrected_is_no_open_and_its_day_keeps_its_close() -> None:
    said = [Said("a", 0, 9000), Said("a", 100_000, 9300), Said("a", 100_000, 9010)]
    assert after(said, ZONES[0]).figures == figures_of("9010", "9010", "9010", "9000")


def test_a_day_that_a_wrong_clock_had_put_ahead_goes_on_and_ends_with_today() -> None:
    said = [Said("a", 200_000, 90), Said("a", 0, 100), Said("a", 1, 102), Said("a", 100_000, 101)]
    assert after(said[:3], ZONES[0]).figures == figures_of("90", "102", "90")
    assert after(said, ZONES[0]).figures == figures_of("101", "101", "101", "102")


@pytest.mark.parametrize("charged", ["1", "1.1", "1.06", "0.995", "3"])
@given(price=st.decimals("0.5", "99999999", places=4))
def test_a_price_with_duty_in_it_comes_back_under_the_same_duty(charged: str, price: Decimal) -> None:
    spot = day_figures(SpotQuote.of(quote(price=str(price)), included=Decimal(charged)))
    assert spot.with_premium(Decimal(charged)).high == price
