"""The order of quotes: whether one follows the last of its metal and price kind, and from when it is the price. Pure.

Of two quotes from one source, the one with the later time is newer. Clocks and delays of sources differ: of two quotes
from different sources, and of two agreements, the one from the later refresh is newer.
"""

import datetime as dt
import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from infra import clock
from prices.domain.consensus import CONSENSUS
from prices.domain.quotes import PriceKind, Quote

# Ticks' moments are in the order of their numbers. A moment further ahead than this is by a wrong clock.
_MOST_AHEAD: Final = dt.timedelta(minutes=5)


class Order(enum.Enum):
    """The place of a quote: after the last one, or before it, where it is no longer published."""

    NEXT = enum.auto()
    SUPERSEDED = enum.auto()  # by a later refresh
    OLDER = enum.auto()  # than the last one, by the clock of their source


@dataclass(frozen=True, slots=True)
class Last:
    """The last quote of a metal and price kind, with any premium on it.

    `at` is the moment from which it is the price. A source last gave it at `confirmed_at`, in the refresh `refresh`.
    """

    quote: Quote
    at: dt.datetime
    published_at: dt.datetime | None
    confirmed_at: dt.datetime
    refresh: int


@dataclass(frozen=True, slots=True)
class Arrival:
    """The moment at which quotes come, and the number of the refresh that brings them; None outside of refreshes."""

    now: dt.datetime
    refresh: int | None
    newest_refresh: int

    @property
    def counts_as(self) -> int:
        """The refresh by which a quote is compared: its own, or else the newest."""
        return self.newest_refresh if self.refresh is None else self.refresh


def order(quote: Quote, last: Last | None, arrival: Arrival, *, has_newer: Callable[[], bool]) -> Order:
    """Decide the place of a quote. Only staff's may go back in time.

    `has_newer` returns True if the quote's source has already given a newer one, superseded by another source's since.
    """
    if last is None or quote.kind is PriceKind.FALLBACK:
        return Order.NEXT
    is_by_refresh = arrival.refresh is not None and (quote.source != last.quote.source or quote.source == CONSENSUS)
    is_same_time = quote.quoted_at == last.quote.quoted_at
    if arrival.counts_as < last.refresh and (is_by_refresh or is_same_time):
        return Order.SUPERSEDED
    # No quote is earlier than one whose time cannot be true.
    is_earlier = quote.quoted_at < last.quote.quoted_at and clock.is_plausible(last.quote.quoted_at, arrival.now)
    if not is_earlier:
        return Order.NEXT
    if is_by_refresh and (quote.source == CONSENSUS or not has_newer()):
        return Order.NEXT
    return Order.OLDER


def repeats(quote: Quote, last: Last, arrival: Arrival) -> bool:
    """Return True if a quote repeats or corrects the last one.

    A source's does so if it has the same time; an agreement, if more sources have answered in the same refresh, or if
    it has the same price and time: which sources agree on it, with which bids, may have changed.
    """
    if quote.source != last.quote.source:
        return False
    if quote.source != CONSENSUS:
        return quote.quoted_at == last.quote.quoted_at
    spot = last.quote.at_spot()
    is_the_same = (spot.price, spot.quoted_at) == (quote.price, quote.quoted_at)
    return is_the_same or is_of_this_refresh(last, arrival)


def is_of_this_refresh(last: Last, arrival: Arrival) -> bool:
    """Return True if the refresh that brings new quotes has published the last one."""
    return last.refresh == arrival.refresh and last.confirmed_at == last.published_at


def effective_from(
    quote: Quote, last: Last | None, arrival: Arrival, *, is_under_another_premium: bool, is_market_open: bool
) -> dt.datetime:
    """The moment from which a source's quote is the price: its own time, or now where another was the price by then.

    `is_under_another_premium`: the last quote has another premium on it than this one will have.
    """
    if last is None or not clock.is_plausible(last.at, arrival.now, ahead=_MOST_AHEAD):
        return quote.quoted_at
    if is_under_another_premium:
        return max(arrival.now, last.at)
    if repeats(quote, last, arrival):
        return last.at
    if quote.quoted_at > last.at or (quote.quoted_at == last.at and quote.source != CONSENSUS):
        return quote.quoted_at
    # Nothing moves while the market is closed, and a tick that only put another premium on a quote confirmed nothing.
    was_confirmed = last.published_at is None or last.confirmed_at >= last.published_at
    return max(arrival.now, last.at) if is_market_open and was_confirmed else last.at
