"""Which moves are announced."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prices.domain.changes import significant_change
from prices.domain.quotes import Change, Metal

prices = st.decimals("0.01", "10000000", places=4)


def move(old: str | Decimal, new: str | Decimal, threshold: str = "1") -> Change | None:
    return significant_change(Metal.GOLD, Decimal(old), Decimal(new), threshold=Decimal(threshold))


@pytest.mark.parametrize(
    ("old", "new", "threshold"),
    [
        ("100", "101", "1"),
        ("100", "99", "1"),
        ("13080", "13210.8", "1"),
        ("7", "7.07", "1"),
        ("3", "2.97", "1"),
        ("100", "100.3", "0.3"),
        ("100", "100", "0.001"),
    ],
)
def test_a_move_of_exactly_the_threshold_is_not_announced(old: str, new: str, threshold: str) -> None:
    assert move(old, new, threshold) is None


@pytest.mark.parametrize(
    ("old", "new", "threshold", "direction", "percent"),
    [
        ("100", "101.0001", "1", "up", "1.00"),
        ("100", "98.9999", "1", "down", "-1.00"),
        ("13080", "13221.39", "1", "up", "1.08"),
        ("100", "50", "1", "down", "-50.00"),
        ("100", "100.3001", "0.3", "up", "0.30"),
        ("0.0001", "99999999999.9999", "1", "up", "99999999999999800.00"),
    ],
)
def test_a_move_beyond_the_threshold_is_announced(
    old: str, new: str, threshold: str, direction: str, percent: str
) -> None:
    change = move(old, new, threshold)
    assert change is not None
    assert (change.old_price, change.new_price) == (Decimal(old), Decimal(new))
    assert (change.direction, change.change_percent) == (direction, Decimal(percent))


@given(prices, prices)
def test_up_and_down_are_judged_by_where_they_start(old: Decimal, new: Decimal) -> None:
    announced = move(old, new) is not None
    assert announced == (abs(new - old) * 100 > old)


@given(prices, prices)
def test_direction_and_percentage_agree(old: Decimal, new: Decimal) -> None:
    if change := move(old, new):
        assert (change.direction == "up") == (change.change_percent > 0) == (new > old)
