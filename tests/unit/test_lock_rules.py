"""The worth of a lock, whatever the market does."""

import datetime as dt
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from infra import clock
from locks.rules import Side, is_over, moved_against_house, redeemed_price
from tests.support.quotes import NOW

PRICES = st.decimals("0.0001", "99999999", places=4)
SIDES = st.sampled_from(Side)
SECOND = dt.timedelta(seconds=1)


@given(SIDES, PRICES, PRICES)
def test_a_price_that_moves_on_is_against_one_side_and_for_the_other(side: Side, locked: Decimal, now: Decimal) -> None:
    other = Side.BUY if side is Side.SELL else Side.SELL
    assert moved_against_house(side, locked, now) == -moved_against_house(other, locked, now)


@given(SIDES, PRICES, PRICES)
def test_a_lock_without_terms_is_redeemed_at_its_price(side: Side, locked: Decimal, now: Decimal) -> None:
    assert redeemed_price(side, locked, now, tolerance_percent=None, passes_on=False) == locked


@given(SIDES, PRICES, PRICES)
def test_a_move_that_is_passed_on_is_never_to_the_customers_loss(side: Side, locked: Decimal, now: Decimal) -> None:
    charged = redeemed_price(side, locked, now, tolerance_percent=None, passes_on=True)
    assert charged == (min(locked, now) if side is Side.SELL else max(locked, now))


@given(SIDES, PRICES, PRICES, st.decimals(0, 999, places=3))
def test_the_house_never_loses_more_than_the_tolerance(
    side: Side, locked: Decimal, now: Decimal, tolerance: Decimal
) -> None:
    charged = redeemed_price(side, locked, now, tolerance_percent=tolerance, passes_on=False)
    assert (charged is None) is (moved_against_house(side, locked, now) > tolerance)


@given(SIDES, PRICES, st.booleans())
def test_without_a_market_the_locked_price_holds(side: Side, locked: Decimal, passes_on: bool) -> None:
    assert redeemed_price(side, locked, None, tolerance_percent=Decimal(0), passes_on=passes_on) == locked


@given(st.integers(-1000, 1000))
def test_a_lock_is_over_from_its_expiry_on_and_before_it_could_have_been_issued(seconds: int) -> None:
    now, end = NOW + seconds * SECOND, NOW + 420 * SECOND
    holds = -clock.TOLERANCE <= now - NOW < 420 * SECOND
    assert is_over(issued_at=NOW, expires_at=end, now=now) is not holds
