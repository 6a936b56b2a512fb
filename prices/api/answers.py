"""What the API says of the prices in force: the same whether they were read from the database or from memory."""

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any, Final

from django.conf import settings
from django.http import HttpRequest

from prices.api.serializers import QuoteSerializer
from prices.domain.quotes import Metal, PublishedQuote
from prices.publishing import snapshot

# In the ASGI scope of a process that has the prices in memory: what gives them, or None while it does not.
STANDING: Final = "swarna.standing"


def snapshot_for(request: HttpRequest) -> snapshot.Standing:
    """The prices in force: from this process's memory where it has them, else from the database."""
    remembered: Callable[[], snapshot.Standing | None] | None
    remembered = getattr(request, "scope", {}).get(STANDING)
    return (remembered() if remembered else None) or snapshot.standing()


def prices(standing: snapshot.Standing, asked: Mapping[str, str], now: dt.datetime) -> dict[str, Any]:
    """Every listed metal's quote, in the unit and purity that were asked for."""
    return {
        "data": {metal.value: _quote(published, standing, asked, now) for metal, published in standing.quotes.items()},
        "epoch": standing.position.epoch,
        "seq": standing.position.seq,
        "market": market(now),
        "currency": settings.BASE_CURRENCY,
        **asked,
    }


def price(standing: snapshot.Standing, metal: str, asked: Mapping[str, str], now: dt.datetime) -> dict[str, Any] | None:
    """One metal's; None where it has no price."""
    published = standing.quotes.get(Metal(metal)) if metal in set(Metal) else None
    if published is None:
        return None
    return {
        "metal": metal,
        **_quote(published, standing, asked, now),
        "market": market(now),
        "currency": settings.BASE_CURRENCY,
        **asked,
    }


def market(now: dt.datetime) -> str:
    return "open" if settings.MARKET_CALENDAR.is_open(now) else "closed"


def _quote(
    published: PublishedQuote, standing: snapshot.Standing, asked: Mapping[str, str], now: dt.datetime
) -> dict[str, Any]:
    data = QuoteSerializer(published.in_units(**asked), context={"standing": standing, "now": now}).data
    return {name: value for name, value in data.items() if value is not None or name == "previousClose"}
