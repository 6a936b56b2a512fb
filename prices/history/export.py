"""History as the lines of a file (prices/history/csv_format.py), in the memory of some rows."""

import datetime as dt
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final

from django.conf import settings
from django.db import connection, transaction

from prices.domain.candles import Interval
from prices.domain.quotes import Metal, usual_kind
from prices.history import candle_store, csv_format
from prices.history.csv_format import Bar, Tick
from prices.models import Price

_CHUNK: Final = 2000  # rows in memory


def ticks(metals: Sequence[Metal], start: dt.datetime, end: dt.datetime) -> Generator[str]:
    """Lines of the prices that were shown from `start` until before `end`, metal by metal, oldest first."""
    return csv_format.ticks(_ticks(metals, start, end), currency=settings.BASE_CURRENCY)


def candles(metals: Sequence[Metal], interval: Interval, start: dt.datetime, end: dt.datetime) -> Generator[str]:
    """Lines of the candles that begin from `start` until before `end`, metal by metal, oldest first."""
    return csv_format.bars(_bars(metals, interval, start, end), currency=settings.BASE_CURRENCY)


def _row_by_row() -> AbstractContextManager[Any]:
    """The transaction in which PostgreSQL sends rows from a cursor, rather than all at once.

    SQLite always reads row by row, and a transaction here would keep every publication from being written.
    """
    return transaction.atomic() if connection.vendor == "postgresql" else nullcontext()


def _ticks(metals: Iterable[Metal], start: dt.datetime, end: dt.datetime) -> Iterator[Tick]:
    shown = Price.shown().filter(at__gte=start, at__lt=end).order_by("at", "id")
    with _row_by_row():
        for metal in metals:
            rows = shown.filter(metal=metal).values_list("at", "price", "bid", "ask", "source")
            for at, price, bid, ask, source in rows.iterator(_CHUNK):
                yield Tick(metal=metal, at=at, price=price, bid=bid, ask=ask, source=source)


def _bars(metals: Iterable[Metal], interval: Interval, start: dt.datetime, end: dt.datetime) -> Iterator[Bar]:
    kind = usual_kind(settings.PRICE_PROVIDERS)
    with _row_by_row():
        for metal in metals:
            kept = candle_store.Series(metal, settings.BASE_CURRENCY, kind).kept(interval, start, end)
            rows = kept.values_list("start", "open", "high", "low", "close")
            for begins, opened, high, low, close in rows.iterator(_CHUNK):
                yield Bar(metal=metal, interval=interval, start=begins, open=opened, high=high, low=low, close=close)
