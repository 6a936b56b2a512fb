"""The marks of a shown price."""

import pytest

from prices.domain.marks import marks_of


@pytest.mark.parametrize(
    ("source", "is_example", "is_stale", "is_of_now", "marks"),
    [
        ("gold_api_com", False, False, True, ("live",)),
        ("gold_api_com", False, False, False, ("close",)),
        ("gold_api_com", False, True, False, ("stale",)),
        ("simulated", False, False, True, ("simulated",)),
        ("simulated", False, True, False, ("simulated", "stale")),
        ("fallback", False, True, False, ("fallback",)),
        ("fallback", True, True, False, ("example",)),
    ],
)
def test_a_price_says_first_what_is_most_serious(
    source: str, is_example: bool, is_stale: bool, is_of_now: bool, marks: tuple[str, ...]
) -> None:
    assert marks_of(source, is_example=is_example, is_stale=is_stale, is_of_now=is_of_now) == marks
