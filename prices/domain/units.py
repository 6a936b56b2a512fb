"""Units of weight, purities, and the decimals of a published price. Pure; imports no Django."""

from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from fractions import Fraction
from typing import Final

GRAMS_PER_TROY_OUNCE: Final = Decimal("31.1034768")
GRAMS_PER_TOLA: Final = Decimal("11.6638038")

# Grams in one unit, by its name in the API. Fractions, here and below: 14/24 has no last decimal, and cut off anywhere,
# it would round some price halfway between two published ones to the wrong one.
UNITS: Final[Mapping[str, Fraction]] = {
    "gram": Fraction(1),
    "8gram": Fraction(8),
    "10gram": Fraction(10),
    "100gram": Fraction(100),
    "tola": Fraction(GRAMS_PER_TOLA),
    "kg": Fraction(1000),
    "troy_ounce": Fraction(GRAMS_PER_TROY_OUNCE),
}

_CARATS: Final = (24, 23, 22, 20, 18, 14, 9)
_FINENESSES: Final = (999, 995, 990, 970, 958, 950, 925, 916, 900, 850, 835, 833, 800, 750, 585, 500, 375)
# The price of one part of alloy in parts of fine metal, by India's convention. Carat k is k/24. Fine is 999: the very
# metal that prices are quoted for. IBJA's rate for 995 is 995/999 of that; those below are plainly thousandths of it.
PURITIES: Final[Mapping[str, Fraction]] = {
    **{f"{carat}k": Fraction(carat, 24) for carat in _CARATS},
    **{str(fineness): Fraction(fineness, 1000) for fineness in _FINENESSES},
    "999": Fraction(1),
    "995": Fraction(995, 999),
}

# Prices are published with at most four decimals and stored with exactly four, so that any database gives back what
# was published.
PRICE_STEP: Final = Decimal("0.0001")


def per_gram(price: Decimal, grams: Decimal = GRAMS_PER_TROY_OUNCE, *, exchange_rate: Decimal = Decimal(1)) -> Decimal:
    """A price for so many grams, by default a troy ounce, as one per gram, rounded to the published decimals.

    `exchange_rate` is the price of one unit of its currency in the currency of the result.
    """
    with localcontext() as context:
        context.prec = 40
        return rounded(price * exchange_rate / grams)


def converted(price: Decimal, *, unit: str = "gram", purity: str = "24k") -> Decimal:
    """A price per gram of fine metal as one per `unit` of metal of `purity`, to the four decimals that are published.

    Rounded once, half to even, from the exact product. Raises KeyError for an unknown unit or purity.
    """
    exact = Fraction(price) * UNITS[unit] * PURITIES[purity]
    return round(exact / Fraction(PRICE_STEP)) * PRICE_STEP


def rounded(price: Decimal) -> Decimal:
    """A price rounded to the four decimals that are stored and published."""
    with localcontext() as context:
        context.prec = 40
        return price.quantize(PRICE_STEP, ROUND_HALF_EVEN)
