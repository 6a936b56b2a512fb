"""The sanity rules for prices of the past, by tables."""

import datetime as dt
from decimal import Decimal

import pytest

from prices.domain.quotes import Metal
from prices.domain.sanity import Band
from prices.history.sanity import MOST, Point, Validator
from tests.support.quotes import NOW

DAY = dt.timedelta(days=1)
YEAR = 365 * DAY


def violations(*prices: tuple[dt.datetime, str], kept: Point | None = None, band: Band | None = None) -> list[str]:
    """The places of the prices of one series that cannot be believed, by their number in the order given."""
    validator = Validator({Metal.GOLD: band} if band else {}, lambda key, at: kept)
    for number, (at, price) in enumerate(prices):
        point = Point(str(number), at, Decimal(price))
        validator.take("gold", Metal.GOLD, point, {"price": point.price})
    return [found.place for found in validator.violations()]


@pytest.mark.parametrize(
    ("apart", "price", "expected"),
    [
        (DAY, "200", []),
        (DAY, "200.0001", ["1"]),
        (DAY, "50", []),
        (DAY, "49.9999", ["1"]),
        (7 * DAY, "200.0001", ["1"]),
        (8 * DAY, "400", []),
        (8 * DAY, "400.0001", ["1"]),
        (5 * YEAR, "400.0001", ["1"]),
        (5 * YEAR + DAY, "800", []),
        (5 * YEAR + DAY, "800.0001", ["1"]),
    ],
)
def test_the_farther_apart_two_prices_are_the_more_they_may_differ(
    apart: dt.timedelta, price: str, expected: list[str]
) -> None:
    assert violations((NOW, "100"), (NOW + apart, price)) == expected
    assert violations((NOW, "100"), (NOW - apart, price)) == expected


def test_a_price_is_compared_with_the_last_one_that_was_believed() -> None:
    assert violations((NOW, "100"), (NOW, "3110"), (NOW, "3111"), (NOW, "190"), (NOW, "350")) == ["1", "2"]


def test_where_nothing_is_kept_most_prices_are_right() -> None:
    assert violations((NOW, "3110"), (NOW, "100"), (NOW, "101")) == ["0"]


def test_of_three_levels_the_one_of_most_prices_is_right() -> None:
    prices = [(NOW, price) for price in ("3110", "100", "101", "1000", "102", "103")]
    assert violations(*prices) == ["0", "3"]
    assert violations(*prices[3::-1], *prices[4:]) == ["0", "3"]


def test_where_a_price_is_kept_it_is_right_however_many_differ() -> None:
    kept = Point("what is kept", NOW, Decimal("3110"))
    assert violations((NOW, "3111"), (NOW, "100"), (NOW, "101"), kept=kept) == ["1", "2"]


def test_a_kept_price_that_is_out_of_the_band_itself_tells_nothing() -> None:
    kept = Point("what is kept", NOW, Decimal("3110"))
    assert violations((NOW, "100"), (NOW, "101"), kept=kept, band=Band(Decimal(50), Decimal(200))) == []


def test_a_price_that_is_out_of_its_band_is_no_neighbour() -> None:
    band = Band(Decimal(50), Decimal(200))
    assert violations((NOW, "49"), (NOW, "50"), (NOW, "100"), (NOW, "200"), (NOW, "201"), band=band) == ["0", "4"]


def test_each_series_has_neighbours_of_its_own() -> None:
    validator = Validator({}, lambda key, at: None)
    for key, metal, price in (("gold", Metal.GOLD, "100"), ("silver", Metal.SILVER, "1"), ("gold", Metal.GOLD, "101")):
        point = Point(key, NOW, Decimal(price))
        validator.take(key, metal, point, {"price": point.price})
    assert validator.violations() == []


def test_what_is_looked_for_has_an_end() -> None:
    validator = Validator({Metal.GOLD: Band(Decimal(50), Decimal(200))}, lambda key, at: None)
    for number in range(MOST):
        assert not validator.is_full
        point = Point(str(number), NOW, Decimal(1))
        validator.take("gold", Metal.GOLD, point, {"price": point.price})
    assert validator.is_full
