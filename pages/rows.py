"""The rows of a sheet of prices, as an address names them: `gold:916:10gram,silver:999:kg`. Pure; imports no Django.

clients/js/client/rows.js reads and writes the same: tests/support/row_cases.json has the cases of both.
"""

import enum
from collections.abc import Collection, Mapping
from functools import cache
from typing import Final, NamedTuple

from infra.formats import clipped
from prices.domain.fineness import PURITIES_OF
from prices.domain.quotes import METAL_NAMES, Metal
from prices.domain.units import UNITS

# As many as a screen shows; an address of more costs no more.
MOST_ROWS: Final = 24
# A longer list of mistakes is no help.
MOST_MISTAKES: Final = 3


class Row(NamedTuple):
    """A metal in a purity, per unit: names of `PURITIES_OF` and `UNITS`."""

    metal: Metal
    purity: str
    unit: str

    def __str__(self) -> str:
        return f"{self.metal}:{self.purity}:{self.unit}"


class Wrong(enum.StrEnum):
    """The part of a row that is not understood."""

    METAL = "metal"
    PURITY = "purity"
    UNIT = "unit"
    FORM = "form"


class Mistake(NamedTuple):
    """A row that is not understood: its text, clipped, and what is wrong with it."""

    text: str
    wrong: Wrong


class Sheet(NamedTuple):
    """The rows of an address, each once; its first mistakes; and the number of further rows, which are left out."""

    rows: tuple[Row, ...] = ()
    mistakes: tuple[Mistake, ...] = ()
    left_out: int = 0


_METALS: Final[Mapping[str, Metal]] = {name.lower(): metal for name, metal in METAL_NAMES.items()}


def parse(text: str) -> Sheet:
    """Read the rows of an address. A metal goes by its name or ISO code; `gold` alone is `gold:999:gram`.

    Nothing is raised: what is not understood is among the mistakes.
    """
    rows: dict[Row, None] = {}
    mistakes: list[Mistake] = []
    left_out = 0
    for written_row in text.split(","):
        if not (stripped := written_row.strip()):
            continue
        row = _row(stripped)
        if isinstance(row, Wrong):
            if len(mistakes) < MOST_MISTAKES:
                mistakes.append(Mistake(clipped(stripped), row))
        elif len(rows) < MOST_ROWS:
            rows[row] = None
        elif row not in rows:
            left_out += 1
    return Sheet(tuple(rows), tuple(mistakes), left_out)


def _row(text: str) -> Row | Wrong:
    name, *rest = (part.strip().lower() for part in text.split(":"))
    if len(rest) > 2:
        return Wrong.FORM
    metal = _METALS.get(name)
    if metal is None:
        return Wrong.METAL
    purity, unit = (*rest, *("999", "gram")[len(rest) :])
    if purity not in PURITIES_OF[metal]:
        return Wrong.PURITY
    # Both are fine metal: one sheet has one address.
    return Row(metal, "999" if purity == "24k" else purity, unit) if unit in UNITS else Wrong.UNIT


def written(rows: Collection[Row]) -> str:
    """Rows as `parse` reads them."""
    return ",".join(map(str, rows))


_FINE_PER_GRAM: Final = "gold,silver,platinum,palladium"
_CUSTOMARY: Final[Mapping[str, str]] = {
    "INR": "gold:999:10gram,gold:916:10gram,gold:750:10gram,silver:999:kg,platinum,palladium",
    "USD": ",".join(f"{metal}:999:troy_ounce" for metal in Metal),
    "AED": f"gold:999:gram,gold:916:gram,gold:750:gram,{_FINE_PER_GRAM}",
    "EUR": "gold,gold:750:gram,silver:999:kg,platinum,palladium",
    "GBP": "gold,gold:750:gram,silver:999:kg,platinum,palladium",
    "CHF": "gold,gold:750:gram,silver:999:kg,platinum,palladium",
}


@cache
def default_sheet(currency: str) -> tuple[Row, ...]:
    """The rows by which the trade in a currency quotes metals; where that is not known, each metal, fine, per gram."""
    return parse(_CUSTOMARY.get(currency, _FINE_PER_GRAM)).rows
