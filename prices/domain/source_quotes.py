"""The part of each source in a price: what it gave, and the quote that was made of that. Pure; imports no Django.

A receipt keeps them (prices/domain/receipts.py), as arrays: a row of receipts is to be small. Times are Unix
milliseconds, as precise as any time on the wire.
"""

import enum
from collections.abc import Mapping
from decimal import Decimal
from typing import Final

import msgspec

from prices.domain.units import GRAMS_PER_TROY_OUNCE


class RawUnit(enum.StrEnum):
    """The unit of a raw price. By RECIPROCAL_TROY_OUNCE, it is how many troy ounces one of the currency buys."""

    GRAM = "gram"
    KILOGRAM = "kg"
    TONNE = "tonne"
    TROY_OUNCE = "troy_ounce"
    RECIPROCAL_TROY_OUNCE = "reciprocal_troy_ounce"


# Grams in the unit of a price, once a reciprocal is turned round.
GRAMS: Final[Mapping[RawUnit, Decimal]] = {
    RawUnit.GRAM: Decimal(1),
    RawUnit.KILOGRAM: Decimal(1000),
    RawUnit.TONNE: Decimal(1_000_000),
    RawUnit.TROY_OUNCE: GRAMS_PER_TROY_OUNCE,
    RawUnit.RECIPROCAL_TROY_OUNCE: GRAMS_PER_TROY_OUNCE,
}


class Exclusion(enum.StrEnum):
    """The rule by which a source was excluded from a price."""

    TOLERANCE = "tolerance"  # too far from the sources' median
    STALE = "stale"
    STANDING = "standing"  # its price stands still where others move
    ERROR = "error"  # it gave no price
    QUARANTINED = "quarantined"
    AGREEMENT = "agreement"  # too few sources agreed, and staff chose another one


class Exchange(msgspec.Struct, frozen=True, array_like=True):
    """The price of one unit of the raw currency in the base currency, by a source of rates, as of `as_of_ms`."""

    rate: Decimal
    source: str
    as_of_ms: int


class SourceQuote(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """One source's part in a price. All that is unknown, or that an error leaves unknown, is None.

    `raw_price` is the number that the source gave, in `raw_currency`; `exchange` converts it to the base currency.
    `included` is the premium that the source's prices include. `spot`, `bid` and `ask` are per gram in the base
    currency, less that premium. `deviation_percent` is from the median of all sources, where several were compared.
    `excluded_by` is None for a source whose quote the price was made of.
    """

    source: str
    excluded_by: Exclusion | None = None
    spot: Decimal | None = None
    quoted_ms: int | None = None
    fetched_ms: int | None = None
    raw_price: Decimal | None = None
    raw_currency: str | None = None
    raw_unit: RawUnit | None = None
    bid: Decimal | None = None
    ask: Decimal | None = None
    deviation_percent: Decimal | None = None
    included: Decimal | None = None
    exchange: Exchange | None = None

    @property
    def is_used(self) -> bool:
        return self.excluded_by is None
