"""How long a source's price stands still: by its own time, while the market is open."""

import datetime as dt
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prices.domain import standing
from prices.domain.calendar import Calendar
from prices.domain.quotes import Metal, Quote
from prices.domain.standing import UnmovedPrice
from tests.support.quotes import NOW, quote

MINUTE = dt.timedelta(minutes=1)
HOUR = dt.timedelta(hours=1)
FRIDAYS_CLOSE = dt.datetime(2026, 9, 25, 21, 0, tzinfo=dt.UTC)
SUNDAYS_OPENING = dt.datetime(2026, 9, 27, 22, 0, tzinfo=dt.UTC)
MARKET = Calendar()


def record(*quotes: Quote, now: dt.datetime | None = None) -> UnmovedPrice:
    """The record of gold after these quotes, each of which came when it was quoted, or all of them `now`."""
    records: dict[Metal, UnmovedPrice] = {}
    for each in quotes:
        stored = standing.to_store(records)
        records = standing.following(standing.read(stored), [each], now or each.quoted_at)
    return records[Metal.GOLD]


def span(*quotes: Quote, now: dt.datetime | None = None) -> dt.timedelta:
    return record(*quotes, now=now).span(MARKET)


def same(minutes: float, price: str = "13200") -> Quote:
    return quote(price=price, at=NOW + minutes * MINUTE)


def test_a_price_stands_still_from_its_first_quote_to_its_last() -> None:
    assert span(same(0)) == 0 * MINUTE
    assert span(same(0), same(10), same(45)) == 45 * MINUTE
    assert span(same(0), same(10, "13200.0001"), same(45, "13200.0001")) == 35 * MINUTE


def test_the_same_quote_again_proves_nothing_and_an_older_one_changes_nothing() -> None:
    later = NOW + HOUR
    assert span(same(0), same(5), same(5), same(5), now=later) == 5 * MINUTE
    assert span(same(0), same(5), same(2, "13100"), now=later) == 5 * MINUTE
    assert span(same(0), same(5), same(5, "13100"), now=later) == 0 * MINUTE  # a correction


def test_in_a_closed_market_prices_may_stand_still() -> None:
    before, after = FRIDAYS_CLOSE - 10 * MINUTE, SUNDAYS_OPENING + 10 * MINUTE
    weekend = [quote(at=before + hours * HOUR) for hours in range(49)]
    assert span(*weekend) == 10 * MINUTE
    assert span(*weekend, quote(at=after)) == 20 * MINUTE


def test_a_source_whose_own_clock_was_ahead_is_not_taken_for_dead_when_it_is_right_again() -> None:
    ahead = quote(at=NOW + 24 * HOUR)
    assert span(ahead, same(1, "13201"), now=NOW) == 0 * MINUTE


def test_an_exchange_rate_does_not_move_a_price_that_stands_still() -> None:
    def in_dollars(minutes: float, raw: str, price: str) -> Quote:
        return same(minutes, price).with_parts(raw_price=Decimal(raw), raw_currency="USD")

    assert span(in_dollars(0, "4274.3", "13200"), in_dollars(60, "4274.3", "13210")) == HOUR
    assert span(in_dollars(0, "4274.3", "13200"), in_dollars(60, "4275.3", "13200")) == 0 * MINUTE


@given(
    st.lists(st.tuples(st.integers(0, 300), st.sampled_from(["1", "2"])), min_size=1, max_size=12),
    st.integers(-(10**6), 10**6),
)
def test_our_own_clock_makes_no_difference(quotes: list[tuple[int, str]], off: int) -> None:
    """Not even where it is years off, as long as it is not behind the source's: later than all quotes, here."""
    given = [same(minutes, price) for minutes, price in quotes]
    by = [NOW + HOUR * 24 * 30 + dt.timedelta(seconds=abs(off)), NOW + HOUR * 6]
    assert record(*given, now=by[0]) == record(*given, now=by[1])


@pytest.mark.parametrize("stored", [None, {}])
def test_a_source_without_records_has_none(stored: object) -> None:
    assert standing.read(stored) == {}
    others = standing.following({}, [replace(same(0), metal=Metal.SILVER)], NOW)
    assert list(others) == [Metal.SILVER]
