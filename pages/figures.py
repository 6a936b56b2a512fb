"""The figures of a row, as texts of a card: its price now, its day, and how it may be trusted."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from infra.formats import time
from pages.formats import Formats
from pages.memory import Current
from pages.rows import Row
from prices.domain.marks import LABELS

ARROWS: Final = {"up": "▲", "down": "▼", "none": ""}
# The box of a line of the day; board-card.js has the same.
LINE_WIDTH: Final = 96
LINE_HEIGHT: Final = 32
# Beyond so many characters a price is written smaller, and beyond the second number still smaller.
_LONG: Final = 13
_VERY_LONG: Final = 17


@dataclass(frozen=True, slots=True)
class Figures:
    """A row's texts. Without a price, the price is a dash, and all that is said of it is empty.

    `at` is where the price lies between the day's low (0) and its high (100); None where these are the same.
    """

    row: Row
    name: str
    symbol: str
    purity: str
    per: str
    amount: str
    length: str = ""
    trust: str = "none"
    marks: str = ""
    direction: str = "none"
    arrow: str = ""
    difference: str = ""
    percent: str = ""
    against: str = ""
    bid: str = ""
    ask: str = ""
    low: str = ""
    high: str = ""
    open: str = ""
    previous_close: str = ""
    at: int | None = None
    line: str = ""
    as_of: str = ""
    quoted_at: str = ""
    origin: str = ""


def figures(row: Row, current: Current, currency: str, f: Formats, now: dt.datetime) -> Figures:
    """The texts of a row, as of `now`."""
    published = current.quotes.get(row.metal)
    names = (row, f.metal(row.metal), row.metal.symbol, f.purity(row.metal, row.purity), f.per(row.unit))
    if published is None:
        return Figures(*names, amount=f.amount(None), as_of=f._("Waiting for a price"))
    per_unit = published.in_units(unit=row.unit, purity=row.purity)
    quote, day, members = per_unit.quote, per_unit.day, published.quote.members
    marks = current.marks(row.metal)
    is_compared = day.previous_close is not None
    direction = direction_of(per_unit.change) if is_compared else "none"
    amount = f.money(quote.price, currency)
    return Figures(
        *names,
        amount=amount,
        length=length_of(amount),
        trust=marks[0],
        marks=" · ".join(f._(LABELS[mark]) for mark in marks),
        direction=direction,
        arrow=ARROWS[direction],
        difference=f.difference(per_unit.change, quote.price) if is_compared else f.amount(None),
        percent=f.percent(per_unit.change_percent) if is_compared else "",
        against=f._("since the previous close") if is_compared else f._("no previous close yet"),
        bid="" if quote.bid is None else f.amount(quote.bid),
        ask="" if quote.ask is None else f.amount(quote.ask),
        low=f.amount(day.low),
        high=f.amount(day.high),
        open=f.amount(day.open),
        previous_close=f.amount(day.previous_close),
        at=round(100 * (quote.price - day.low) / (day.high - day.low)) if day.high > day.low else None,
        line=_line_of(current, row),
        as_of=f.as_of(quote.quoted_at, now),
        quoted_at=time(quote.quoted_at),
        origin=f.origin(
            quote.source,
            is_example=quote.example,
            contributors=members.count if members else None,
            dispersion_percent=members.dispersion_percent if members else None,
        ),
    )


def direction_of(change: Decimal) -> str:
    """The direction of a change: `up`, `down` or `none`."""
    return "up" if change > 0 else "down" if change < 0 else "none"


def length_of(amount: str) -> str:
    """The name by which a price too long for its card is written smaller; empty for one that fits."""
    return "" if len(amount) <= _LONG else "long" if len(amount) <= _VERY_LONG else "very-long"


def sparkline(closes: Sequence[Decimal]) -> str:
    """The points of a line in a box of `LINE_WIDTH` by `LINE_HEIGHT`; empty where there is none to draw."""
    if len(closes) < 2:
        return ""
    low, high = min(closes), max(closes)
    across = Decimal(LINE_WIDTH) / (len(closes) - 1)
    up = Decimal(LINE_HEIGHT) / (high - low) if high > low else Decimal(0)
    # A price that stands still is a line in the middle.
    bottom = Decimal(LINE_HEIGHT) if up else Decimal(LINE_HEIGHT) / 2
    return " ".join(f"{across * n:.0f},{bottom - (close - low) * up:.0f}" for n, close in enumerate(closes))


def _line_of(current: Current, row: Row) -> str:
    line = current.past.lines.get(row.metal)
    return sparkline((*line.closes, current.quotes[row.metal].quote.price)) if line and line.closes else ""
