"""The sanity rules for prices. Pure; prices/publishing/quarantine.py quarantines prices that break one."""

import datetime as dt
import enum
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, TypeAlias

from prices.domain.drift import Bound
from prices.domain.quotes import Quote, percent

# Percent by which a source's price may lie outside of the day's range beside it: the source need not update both at the
# same moment.
_BESIDE_ITS_RANGE: Final = Decimal("0.1")


# The source of a price, or the sources that agree on it, each with the time of its quote.
Contributors: TypeAlias = Mapping[str, dt.datetime]


class SanityRule(enum.StrEnum):
    """A rule that a price can break."""

    BAND = "band"
    JUMP = "jump"
    DRIFT = "drift"
    RANGE = "range"
    AGREEMENT = "agreement"


class Release(enum.StrEnum):
    """A way out for a quarantined price, beside staff's approval: each includes those before it."""

    STAFF = "staff"  # in no other way
    SECOND_SOURCE = "second_source"
    SAME_SOURCE = "same_source"  # its own source says so again, after a time


class Confirming(enum.Enum):
    """The source of a quote that confirms a quarantined one."""

    ANOTHER_SOURCE = enum.auto()
    THE_SAME_SOURCE = enum.auto()


@dataclass(frozen=True, slots=True)
class Band:
    """The lowest and highest price per gram that a metal can have in one currency, whatever the market does."""

    lowest: Decimal
    highest: Decimal

    @classmethod
    def around(cls, price: Decimal, times: int) -> "Band":
        """The band from a price divided by `times` to the price multiplied by `times`."""
        return cls(price / times, price * times)


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken rule, and its detail for staff."""

    rule: SanityRule
    detail: str


def find_violation(
    quote: Quote, last: Quote | None, *, band: Band | None, max_jump_percent: Decimal, drift: Bound | None = None
) -> Violation | None:
    """The first rule that a quote breaks; None where it breaks none.

    `last` is the last accepted quote of this metal in the same currency, and `drift` is the bound on a move away from
    those of the last hours. All are without any premium, or all with.
    """
    if band and not band.lowest <= quote.price <= band.highest:
        return Violation(
            SanityRule.BAND, f"{quote.price:,} is outside {band.lowest:,.4f} to {band.highest:,.4f}, its sanity band"
        )
    if quote.low is not None and quote.high is not None and not _is_in_range(quote.price, quote.low, quote.high):
        return Violation(
            SanityRule.RANGE, f"{quote.price:,} is not in its own day's range, {quote.low:,} to {quote.high:,}"
        )
    if last and abs(moved := percent(quote.price - last.price, last.price)) > max_jump_percent:
        return Violation(SanityRule.JUMP, f"{quote.price:,} is {moved:+.1f} % from {last.price:,}, the last price")
    if drift and (left := drift.left_by(quote.price)):
        moved = percent(quote.price - left, left)
        detail = f"{quote.price:,} is {moved:+.1f} % from {left:,}, the price within 24 hours of open market"
        return Violation(SanityRule.DRIFT, detail)
    return None


def confirming(
    quote: Quote,
    quarantined: Quote,
    *,
    contributors: Contributors,
    quarantined_contributors: Contributors,
    max_jump_percent: Decimal,
) -> Confirming | None:
    """The source that confirms a quarantined quote: another with about the same price, or its own, quoted later.

    None where it confirms nothing: another price, or the same quotes again, perhaps from a source's cache.
    """
    if abs(percent(quote.price - quarantined.price, quarantined.price)) > max_jump_percent:
        return None
    if not contributors.keys() <= quarantined_contributors.keys():
        return Confirming.ANOTHER_SOURCE
    if any(at > quarantined_contributors[source] for source, at in contributors.items()):
        return Confirming.THE_SAME_SOURCE
    return None


def _is_in_range(price: Decimal, low: Decimal, high: Decimal) -> bool:
    slack = price * _BESIDE_ITS_RANGE / 100
    return low <= high and low - slack <= price <= high + slack
