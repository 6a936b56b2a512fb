"""The marks of a shown price, by which people see at once whether to trust it, and their labels. Pure.

clients/js/client/marks.js says the same of the same price.
"""

from collections.abc import Mapping
from typing import Final

from prices.domain.quotes import FALLBACK, SIMULATED

# The most serious first.
LABELS: Final[Mapping[str, str]] = {
    "example": "Example",
    "fallback": "Fallback",
    "simulated": "Simulated",
    "stale": "Stale",
    "close": "Last close",
    "live": "Live",
}


def marks_of(source: str, *, is_example: bool, is_stale: bool, is_of_now: bool) -> tuple[str, ...]:
    """The marks of a price, the most serious first. A price that calls for none is `live`, or the `close`."""
    if source == FALLBACK:
        # It is old by nature: to call it stale too would say nothing.
        return ("example" if is_example else "fallback",)
    marks = ("simulated",) * (source == SIMULATED) + ("stale",) * is_stale
    return marks or ("live" if is_of_now else "close",)
