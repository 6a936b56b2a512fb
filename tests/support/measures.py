"""Units and purities as the tests know them, apart from the product's own tables, and the prices that try them."""

from decimal import Decimal
from fractions import Fraction

from hypothesis import strategies as st

from prices.domain.quotes import LARGEST_PRICE, Metal
from prices.domain.units import PRICE_STEP

STEP = Fraction(PRICE_STEP)

GRAMS = {
    "gram": Fraction(1),
    "8gram": Fraction(8),
    "10gram": Fraction(10),
    "100gram": Fraction(100),
    "tola": Fraction("11.6638038"),
    "kg": Fraction(1000),
    "troy_ounce": Fraction("31.1034768"),
}
FINE = {
    "24k": Fraction(1),
    "23k": Fraction(23, 24),
    "22k": Fraction(11, 12),
    "20k": Fraction(5, 6),
    "18k": Fraction(3, 4),
    "14k": Fraction(7, 12),
    "9k": Fraction(3, 8),
    "999": Fraction(1),
    "995": Fraction(995, 999),
    "990": Fraction("0.99"),
    "970": Fraction("0.97"),
    "958": Fraction("0.958"),
    "950": Fraction("0.95"),
    "925": Fraction("0.925"),
    "916": Fraction("0.916"),
    "900": Fraction("0.9"),
    "850": Fraction("0.85"),
    "835": Fraction("0.835"),
    "833": Fraction("0.833"),
    "800": Fraction("0.8"),
    "750": Fraction("0.75"),
    "585": Fraction("0.585"),
    "500": Fraction("0.5"),
    "375": Fraction("0.375"),
}
CARATS = ("24k", "23k", "22k", "20k", "18k", "14k", "9k")
# As India hallmarks them.
FINENESSES = {
    Metal.GOLD: ("999", "995", "958", "916", "833", "750", "585", "375"),
    Metal.SILVER: ("999", "990", "970", "925", "900", "835", "800"),
    Metal.PLATINUM: ("999", "950", "900", "850"),
    Metal.PALLADIUM: ("999", "950", "500"),
}
PAIRS = [(unit, purity) for unit in GRAMS for purity in FINE]

pairs = st.sampled_from(PAIRS)
# Whatever a price on the wire can be.
prices = st.decimals(PRICE_STEP, LARGEST_PRICE, places=4)


def factor(unit: str, purity: str) -> Fraction:
    """The factor from a price per gram of fine metal."""
    return GRAMS[unit] * FINE[purity]


def published_digits(exact: Fraction) -> Decimal:
    """An exact amount to the four decimals that are published, half to even, in whole numbers only."""
    steps, rest = divmod(exact.numerator * 10_000, exact.denominator)
    half = exact.denominator / Fraction(2)
    return Decimal(steps + (rest > half or (rest == half and steps % 2))).scaleb(-4)


def prices_halfway(unit: str, purity: str) -> list[Decimal]:
    """Prices, the smallest and the largest among them, whose conversion is just between two published ones."""
    whole = factor(unit, purity).denominator
    if whole % 2:
        return []
    first, largest = whole // 2, int(LARGEST_PRICE / PRICE_STEP)
    last = largest - (largest - first) % whole
    return [Decimal(steps) * PRICE_STEP for steps in (first, first + whole, last - whole, last)]
