"""The calculation of a published price, step by step, for a person with a calculator."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext
from statistics import median
from typing import Final

from infra import formats
from prices.domain.receipts import Receipt
from prices.domain.source_quotes import GRAMS, RawUnit, SourceQuote
from prices.domain.units import rounded
from prices.why.names import NAMED, source_name

# Of a result that is rounded: twice as many as are published.
_DECIMALS: Final = 8


@dataclass(frozen=True, slots=True)
class Step:
    """A sum, its `exact` result where that says more, and what that is `rounded` to where it is; else empty."""

    of: str
    sum: str
    exact: str
    rounded: str


def steps(receipt: Receipt) -> list[Step]:
    """The calculation, from what the used sources said to the published price."""
    used = [source for source in receipt.sources if source.is_used]
    with localcontext(prec=60):
        found = [step for source in used for step in _of_source(source)]
        if len(used) > 1:
            found.append(_of_median([source.spot for source in used if source.spot is not None], receipt.spot))
        if receipt.premium is not None and receipt.premium != 1 and not receipt.is_premium_included:
            of_spot = f"{plain(receipt.spot)} × {plain(receipt.premium)}"
            found.append(_step("With the premium", of_spot, receipt.spot * receipt.premium, receipt.price))
    return found


def plain(amount: Decimal) -> str:
    """An amount as it is typed into a calculator: without commas and superfluous zeros."""
    return f"{formats.number(amount):f}"


def _of_source(source: SourceQuote) -> list[Step]:
    if source.source in NAMED or source.raw_price is None or source.raw_unit is None or source.spot is None:
        return []
    of, made, exact = source_name(source.source), plain(source.raw_price), source.raw_price
    if source.raw_unit is RawUnit.RECIPROCAL_TROY_OUNCE:
        made, exact = f"1 ÷ {made}", 1 / exact
    if source.exchange:
        made, exact = f"{made} × {plain(source.exchange.rate)}", exact * source.exchange.rate
    if (grams := GRAMS[source.raw_unit]) != 1:
        made, exact = f"{made} ÷ {plain(grams)}", exact / grams
    if source.included is None:
        return [_step(of, made, exact, source.spot)]
    per_gram = rounded(exact)
    less = f"{plain(per_gram)} ÷ {plain(source.included)}"
    return [
        _step(of, made, exact, per_gram),
        _step(f"{of}, less its own premium", less, per_gram / source.included, source.spot),
    ]


def _of_median(spots: Sequence[Decimal], spot: Decimal) -> Step:
    ordered = sorted(spots)
    upper = len(ordered) // 2
    of_two = f"({plain(ordered[upper - 1])} + {plain(ordered[upper])}) ÷ 2"
    made = plain(ordered[upper]) if len(ordered) % 2 else of_two
    return _step(f"The median of {', '.join(map(plain, ordered))}", made, median(ordered), spot)


def _step(of: str, made: str, exact: Decimal, result: Decimal) -> Step:
    shown = plain(exact)
    whole, _, decimals = shown.partition(".")
    if len(decimals) > _DECIMALS:
        shown = f"{whole}.{decimals[:_DECIMALS]}…"
    return Step(of, made, "" if shown == made else shown, "" if exact == result else plain(result))
