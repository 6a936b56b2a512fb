"""The trading day of a metal, before any premium: open, high, low and previous close. Pure; imports no Django.

A day is made of quotes as candles are made of ticks: of two quotes of the same source at the same moment, the later
corrects the earlier. A day is kept at spot: a change of premium leaves no mark on it, and each figure is rounded once,
under the premium with which it is shown.
"""

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal, localcontext
from typing import Any

import msgspec

from prices.domain.quotes import DayFigures, Quote


def at_spot(amount: Decimal, premium: Decimal) -> Decimal:
    """An amount less a premium in it. Not rounded: with the same premium on it, it is the same amount again."""
    with localcontext() as context:
        context.prec = 40
        return amount / premium


@dataclass(frozen=True, slots=True, kw_only=True)
class SpotQuote:
    """A quote before any premium, with the day's figures from its source; None where the source gives none."""

    source: str
    price: Decimal
    open: Decimal | None = None
    high: Decimal | None = None
    low: Decimal | None = None
    previous_close: Decimal | None = None

    @classmethod
    def of(cls, quote: Quote, *, included: Decimal = Decimal(1)) -> "SpotQuote":
        """A quote less the premium `included` in it, each amount as by `at_spot`."""

        def spot(amount: Decimal | None) -> Decimal | None:
            return None if amount is None else at_spot(amount, included)

        return cls(
            source=quote.source,
            price=at_spot(quote.price, included),
            open=spot(quote.open),
            high=spot(quote.high),
            low=spot(quote.low),
            previous_close=spot(quote.previous_close),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """A trading day so far, in one metal's price kind and currency.

    `newest` are the quotes at its newest moment, `at`: one for each source, in the order in which they were recorded.
    `before` are the day's figures without them, None where the day begins with them. `closed` is the last price of the
    day before.
    """

    at: dt.datetime
    before: DayFigures | None
    closed: Decimal | None
    newest: tuple[SpotQuote, ...]

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> "Day":
        """Rebuild a day from the values that `stored` returned."""
        return msgspec.convert(stored, cls)

    def stored(self) -> dict[str, Any]:
        """The day as values for JSON."""
        written: dict[str, Any] = msgspec.to_builtins(self)
        return written

    @property
    def figures(self) -> DayFigures:
        """The figures of all quotes in the day."""
        first, *others = self.newest
        figures = day_figures(first, self.before, closed=self.closed)
        for quote in others:
            figures = day_figures(quote, figures)
        return figures

    @property
    def last(self) -> Decimal:
        """The newest price."""
        return self.newest[-1].price

    def after(self, closed: Decimal) -> "Day":
        """The same day after another one's close."""
        before = replace(self.before, previous_close=closed) if self.before else None
        return replace(self, closed=closed, before=before)


def following(
    day: Day | None,
    quote: SpotQuote,
    at: dt.datetime,
    zone: dt.tzinfo,
    *,
    closed: Callable[[], Decimal | None] = lambda: None,
) -> Day:
    """The trading day after one more quote, true from `at` on; `day` is the day before it, None for the first quote.

    Days begin at midnight in `zone`. At the day's newest moment, a quote corrects the same source's. A moment before it
    follows a wrong clock that was ahead, and ends no day. `closed` finds the last close since `day` in history; it is
    called where a day begins and `day` is not the date before it.
    """
    if day is None:
        return Day(at=at, before=None, closed=closed(), newest=(quote,))
    dates_on = (at.astimezone(zone).date() - day.at.astimezone(zone).date()).days
    if dates_on > 0:
        found = closed() if dates_on > 1 else None
        return Day(at=at, before=None, closed=found or day.last, newest=(quote,))
    if at == day.at:
        others = tuple(other for other in day.newest if other.source != quote.source)
        return replace(day, newest=(*others, quote))
    return replace(day, at=at, before=day.figures, newest=(quote,))


def day_figures(quote: SpotQuote, before: DayFigures | None = None, *, closed: Decimal | None = None) -> DayFigures:
    """The figures of a day with one more quote. Without `before` the day begins with it, after a close at `closed`.

    The source's own figures count; they are widened where needed, so that low ≤ open ≤ high and low ≤ price ≤ high.
    """
    opened = quote.open or (before.open if before else quote.price)
    high = quote.high or (before.high if before else quote.price)
    low = quote.low or (before.low if before else quote.price)
    return DayFigures(
        open=opened,
        high=max(high, opened, quote.price),
        low=min(low, opened, quote.price),
        previous_close=quote.previous_close or (before.previous_close if before else closed),
    )
