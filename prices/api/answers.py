"""What the API says of the prices in force: the same whether they were read from the database or from memory."""

import datetime as dt
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final

import msgspec
from django.conf import settings
from django.http import HttpRequest

from prices.domain.quotes import Metal, PublishedQuote
from prices.domain.wire import PriceData
from prices.publishing import snapshot

# In the ASGI scope of a process that has the prices in memory: what gives them, or None while it does not.
SNAPSHOT: Final = "swarna.snapshot"


def snapshot_for(request: HttpRequest) -> snapshot.Snapshot:
    """The prices in force: from this process's memory where it has them, else from the database."""
    remembered: Callable[[], snapshot.Snapshot | None] | None
    remembered = getattr(request, "scope", {}).get(SNAPSHOT)
    return (remembered() if remembered else None) or snapshot.read()


def prices(current: snapshot.Snapshot, asked: Mapping[str, str], now: dt.datetime) -> dict[str, Any]:
    """Every listed metal's quote, in the unit and purity that were asked for."""
    return {
        "data": {metal.value: _quote(published, current, asked, now) for metal, published in current.quotes.items()},
        "epoch": current.position.epoch,
        "seq": current.position.seq,
        "market": market(now),
        "currency": settings.BASE_CURRENCY,
        **asked,
    }


def price(current: snapshot.Snapshot, metal: str, asked: Mapping[str, str], now: dt.datetime) -> dict[str, Any] | None:
    """One metal's; None where it has no price."""
    published = current.quotes.get(Metal(metal)) if metal in set(Metal) else None
    if published is None:
        return None
    return {
        "metal": metal,
        **_quote(published, current, asked, now),
        "market": market(now),
        "currency": settings.BASE_CURRENCY,
        **asked,
    }


def market(now: dt.datetime) -> str:
    return "open" if settings.MARKET_CALENDAR.is_open(now) else "closed"


def _quote(
    published: PublishedQuote, current: snapshot.Snapshot, asked: Mapping[str, str], now: dt.datetime
) -> dict[str, Any]:
    data = PriceData.of(published.in_units(**asked), stale=current.is_stale(published, now))
    fields: dict[str, Any] = msgspec.to_builtins(data, builtin_types=[Decimal])
    return fields
