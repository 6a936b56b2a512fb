"""What several sources agree on."""

import datetime as dt
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prices.consensus import CONSENSUS, Agreement, agreement
from tests.conftest import NOW, quote

MINUTE = dt.timedelta(minutes=1)


def agreed(*prices: str, minimum: int = 2, tolerance: str = "1") -> Agreement:
    """What sources a, b, c, … agree on."""
    quotes = [
        quote(price=price, source=source, at=NOW - position * MINUTE)
        for position, (source, price) in enumerate(zip("abcdef", prices, strict=False))
    ]
    return agreement(quotes, minimum=minimum, tolerance_percent=lambda source: Decimal(tolerance))


@pytest.mark.parametrize(
    ("prices", "price", "set_aside"),
    [
        (["100", "100.4"], "100.2", ()),
        (["100", "100.4", "100.5"], "100.4", ()),
        (["100", "100.4", "3110"], "100.2", ("c",)),
        (["1", "100.4", "100", "100.2"], "100.2", ("a",)),
        (["100", "103"], None, ("a", "b")),
        (["100"], None, ()),
        (["100", "110", "120"], None, ("a", "c")),
    ],
)
def test_the_median_of_those_that_agree(prices: list[str], price: str | None, set_aside: tuple[str, ...]) -> None:
    found = agreed(*prices)
    assert (found.quote.price if found.quote else None) == (Decimal(price) if price else None)
    assert found.set_aside == set_aside


def test_an_agreed_price_says_so_and_is_as_new_as_the_newest_that_agrees() -> None:
    found = agreed("3110", "100", "100.4").quote
    assert found is not None
    assert (found.source, found.quoted_at, found.bid, found.high) == (CONSENSUS, NOW - MINUTE, None, None)


@given(st.lists(st.decimals(Decimal(1), Decimal(10**6), places=4), min_size=1, max_size=6), st.integers(1, 4))
def test_an_agreed_price_is_within_the_tolerance_of_as_many_as_were_asked_for(
    prices: list[Decimal], minimum: int
) -> None:
    found = agreed(*map(str, prices), minimum=minimum).quote
    if found:
        # Each is within 1 % of the common median, so within 2 % and a little of the median of those that are.
        near = [price for price in prices if abs(price - found.price) * 100 <= found.price * Decimal("2.1")]
        assert len(near) >= minimum
