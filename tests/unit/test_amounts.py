"""Amounts as staff type and read them."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings

from prices.staff.amounts import read, written


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("12050", "12050"),
        ("12050.5", "12050.5"),
        ("12,050.50", "12050.50"),
        ("1,20,500", "120500"),  # as India writes it
        ("1,20,50,000", "12050000"),
        ("120,500", "120500"),  # as others do
        ("12,050,000.25", "12050000.25"),
        (" ₹ 1,20,500 ", "120500"),
        ("१२,०५०.५", "12050.5"),  # Devanagari
        ("૧૨૦૫૦", "12050"),  # Gujarati
        ("12०50", "12050"),  # noqa: RUF001
        ("0", "0"),
    ],
)
def test_an_amount_is_read_as_it_was_meant(typed: str, meant: str) -> None:
    assert read(typed) == Decimal(meant)


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "0,5",
        "12,05",
        "1,2,3",
        "12,05,0",
        "12.050,5",
        "1,2050",
        ",500",
        "-1",
        "+1",
        "1e5",
        "NaN",
        "Infinity",
        "12 g",
        "½",
        "²",
    ],
)
def test_an_amount_with_two_meanings_or_none_is_refused(typed: str) -> None:
    with pytest.raises(ValueError, match="Write a number such as"):
        read(typed)


@pytest.mark.parametrize(
    ("amount", "in_rupees", "in_dollars"),
    [
        ("505", "505", "505"),
        ("12050.0000", "12,050", "12,050"),
        ("120500.5000", "1,20,500.50", "120,500.50"),
        ("12050000.1234", "1,20,50,000.1234", "12,050,000.1234"),
        ("0.0101", "0.0101", "0.0101"),
    ],
)
def test_commas_are_indias_where_prices_are_in_rupees(
    settings: Settings, amount: str, in_rupees: str, in_dollars: str
) -> None:
    settings.BASE_CURRENCY = "INR"
    assert written(Decimal(amount)) == in_rupees
    settings.BASE_CURRENCY = "USD"
    assert written(Decimal(amount)) == in_dollars


@given(st.decimals(min_value=0, max_value=10**11, places=4))
def test_an_amount_is_read_back_as_it_was_written(amount: Decimal) -> None:
    assert read(written(amount)) == amount
