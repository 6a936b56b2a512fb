"""Amounts on a metal's page, in the weight and purity that its reader chose.

pages/static/pages/amounts.js writes them anew in another measure.
"""

from decimal import Decimal
from typing import NamedTuple

from infra import formats as numbers
from pages.formats import NOTHING, Formats
from pages.rows import Row
from prices.domain.units import converted


class Amount(NamedTuple):
    """An amount in the page's measure.

    The page's script makes it anew for another measure, of the amount per `gram`, and of what it is more than, `less`,
    where it is a difference.
    """

    text: str
    gram: str = ""
    less: str = ""


class Amounts:
    """The amounts of a page in the measure of a row, which are given per gram of fine metal."""

    def __init__(self, row: Row, f: Formats) -> None:
        self._row = row
        self._f = f

    def converted(self, gram: Decimal) -> Decimal:
        """An amount per gram in the measure, not rounded for people."""
        return converted(gram, unit=self._row.unit, purity=self._row.purity)

    def amount(self, gram: Decimal | None) -> Amount:
        """An amount per gram of fine metal, in the measure."""
        if gram is None:
            return Amount(NOTHING)
        return Amount(self._f.amount(self.converted(gram)), str(numbers.number(gram)))

    def difference(self, gram: Decimal, less: Decimal | None) -> Amount:
        """The difference of two such amounts, as they are shown."""
        if less is None:
            return Amount(NOTHING)
        to = self.converted(gram)
        text = self._f.difference(to - self.converted(less), to)
        return Amount(text, str(numbers.number(gram)), str(numbers.number(less)))
