"""The card of a row, as texts: its price now, its day, and how it may be trusted."""

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, NamedTuple

from infra.formats import time
from pages.formats import Formats
from pages.memory import Current
from pages.ranges import path
from pages.rows import Row
from prices.domain.marks import LABELS
from prices.domain.quotes import FALLBACK, PublishedQuote

ARROWS: Final = {"up": "▲", "down": "▼", "none": ""}
# The box of a sparkline, in card.html and board-card.js too.
_SPARKLINE_BOX: Final = (96, 32)
# Beyond so many characters a price is written smaller, and beyond the second number still smaller.
_LONG: Final = 13
_VERY_LONG: Final = 17


class Change(NamedTuple):
    """A price's change since the previous close; empty where there is no price."""

    direction: str = "none"
    arrow: str = ""
    difference: str = ""
    percent: str = ""
    against: str = ""


class DayTexts(NamedTuple):
    """The figures of a price's day; `at` is its place between the low (0) and the high (100), if these differ."""

    open: str = ""
    high: str = ""
    low: str = ""
    previous_close: str = ""
    at: int | None = None


@dataclass(frozen=True, slots=True)
class Card:
    """A row's texts. Without a price, the price is a dash, and all that is said of it is empty."""

    row: Row
    name: str
    purity: str
    per: str
    amount: str
    change: Change
    day: DayTexts
    length: str = ""
    trust: str = "none"
    marks: str = ""
    bid: str = ""
    ask: str = ""
    sparkline: str = ""
    as_of: str = ""
    quoted_at: str = ""
    origin: str = ""


def card_of(row: Row, current: Current, currency: str, f: Formats, now: dt.datetime) -> Card:
    """The texts of a row, as of `now`."""
    published = current.quotes.get(row.metal)
    names = (row, f.metal(row.metal), f.purity(row.metal, row.purity), f.per(row.unit))
    if published is None:
        return Card(*names, f.amount(None), Change(), DayTexts(), as_of=f._("Waiting for a price"))
    per_unit = published.in_units(unit=row.unit, purity=row.purity)
    quote, members = per_unit.quote, published.quote.members
    marks = current.marks(row.metal)
    amount = f.money(quote.price, currency)
    return Card(
        *names,
        amount,
        _change(per_unit, f),
        _day(per_unit, f),
        length=length_of(amount),
        trust=marks[0],
        marks=" · ".join(f._(LABELS[mark]) for mark in marks),
        bid="" if quote.bid is None else f.amount(quote.bid),
        ask="" if quote.ask is None else f.amount(quote.ask),
        sparkline=_sparkline_of(current, row),
        as_of=f.as_of(quote.quoted_at, now),
        quoted_at=time(quote.quoted_at),
        origin=f.origin(
            quote.source,
            is_example=quote.example,
            contributors=members.count if members else None,
            dispersion_percent=members.dispersion_percent if members else None,
        ),
    )


def _change(per_unit: PublishedQuote, f: Formats) -> Change:
    if per_unit.day.previous_close is None:
        return Change(difference=f.amount(None), against=f._("no previous close yet"))
    direction = direction_of(per_unit.change)
    return Change(
        direction,
        ARROWS[direction],
        f.difference(per_unit.change, per_unit.quote.price),
        f.percent(per_unit.change_percent),
        f._("since the previous close"),
    )


def _day(per_unit: PublishedQuote, f: Formats) -> DayTexts:
    day, price = per_unit.day, per_unit.quote.price
    return DayTexts(
        f.amount(day.open),
        f.amount(day.high),
        f.amount(day.low),
        f.amount(day.previous_close),
        round(100 * (price - day.low) / (day.high - day.low)) if day.high > day.low else None,
    )


def direction_of(change: Decimal) -> str:
    """The direction of a change: `up`, `down` or `none`."""
    return "up" if change > 0 else "down" if change < 0 else "none"


def length_of(amount: str) -> str:
    """The name by which a price too long for its card is written smaller; empty for one that fits."""
    return "" if len(amount) <= _LONG else "long" if len(amount) <= _VERY_LONG else "very-long"


def _sparkline_of(current: Current, row: Row) -> str:
    """The path of the market's last 24 hours, up to the price of now, unless staff set that one."""
    stored, quote = current.stored.sparklines.get(row.metal), current.quotes[row.metal].quote
    if stored is None or not stored.closes:
        return ""
    newest = () if quote.source == FALLBACK else (quote.price,)
    return path((*stored.closes, *newest), *_SPARKLINE_BOX)
