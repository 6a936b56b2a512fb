"""Which prices are believed, and what confirms one that is not."""

import datetime as dt
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prices.domain.quotes import LARGEST_PRICE, Quote
from prices.domain.sanity import Band, Confirming, SanityRule, confirming, find_violation
from tests.support.quotes import NOW, quote

FIVE = Decimal(5)
BAND = Band.around(Decimal(100), 4)
MINUTE = dt.timedelta(minutes=1)
ANOTHER, ITSELF = Confirming.ANOTHER_SOURCE, Confirming.THE_SAME_SOURCE
amounts = st.decimals(Decimal("0.0001"), LARGEST_PRICE, places=4)


def rule_broken_by(given: Quote, last: Quote | None = None, band: Band | None = BAND) -> SanityRule | None:
    found = find_violation(given, last, band=band, max_jump_percent=FIVE)
    return found.rule if found else None


@pytest.mark.parametrize(
    ("price", "rule"),
    [
        ("24.9999", SanityRule.BAND),
        ("25", None),
        ("100", None),
        ("400", None),
        ("400.0001", SanityRule.BAND),
        ("3110.3477", SanityRule.BAND),
    ],
)
def test_a_price_is_within_its_metals_band(price: str, rule: SanityRule | None) -> None:
    assert rule_broken_by(quote(price=price)) is rule
    assert rule_broken_by(quote(price=price), band=None) is None


@pytest.mark.parametrize(
    ("price", "rule"),
    [("94.9999", SanityRule.JUMP), ("95", None), ("105", None), ("105.0001", SanityRule.JUMP)],
)
def test_a_price_jumps_no_further_than_is_allowed(price: str, rule: SanityRule | None) -> None:
    assert rule_broken_by(quote(price=price), last=quote(price="100")) is rule


@pytest.mark.parametrize(
    ("low", "high", "rule"),
    [
        ("99", "101", None),
        ("100", "100", None),
        ("100.09", "101", None),
        ("100.11", "101", SanityRule.RANGE),
        ("98", "99.95", None),
        ("98", "99.8", SanityRule.RANGE),
        ("101", "99", SanityRule.RANGE),
    ],
)
def test_a_price_is_in_the_days_range_that_comes_with_it(low: str, high: str, rule: SanityRule | None) -> None:
    assert rule_broken_by(quote(price="100", low=low, high=high)) is rule


def test_a_violation_gives_its_reason() -> None:
    found = find_violation(quote(price="110"), quote(price="100"), band=None, max_jump_percent=FIVE)
    assert found is not None
    assert found.detail == "110.0000 is +10.0 % from 100.0000, the last price"


@given(last=amounts, price=amounts)
def test_whatever_is_believed_is_near_the_last_one(last: Decimal, price: Decimal) -> None:
    believed = rule_broken_by(quote(price=str(price)), last=quote(price=str(last)), band=None) is None
    assert believed == (abs(price - last) * 100 <= last * 5)


@pytest.mark.parametrize(
    ("price", "source", "later", "confirmed"),
    [
        ("120", "gold_api_com", True, ITSELF),
        ("120", "gold_api_com", False, None),  # out of its cache
        ("120", "metals_dev", False, ANOTHER),
        ("126", "metals_dev", False, ANOTHER),
        ("127", "metals_dev", False, None),
        ("100", "gold_api_com", True, None),
    ],
)
def test_a_second_source_or_the_same_one_later_confirms_a_price(
    price: str, source: str, later: bool, confirmed: Confirming | None
) -> None:
    said_at = NOW + MINUTE * later
    assert (
        confirming(
            quote(price=price, source=source, at=said_at),
            quote(price="120"),
            contributors={source: said_at},
            quarantined_contributors={"gold_api_com": NOW},
            max_jump_percent=FIVE,
        )
        is confirmed
    )


@pytest.mark.parametrize(
    ("contributors", "confirmed"),
    [
        ({"a": 0, "b": 0}, None),
        ({"a": 0}, None),
        ({"a": 0, "b": 1}, ITSELF),
        ({"a": 0, "c": -9}, ANOTHER),  # by its own clock
        ({"a": -1, "b": -1}, None),
    ],
    ids=str,
)
def test_sources_that_agree_confirm_a_price_where_one_of_them_says_something_new(
    contributors: dict[str, int], confirmed: Confirming | None
) -> None:
    before = {"a": NOW, "b": NOW}
    said = {source: NOW + minutes * MINUTE for source, minutes in contributors.items()}
    assert (
        confirming(quote(), quote(), contributors=said, quarantined_contributors=before, max_jump_percent=FIVE)
        is confirmed
    )
