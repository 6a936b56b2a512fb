"""The purities and the weights in which each metal is sold, and the names of purities for people. Pure; no Django."""

from collections.abc import Mapping
from typing import Final

from prices.domain.quotes import Metal

# Names of `PURITIES` in prices/domain/units.py. 24k is the stream's own measure, fine metal, and so of any metal; else
# carats are gold's. The finenesses are those that India hallmarks.
PURITIES_OF: Final[Mapping[Metal, tuple[str, ...]]] = {
    Metal.GOLD: (
        *("24k", "23k", "22k", "20k", "18k", "14k", "9k"),
        *("999", "995", "958", "916", "833", "750", "585", "375"),
    ),
    Metal.SILVER: ("24k", "999", "990", "970", "925", "900", "835", "800"),
    Metal.PLATINUM: ("24k", "999", "950", "900", "850"),
    Metal.PALLADIUM: ("24k", "999", "950", "500"),
}

# Names of `UNITS` there: the weights by which the trade in India quotes and sells a metal. 8 g is a sovereign.
WEIGHTS_OF: Final[Mapping[Metal, tuple[str, ...]]] = {
    Metal.GOLD: ("gram", "8gram", "10gram", "100gram", "tola"),
    Metal.SILVER: ("10gram", "100gram", "kg"),
    Metal.PLATINUM: ("gram", "10gram"),
    Metal.PALLADIUM: ("gram", "10gram"),
}

# Shops' names for the hallmarks of gold (BIS, IS 1417). "22K" there is 916 in thousand, a little less than 22/24.
_HALLMARKS: Final[Mapping[str, str]] = {
    "999": "24K",
    "958": "23K",
    "916": "22K",
    "833": "20K",
    "750": "18K",
    "585": "14K",
    "375": "9K",
}


def finenesses(metal: Metal) -> list[str]:
    """A metal's purities as shops name them, whose "22K" is the hallmark 916: by parts in a thousand."""
    return [purity for purity in PURITIES_OF[metal] if not purity.endswith("k")]


def purity_labels(metal: Metal) -> dict[str, str]:
    """A metal's purities with their names for people."""
    return {purity: purity_label(metal, purity) for purity in PURITIES_OF[metal]}


def purity_label(metal: Metal, purity: str) -> str:
    """A purity for people: "22K · 916", "925"; where it is a carat to the digit, "22/24"."""
    if purity == "24k":
        return purity_label(metal, "999")
    if purity.endswith("k"):
        return f"{purity.removesuffix('k')}/24"
    return f"{_HALLMARKS[purity]} · {purity}" if metal is Metal.GOLD and purity in _HALLMARKS else purity
