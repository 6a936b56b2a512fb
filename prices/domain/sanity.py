"""Sanity rules: whether a price can be believed. Pure; prices/publishing/quarantine.py keeps what breaks one."""

import datetime as dt
import enum
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, TypeAlias

from prices.domain.quotes import Quote, percent

# Percent by which a source's price may lie outside the day's range that it gives beside it: it need not bring both up
# to date at the same moment.
_BESIDE_ITS_RANGE: Final = Decimal("0.1")


# The sources that a price is from, one or those that agree on it, each with the time of its quote.
Contributors: TypeAlias = Mapping[str, dt.datetime]


class SanityRule(enum.StrEnum):
    """What is wrong with a price."""

    BAND = "band"
    JUMP = "jump"
    RANGE = "range"
    AGREEMENT = "agreement"


@dataclass(frozen=True, slots=True)
class Band:
    """Between which prices per gram a metal can be, in one currency, whatever the market does."""

    lowest: Decimal
    highest: Decimal

    @classmethod
    def around(cls, price: Decimal, times: int) -> "Band":
        """From a price divided by `times` to the price times it."""
        return cls(price / times, price * times)


@dataclass(frozen=True, slots=True)
class Violation:
    """A doubt, and what it rests on, for staff."""

    rule: SanityRule
    detail: str


def find_violation(
    quote: Quote, last: Quote | None, *, band: Band | None, max_jump_percent: Decimal
) -> Violation | None:
    """Why a quote is not to be published as it comes; None where nothing speaks against it.

    `last` is the quote of this metal that was accepted last, before any premium, in the same currency.
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
    return None


def confirms(
    quote: Quote,
    quarantined: Quote,
    *,
    contributors: Contributors,
    quarantined_contributors: Contributors,
    max_jump_percent: Decimal,
) -> bool:
    """Whether a quote says the same as one that is held, from another source, or later from the same one.

    The same quotes over again, which a source may have in its cache, say nothing new.
    """
    is_news = any(
        source not in quarantined_contributors or at > quarantined_contributors[source]
        for source, at in contributors.items()
    )
    return is_news and abs(percent(quote.price - quarantined.price, quarantined.price)) <= max_jump_percent


def _is_in_range(price: Decimal, low: Decimal, high: Decimal) -> bool:
    slack = price * _BESIDE_ITS_RANGE / 100
    return low <= high and low - slack <= price <= high + slack
