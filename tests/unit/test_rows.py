"""The rows of a sheet in an address."""

import json
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pages.rows import MOST_MISTAKES, MOST_ROWS, Row, default_sheet, parse, written
from prices.domain.fineness import PURITIES_OF
from prices.domain.quotes import Metal
from prices.domain.units import UNITS
from tests.support.product import ROOT

CASES = json.loads((ROOT / "tests/support/row_cases.json").read_text())
ANY_ROW = st.sampled_from(
    [Row(metal, purity, unit) for metal in Metal for purity in PURITIES_OF[metal] if purity != "24k" for unit in UNITS]
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["text"][:40] or "nothing")
def test_what_is_understood_of_an_address_and_what_is_not(case: dict[str, Any]) -> None:
    sheet = parse(case["text"])
    assert written(sheet.rows) == case["rows"]
    assert [list(mistake) for mistake in sheet.mistakes] == case["mistakes"]
    assert sheet.left_out == case["leftOut"]


@given(st.lists(ANY_ROW, unique=True, max_size=MOST_ROWS))
def test_rows_that_are_written_are_read_again(rows: list[Row]) -> None:
    assert parse(written(rows)) == (tuple(rows), (), 0)


@given(st.text())
def test_no_text_is_too_strange(text: str) -> None:
    sheet = parse(text)
    assert parse(written(sheet.rows)).rows == sheet.rows


def test_of_ten_thousand_rows_the_first_are_shown() -> None:
    purities = [purity for purity in PURITIES_OF[Metal.GOLD] if purity != "24k"]
    many = [Row(Metal.GOLD, purity, unit) for purity, unit in product(purities, UNITS)]
    sheet = parse(",".join([*map(str, many), *["nonsense"] * 10_000]))
    assert sheet.rows == tuple(many[:MOST_ROWS])
    assert (sheet.left_out, len(sheet.mistakes)) == (len(many) - MOST_ROWS, MOST_MISTAKES)


@pytest.mark.parametrize("currency", ["INR", "USD", "AED", "EUR", "GBP", "CHF", "SEK"])
def test_a_currencys_customary_sheet_has_every_metal(currency: str) -> None:
    rows = default_sheet(currency)
    assert {row.metal for row in rows} == set(Metal)
    assert parse(written(rows)) == (rows, (), 0)


def test_india_quotes_gold_per_ten_grams_and_silver_per_kilogram() -> None:
    assert written(default_sheet("INR")) == (
        "gold:999:10gram,gold:916:10gram,gold:750:10gram,silver:999:kg,platinum:999:gram,palladium:999:gram"
    )
