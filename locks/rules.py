"""The rules of price locks: which price is locked, whether it may be, and at what it is redeemed. Pure."""

import datetime as dt
import enum
from decimal import Decimal

from infra import clock
from prices.domain.quotes import PriceKind, PublishedQuote, percent


class Side(enum.StrEnum):
    """The house's side of the trade."""

    SELL = "sell"
    BUY = "buy"


class Status(enum.StrEnum):
    """The states of a lock. Only a held one changes, once."""

    HELD = "held"
    REDEEMED = "redeemed"
    EXPIRED = "expired"
    RELEASED = "released"


class Reason(enum.StrEnum):
    """The reasons why a price cannot be locked."""

    OFF = "off"
    DOWN = "down"
    SIMULATED = "simulated"
    FALLBACK = "fallback"
    QUARANTINED = "quarantined"
    STALE = "stale"


def unavailable(
    published: PublishedQuote, *, is_stale: bool, allows_fallback: bool, allows_simulated: bool
) -> Reason | None:
    """The reason why a current price may not be locked; None if it may be.

    An example that no member of staff has confirmed never may. Where staff's fallbacks may be locked, their age does
    not count: staff set how long they are shown.
    """
    quote = published.quote
    if quote.kind is PriceKind.SIMULATED and not allows_simulated:
        return Reason.SIMULATED
    if quote.kind is PriceKind.FALLBACK and (quote.example or not allows_fallback):
        return Reason.FALLBACK
    if published.is_contested:
        return Reason.QUARANTINED
    if is_stale and quote.kind is not PriceKind.FALLBACK:
        return Reason.STALE
    return None


def price_for(published: PublishedQuote, side: Side, *, unit: str, purity: str) -> Decimal:
    """The price per `unit` of metal of `purity` at which the house trades: ask or bid, where there is one.

    Raises KeyError for an unknown unit or purity.
    """
    quote = published.in_units(unit=unit, purity=purity).quote
    given = quote.ask if side is Side.SELL else quote.bid
    return quote.price if given is None else given


def is_over(*, issued_at: dt.datetime, expires_at: dt.datetime, now: dt.datetime) -> bool:
    """Return True from `expires_at` on; and for a lock that was issued in the future, by a clock that was ahead."""
    return now >= expires_at or not clock.is_plausible(issued_at, now)


def moved_against_house(side: Side, locked: Decimal, current: Decimal) -> Decimal:
    """The move of the market since a price was locked, in percent; positive where the house loses by the lock."""
    return percent(current - locked if side is Side.SELL else locked - current, locked)


def redeemed_price(
    side: Side, locked: Decimal, current: Decimal | None, *, tolerance_percent: Decimal | None, passes_on: bool
) -> Decimal | None:
    """The price at which a lock is redeemed; None if the market has moved against the house by more than tolerated.

    `current` is the price at which the same could be locked now. Where there is none, the locked price holds.
    """
    if current is None:
        return locked
    moved = moved_against_house(side, locked, current)
    if tolerance_percent is not None and moved > tolerance_percent:
        return None
    return current if passes_on and moved < 0 else locked
