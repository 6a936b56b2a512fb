"""The API's answers with current prices, the same whether read from the database or from memory."""

import datetime as dt
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final

import msgspec
from django.conf import settings
from django.http import HttpRequest

from prices.domain.fineness import PURITIES_OF
from prices.domain.quotes import Metal, PublishedQuote
from prices.domain.wire import PriceData
from prices.publishing import snapshot

# The key in the ASGI scope of a function that returns the prices in memory, or None while there are none.
SNAPSHOT: Final = "swarna.snapshot"


def snapshot_for(request: HttpRequest) -> snapshot.Snapshot:
    """The current prices, from this process's memory if it has them, else from the database."""
    remembered: Callable[[], snapshot.Snapshot | None] | None
    remembered = getattr(request, "scope", {}).get(SNAPSHOT)
    return (remembered() if remembered else None) or snapshot.read()


def prices(current: snapshot.Snapshot, measure: Mapping[str, str], now: dt.datetime) -> dict[str, Any]:
    """The quote of every listed metal that has the purity; `measure` is the requested `unit` and `purity`."""
    return {
        "data": {
            metal.value: _quote(published, current, measure, now)
            for metal, published in current.quotes.items()
            if measure["purity"] in PURITIES_OF[metal]
        },
        "epoch": current.position.epoch,
        "seq": current.position.seq,
        "market": market(now),
        "currency": settings.BASE_CURRENCY,
        **measure,
    }


def price(
    current: snapshot.Snapshot, metal: str, measure: Mapping[str, str], now: dt.datetime
) -> dict[str, Any] | None:
    """One metal's quote; None where it has no price."""
    published = current.quotes.get(Metal(metal)) if metal in set(Metal) else None
    if published is None:
        return None
    return {
        "metal": metal,
        **_quote(published, current, measure, now),
        "market": market(now),
        "currency": settings.BASE_CURRENCY,
        **measure,
    }


def market(now: dt.datetime) -> str:
    return "open" if settings.MARKET_CALENDAR.is_open(now) else "closed"


def _quote(
    published: PublishedQuote, current: snapshot.Snapshot, measure: Mapping[str, str], now: dt.datetime
) -> dict[str, Any]:
    return fields(PriceData.of(published.in_units(**measure), stale=current.is_stale(published, now)))


def fields(data: msgspec.Struct) -> dict[str, Any]:
    """The fields of a struct by name, for a renderer."""
    return msgspec.to_builtins(data, builtin_types=[Decimal])  # type: ignore[no-any-return]
