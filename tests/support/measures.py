"""Units and purities as the tests know them, apart from the product's own tables, and the prices that try them."""

from decimal import Decimal
from fractions import Fraction

from hypothesis import strategies as st

from prices.domain.quotes import LARGEST_PRICE
from prices.domain.units import PRICE_STEP

STEP = Fraction(PRICE_STEP)

GRAMS = {
    "gram": Fraction(1),
    "10gram": Fraction(10),
    "tola": Fraction("11.6638038"),
    "kg": Fraction(1000),
    "troy_ounce": Fraction("31.1034768"),
}
FINE = {
    "24k": Fraction(1),
    "22k": Fraction(11, 12),
    "18k": Fraction(3, 4),
    "14k": Fraction(7, 12),
    "999": Fraction(1),
    "995": Fraction("0.995"),
    "916": Fraction("0.916"),
    "750": Fraction("0.75"),
    "585": Fraction("0.585"),
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
