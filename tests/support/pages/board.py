"""The board's page as the server writes it, without a server."""

import datetime as dt
from collections.abc import Iterable, Mapping
from decimal import Decimal

from django.template.loader import render_to_string

from pages import board, sheets
from pages.languages import Language
from pages.memory import Current, Move, Sparkline, Stored
from prices.domain.positions import Position
from prices.domain.quotes import DayFigures, Metal, PublishedQuote, Quote
from streaming.protocol import Feed, Status

PUBLISHED_AT = dt.datetime(2026, 11, 1, 18, 30, 1, tzinfo=dt.UTC)


def published(quote: Quote, *, previous_close: str | None = None, **day: str) -> PublishedQuote:
    """A quote as it was published, with these figures of its day; the others are its price."""
    figures = dict.fromkeys(("open", "high", "low"), quote.price) | {name: Decimal(day[name]) for name in day}
    close = None if previous_close is None else Decimal(previous_close)
    return PublishedQuote(seq=1, quote=quote, day=DayFigures(**figures, previous_close=close))


def current(
    quotes: Iterable[PublishedQuote] = (),
    *,
    seq: int = 0,
    market: str = "open",
    feed: Feed = Feed.LIVE,
    stale: Iterable[Metal] = (),
    listed: Iterable[Metal] = tuple(Metal),
    moves: Iterable[Move] = (),
    sparklines: Mapping[Metal, Sparkline] | None = None,
    threshold_percent: str = "1",
) -> Current:
    """All that pages show, of these quotes, each of them in the same feed."""
    shown = {published.quote.metal: published for published in quotes}
    return Current(
        version=None,
        position=Position("first", seq, PUBLISHED_AT if shown else None),
        published_at=PUBLISHED_AT if shown else None,
        quotes=shown,
        stale=frozenset(stale),
        status=Status(
            feed=feed,
            market="open" if market == "open" else "closed",
            nextChange="2026-11-02T22:00:00.000Z",
            source=None,
            metals=dict.fromkeys(shown, feed),
            timestamp="2026-11-01T18:30:00.000Z",
        ),
        stored=Stored(
            listed=tuple(listed),
            sparklines=sparklines or {},
            moves=tuple(moves),
            threshold_percent=Decimal(threshold_percent),
        ),
    )


def board_page(rows: str, shown: Current, language: str = "en") -> str:
    """The page of these rows."""
    chosen = Language(language)
    sheet = sheets.listed_sheet(rows, shown.stored.listed)
    context = board.context(shown, sheet, chosen.format)
    return render_to_string("pages/board.html", {"current": shown, "language": chosen, **context})
