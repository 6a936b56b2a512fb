"""Quotes for tests, and the time of most of them."""

import datetime as dt
from decimal import Decimal
from typing import Any

from prices.domain.positions import Position
from prices.domain.quotes import Metal, Quote

# The position of a process that has seen no publication yet.
START = Position("", 0, None)
NOW = dt.datetime(2026, 9, 24, 8, 0, tzinfo=dt.UTC)  # a Thursday, while the market is open


def quote(
    metal: str = "gold",
    price: str = "13221.39",
    *,
    at: dt.datetime = NOW,
    source: str = "gold_api_com",
    **figures: str,
) -> Quote:
    """A quote in INR per gram."""
    amounts: dict[str, Any] = {name: Decimal(amount) for name, amount in figures.items()}
    return Quote(metal=Metal(metal), price=Decimal(price), currency="INR", source=source, quoted_at=at, **amounts)
