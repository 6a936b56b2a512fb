"""Recompute the prices of a publication from its receipt alone, with nothing but Python's standard library.

    curl -s http://127.0.0.1:3001/api/v1/publications/18231/ | python3 docs/examples/recompute.py

It prints each metal's price as the receipt makes it, and exits with 1 where that is not the price that was published.
docs/api.md explains the figures. It imports nothing of Swarna's, so that it can check Swarna.
"""

import json
import sys
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from statistics import median
from typing import Any

GRAMS = {
    "gram": Decimal(1),
    "kg": Decimal(1000),
    "tonne": Decimal(1_000_000),
    "troy_ounce": Decimal("31.1034768"),
    "reciprocal_troy_ounce": Decimal("31.1034768"),
}


class MismatchError(ValueError):
    """A figure of a receipt that the figures before it do not make."""


class UnprovableError(ValueError):
    """A receipt from before receipts, which keeps too little to compute anything from."""


def rounded(amount: Decimal) -> Decimal:
    """The amount rounded to four decimals; a half goes to the even neighbour."""
    return amount.quantize(Decimal("0.0001"), ROUND_HALF_EVEN)


def per_gram(source: dict[str, Any]) -> Decimal:
    """A source's raw price, in the receipt's currency per gram."""
    raw, unit = Decimal(source["rawPrice"]), source["rawUnit"]
    per_unit = 1 / raw if unit.startswith("reciprocal_") else raw
    return rounded(per_unit * Decimal(source.get("exchangeRate", 1)) / GRAMS[unit])


def spot(source: dict[str, Any]) -> Decimal:
    """A source's price less the premium that it includes. Raises MismatchError where the receipt has another.

    Where its raw price is not known, as of a price that is shown again, it is what the receipt says.
    """
    if "rawPrice" not in source:
        return Decimal(source["spot"])
    made = per_gram(source)
    if "premiumIncluded" in source:
        made = rounded(made / Decimal(source["premiumIncluded"]))
    return expect(made, source["spot"], f"the spot price of {source['source']}")


def price(receipt: dict[str, Any]) -> Decimal:
    """The price that a metal's receipt makes. Raises MismatchError where the receipt contradicts itself.

    Where not even the used sources' spot prices are known, the receipt begins with its own.
    """
    if receipt["premium"] is None:
        raise UnprovableError("published before receipts were kept")
    used = [source for source in receipt["sources"] if source["used"]]
    if used and all("spot" in source for source in used):
        expect(rounded(median(map(spot, used))), receipt["spot"], "the spot price")
    if receipt["premiumIncludedBySource"] and len(used) == 1 and "rawPrice" in used[0]:
        return per_gram(used[0])
    return rounded(Decimal(receipt["spot"]) * Decimal(receipt["premium"]))


def expect(made: Decimal, published: Decimal | str, what: str) -> Decimal:
    """The figure, where it is the published one. Raises MismatchError where it is not."""
    if made != Decimal(published):
        raise MismatchError(f"{what} is {published} in the receipt, and its figures make {made}")
    return made


def recompute(publication: dict[str, Any]) -> dict[str, Decimal]:
    """The price of each metal in a publication, once more.

    Amounts are Decimals or, as in what was signed, strings. Raises MismatchError where one is not the published price,
    and UnprovableError for a publication from before receipts.
    """
    with localcontext(prec=60):
        return {
            metal: expect(price(receipt), receipt["price"], f"the price of {metal}")
            for metal, receipt in publication["metals"].items()
        }


def parse(text: str | bytes) -> dict[str, Any]:
    """A receipt's JSON with its numbers as Decimals: a float would lose digits."""
    publication: dict[str, Any] = json.loads(text, parse_float=Decimal, parse_int=Decimal)
    return publication


def main() -> None:
    publication = parse(sys.stdin.read())
    try:
        prices = recompute(publication)
    except (MismatchError, UnprovableError) as error:
        sys.exit(f"publication {publication['seq']}: {error}")
    for metal, made in prices.items():
        print(f"{metal}: {made:f} {publication['currency']} per gram, as published")


if __name__ == "__main__":
    main()
