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
    return _remembered(request) or snapshot.read()


def known_stale(request: HttpRequest) -> frozenset[Metal]:
    """The metals that this process found stale by its steady clock, whatever the wall clock says."""
    remembered = _remembered(request)
    return remembered.known_stale if remembered else frozenset()


def _remembered(request: HttpRequest) -> snapshot.Snapshot | None:
    """The current prices from this process's memory; None if it has none."""
    recall: Callable[[], snapshot.Snapshot | None] | None = getattr(request, "scope", {}).get(SNAPSHOT)
    return recall() if recall else None


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
