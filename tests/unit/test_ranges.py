"""The ranges of a metal's chart: their figures, and their path."""

from decimal import Decimal
from typing import Any

import pytest

from infra import formats
from pages.ranges import ChartRange, path, range_figures
from tests.support.ranges import CASES, candles


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_a_range_has_its_figures(case: dict[str, Any]):
    found = range_figures(candles(case))
    assert case["figures"] == (
        found
        and {
            "first": str(formats.number(found.first)),
            "last": str(formats.number(found.last)),
            "high": str(formats.number(found.high)),
            "highAt": formats.time(found.high_at),
            "low": str(formats.number(found.low)),
            "lowAt": formats.time(found.low_at),
            "average": str(formats.number(found.average)),
            "changePercent": str(formats.number(found.change_percent)),
        }
    )


def test_each_range_has_enough_candles_for_a_chart_and_no_more_than_a_page_of_the_api():
    most = [each.most_candles for each in ChartRange]
    assert most == [288, 168, 720, 365, None]


def test_a_path_goes_from_the_left_to_the_right_between_its_highest_and_its_lowest():
    prices = [Decimal(price) for price in ("10", "12", "11", "10")]
    assert path(prices, 300, 100) == "M0 100L100 0L200 50L300 100"


def test_a_price_that_does_not_move_is_straight_in_the_middle():
    assert path([Decimal(5)] * 3, 100, 40) == "M0 20L50 20L100 20"


def test_one_price_is_no_path():
    assert path([Decimal(5)], 100, 40) == ""
