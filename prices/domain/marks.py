"""The marks of a shown price, by which people see at once whether to trust it, and their labels. Pure."""

from collections.abc import Mapping
from typing import Final

# The same as on the board (clients/js/client/marks.js).
LABELS: Final[Mapping[str, str]] = {
    "example": "Example",
    "fallback": "Fallback",
    "simulated": "Simulated",
    "stale": "Stale",
    "close": "Last close",
    "live": "Live",
}
